"""Time, expenses and products from a CSV file: preview, then all or nothing.

A row with an external id that is there already updates that entry, unless it is billed; every other row is a new one.
The columns are those of :func:`columns`; ``kind``, ``date``, ``company``, ``quantity`` and ``description`` must be
there. Agreements that the file touches are decided anew at the end, once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final, TypeVar

from django.db import models

from counterfoil.agreements.models import Agreement, BillingOption
from counterfoil.catalog.models import ExpenseType, Product, WorkRole, WorkType
from counterfoil.companies.models import Company
from counterfoil.companies.policies import ensure_billable, ensure_customer
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.imports import (
    Cells,
    Column,
    Deed,
    ImportPreview,
    ImportResult,
    PlannedRow,
    RowError,
    plain_key,
    read_table,
    refuse_errors,
    write_over,
)
from counterfoil.platform.records import UNSET, Changes, Unset, change, changes_in_words, field_problems, plain_number
from counterfoil.usage import allocating, policies
from counterfoil.usage.models import Allocation, Charge, ChargeKind
from counterfoil.usage.rating import RateBook

M = TypeVar("M", bound=models.Model)

_COLUMNS: Final = (
    Column("external_id", "Its key in the system it comes from; the same key again updates it", example="T-1001"),
    Column("kind", "time, expense or product", required=True, example="time"),
    Column("date", "The day of the work: 2026-03-15, 3/15/2026 or 15 Mar 2026", required=True, example="2026-03-15"),
    Column("company", "Identifier of a customer that is there", required=True, example="AcmeCorp"),
    Column("agreement", "Number of the agreement that is to cover it", example="AGR-0001"),
    Column("quantity", "Hours worked, miles, pieces", required=True, example="1.5"),
    Column("description", "One line, for the invoice", required=True, example="Firewall rules"),
    Column("work_role", "Of time: in which capacity", example="Engineer"),
    Column("work_type", "Of time: what kind of work", example="After hours"),
    Column("expense_type", "Of an expense: what for"),
    Column("product", "Identifier of a product that is not kept in stock"),
    Column("price", "Of one; of time the rate of an hour", default="the rate or the product's price"),
    Column("cost", "Of one expense or product", default="the expense's price, the product's cost"),
    Column("member", "Who worked or spent", example="Ann"),
    Column("ticket", "Its key", example="T7"),
    Column("customer_po", "The customer's order number"),
    Column("notes", "Internal"),
    Column("billing_option", "Billable, DoNotBill or NoCharge", default="what the agreement says"),
    Column("taxable", "Whether sales tax applies", default="yes; what the type or product says"),
)
_KINDS: Final = {kind.value: kind.value for kind in ChargeKind}
_OPTIONS: Final = {plain_key(option): option.value for option in BillingOption}

#: Field of the record -> column of the file, where they differ.
_NAMES: Final = {
    "on": "date", "hours": "quantity", "rate": "price", "rate_override": "price", "unit_price": "price",
    "unit_cost": "cost", "company_id": "company", "bill_to_id": "company", "agreement_id": "agreement",
    "product_id": "product", "work_role_id": "work_role", "work_type_id": "work_type",
    "expense_type_id": "expense_type",
}  # fmt: skip
#: What each kind names, and must name.
_OWN: Final = {
    ChargeKind.TIME.value: ("work_role", "work_type"),
    ChargeKind.EXPENSE.value: ("expense_type",),
    ChargeKind.PRODUCT.value: ("product",),
}
_PRICED: Final = ("billed_quantity", "unit_price", "overage_price", "rate_words", "amount", "unit_cost")


def columns() -> tuple[Column, ...]:
    """The columns of the file, for documents, command line and page."""
    return _COLUMNS


def preview_usage(*, content: bytes) -> ImportPreview:
    """What importing the file would do, with its mistakes; nothing is written.

    Raises:
        DomainError: ``import_rows_invalid`` when the file as a whole cannot be read.
    """
    return _plan(content).preview()


@command(roles=(Role.SALES, Role.PROCUREMENT, Role.FINANCE))
def import_usage(*, actor: Actor, content: bytes, filename: str = "") -> ImportResult:
    """Enter the time, expenses and products of a file, all or none; agreements are decided anew, once.

    Raises:
        DomainError: ``import_rows_invalid``, with every mistake in ``details``.
    """
    plan = _plan(content, lock=True)
    refuse_errors(plan.errors, len(plan.rows))
    plan.write()
    for row in plan.rows:
        if row.deed == "create":
            audit.record(actor, f"usage.{row.charge.kind}.entered", f"imported: {_said(row.charge)}", row.charge)
        elif row.deed == "update":
            said = f"changed by import: {_said(row.charge)}: {changes_in_words(row.changes)}"
            audit.record(actor, "usage.charge.changed", said, row.charge)
    preview = plan.preview()
    result = ImportResult(preview.count("create"), preview.count("update"), preview.count("unchanged"), preview.also)
    audit.record(
        actor,
        "usage.imported",
        f"imported time, expenses and products from {filename or 'a file'}: {result.created} created,"
        f" {result.updated} updated, {result.unchanged} unchanged",
        sha256=sha256(content).hexdigest(),
    )
    return result


# -- the plan ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Row:
    """A row with the charge it makes or changes; ``was`` is the agreement that covered it before."""

    cells: Cells
    charge: Charge
    was: int | None = None
    changes: Changes = field(default_factory=dict)
    deed: Deed = "unchanged"


@dataclass(slots=True)
class _Plan:
    rows: list[_Row]

    @property
    def errors(self) -> list[RowError]:
        return [error for row in self.rows for error in row.cells.errors]

    def preview(self) -> ImportPreview:
        return ImportPreview(tuple(_planned(row) for row in self.rows), tuple(self.errors))

    def write(self) -> None:
        """A statement each for what is new and what is changed, and the agreements decided anew together."""
        Charge.objects.bulk_create([row.charge for row in self.rows if row.deed == "create"])
        changed = [row for row in self.rows if row.deed == "update"]
        write_over([row.charge for row in changed])
        Allocation.objects.filter(charge__in=[row.charge.pk for row in changed], charge__agreement=None).delete()
        touched = {row.charge.agreement_id for row in self.rows if row.deed != "unchanged"} | {
            row.was for row in changed
        }
        allocating.refresh(pk for pk in touched if pk is not None)


def _planned(row: _Row) -> PlannedRow:
    changes = changes_in_words(row.changes) if row.deed == "update" else ""
    name = row.charge.description if row.cells.errors else _said(row.charge)
    return PlannedRow(row.cells.row, row.deed, row.charge.external_id or "", name, changes)


def _said(charge: Charge) -> str:
    """``5 Jan 2026, Acme Corp: 2 hours Firewall rules, 200.00``."""
    unit = "hours" if charge.kind == ChargeKind.TIME else "x"
    what = f"{plain_number(charge.quantity)} {unit} {charge.description}"
    return f"{format_date(charge.date)}, {charge.company.name}: {what}, {format_money(charge.amount)}"


# -- reading -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Known:
    """What is there already, by casefolded name."""

    charges: dict[str, Charge]
    companies: dict[str, Company]
    agreements: dict[str, Agreement]
    records: dict[str, dict[str, Any]]
    book: RateBook


def _known(table: Iterable[Cells], *, lock: bool) -> _Known:
    named = {cells.given("agreement") for cells in table} - {""}
    ids = {cells.given("external_id") for cells in table} - {""}
    charges = Charge.objects.filter(external_id__in=ids)
    # First the agreements, then the charges: in the order of every other command.
    agreements = Agreement.objects.filter(
        models.Q(number__in=named) | models.Q(pk__in=charges.values("agreement_id"))
    ).order_by("pk")
    if lock:
        agreements = agreements.select_for_update(of=("self",), no_key=True)
        charges = charges.select_for_update(of=("self",), no_key=True)
    by_number = {row.number.casefold(): row for row in agreements}
    return _Known(
        charges={
            row.external_id or "": row
            for row in charges.select_related(
                "company", "agreement", "work_role", "work_type", "expense_type", "product"
            )
        },
        companies=_by_name(Company, "identifier"),
        agreements=by_number,
        records={
            "work_role": _by_name(WorkRole),
            "work_type": _by_name(WorkType),
            "expense_type": _by_name(ExpenseType),
            "product": _by_name(Product, "identifier"),
        },
        book=RateBook(row.pk for row in by_number.values()),
    )


def _by_name(model: type[M], name: str = "name") -> dict[str, M]:
    return {getattr(row, name).casefold(): row for row in model._default_manager.all()}


def _plan(content: bytes, *, lock: bool = False) -> _Plan:
    table = read_table(content, _COLUMNS)
    known = _known(table, lock=lock)
    rows: list[_Row] = []
    first_row: dict[str, int] = {}
    for cells in table:
        key = cells.given("external_id")
        charge = known.charges.get(key) or Charge(external_id=key or None)
        if key and key in first_row:
            cells.wrong("external_id", f"“{key}” is in row {first_row[key]} already.", "Keep one row for each.")
            charge = Charge(external_id=key)
        if key:
            first_row.setdefault(key, cells.row)
        rows.append(_read_row(cells, charge, known))
    return _Plan(rows)


def _read_row(cells: Cells, charge: Charge, known: _Known) -> _Row:
    row = _Row(cells, charge, was=charge.agreement_id)
    new = charge._state.adding
    kind = str(cells.choice("kind", _KINDS, ""))
    if not new and kind and kind != charge.kind:
        cells.wrong("kind", f"It has been entered as {charge.kind}.", "Use another external id.")
    company, on = cells.lookup("company", known.companies, "company"), cells.day("date")
    before = {name: getattr(charge, name) for name in _PRICED}
    if new and isinstance(company, Company):
        charge.company = company
    row.changes = change(
        charge,
        kind=kind,
        company=company if isinstance(company, Company) else UNSET,
        date=on if isinstance(on, date) else UNSET,
        agreement=cells.lookup("agreement", known.agreements, "agreement"),
        quantity=cells.quantity("quantity", Decimal(0)),
        description=cells.text("description"),
        member=cells.text("member"),
        ticket=cells.text("ticket"),
        customer_po=cells.text("customer_po"),
        notes=cells.text("notes"),
        **_own(cells, kind, known),
    )
    _require(cells)
    if not cells.errors:
        _price(cells, charge, known, row.changes)
    if new:
        row.deed = "create"
        _check(cells, charge, known)
    elif row.changes:
        row.deed = "update"
        _check_open(cells, charge)
        _check(cells, charge, known)
        row.changes |= {name: (old, now) for name, old in before.items() if (now := getattr(charge, name)) != old}
    return row


def _own(cells: Cells, kind: str, known: _Known) -> dict[str, Any]:
    """The work role, work type, expense type or product of the row; none that its kind does not have."""
    found: dict[str, Any] = {}
    for name, records in known.records.items():
        if name in _OWN.get(kind, ()):
            found[name] = cells.lookup(name, records, name.replace("_", " "))
            if found[name] in (None, UNSET) and name != "work_type" and not cells.given(name):
                cells.wrong(name, f"Enter the {name.replace('_', ' ')}.", f"Every {kind} has one.")
                found[name] = UNSET
            elif not getattr(found[name], "active", True):
                cells.wrong(name, f"{cells.given(name)} is no longer used.", "Name another.")
        elif kind and cells.given(name):
            cells.wrong(name, f"{kind.capitalize()} has no {name.replace('_', ' ')}.", "Leave the cell empty.")
    return found


def _require(cells: Cells) -> None:
    seen = {error.column for error in cells.errors}
    for name in ("kind", "date", "company", "quantity", "description"):
        if not cells.given(name) and name not in seen:
            cells.wrong(name, f"Enter the {name}.", "Every row needs it.")


def _price(cells: Cells, charge: Charge, known: _Known, changes: Changes) -> None:
    """What the row says of price, cost, option and tax, or what follows from the rest of it where it is new."""
    new = charge._state.adding
    if charge.kind == ChargeKind.TIME:
        changes |= change(charge, rate_override=_amount(cells, "price", empty=None))
        if cells.given("cost"):
            cells.wrong("cost", "Time costs what the work role says.", "Leave the cell empty.")
        if new:
            charge.unit_price = charge.unit_cost = Decimal(0)  # until it is rated
    else:
        price, cost = _amount(cells, "price", empty=UNSET), _amount(cells, "cost", empty=UNSET)
        if new and price is UNSET and charge.product is None:
            cells.wrong("price", "Enter the price.", "An expense has no other.")
        if new:
            price = _given(price, charge.product.price if charge.product else Decimal(0))
            cost = _given(cost, charge.product.cost if charge.product else price)
        changes |= change(charge, unit_price=price, unit_cost=cost)
    taxable = cells.flag("taxable", default=_taxable(charge))
    option = cells.choice("billing_option", _OPTIONS, "") or known.book.option(charge)
    if new:
        taxable, option = _given(taxable, _taxable(charge)), _given(option, known.book.option(charge))
    changes |= change(charge, taxable=taxable, billing_option=option)


def _amount(cells: Cells, column: str, *, empty: Unset | None) -> Decimal | Unset | None:
    """The price or cost of a cell; ``empty`` for an empty one."""
    amount = cells.amount(column)
    return amount if amount is UNSET or cells.given(column) else empty


def _given(value: Any, otherwise: Any) -> Any:
    return otherwise if value is UNSET else value


def _taxable(charge: Charge) -> bool:
    if charge.kind == ChargeKind.TIME:
        return True
    record = charge.expense_type if charge.kind == ChargeKind.EXPENSE else charge.product
    return bool(record is not None and record.taxable)


def _check(cells: Cells, charge: Charge, known: _Known) -> None:
    """What entering it by hand would refuse, and the rate."""
    if cells.errors:
        return
    try:
        policies.ensure_sound(charge)
        ensure_customer(charge.company)
        policies.ensure_agreement_of(charge.company, charge.agreement)
        if charge.product is not None:
            policies.ensure_usable(charge.product)
        known.book.price(charge)
        billable = charge.billing_option == BillingOption.BILLABLE
        ensure_billable(charge.company, price_total=charge.amount if billable else Decimal(0))
    except DomainError as error:
        cells.wrong(_NAMES.get(error.field or "", error.field or ""), error.message, error.hint)
        return
    for problem in field_problems(charge):
        cells.wrong(_NAMES.get(problem.field or "", problem.field or ""), problem.message, problem.hint)


def _check_open(cells: Cells, charge: Charge) -> None:
    try:
        policies.ensure_open(charge)
    except DomainError as error:
        cells.wrong("", error.message, error.hint)
