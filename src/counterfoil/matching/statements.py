"""Vendors' statements from CSV and XLSX: preview, then all or nothing; one file of a vendor is imported once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from typing import Final

from django.db.models import Count, Q, QuerySet

from counterfoil.companies.models import Company
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import extend, format_money, round_to, sum_money
from counterfoil.matching.column_mappings import MappedRow, columns_of, mapped_rows, suggest
from counterfoil.matching.models import NameMatch, VendorStatement, VendorStatementLine
from counterfoil.matching.names import Directory, customers_of, products_of, resolve
from counterfoil.matching.words import cycle_of, is_seats, month_of, term_of
from counterfoil.platform import audit
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.copying import copy_rows
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.imports import RowError, refuse_errors
from counterfoil.platform.lookup import existing, locked
from counterfoil.platform.numbering import take_number
from counterfoil.platform.sheets import Sheet, read_sheet

CLERKS: Final = (Role.PROCUREMENT, Role.FINANCE)
_DAY: Final = timedelta(days=1)

#: Of which one each must be in the file.
_NEEDED: Final = (("quantity",), ("customer_name", "customer_key"), ("product_name", "vendor_sku"))
#: How many lines a preview shows.
_SHOWN: Final = 50
_COPIED: Final = tuple(
    field.attname for field in VendorStatementLine._meta.concrete_fields if not field.primary_key
)  # fmt: skip

refuse_as("vendor_file_imported_once", "duplicate", "Somebody is importing the same file just now.")


@dataclass(frozen=True, slots=True)
class PreviewedLine:
    """A line as it is understood. ``company`` and ``product`` are ours, empty where the name is not known."""

    position: int
    customer_name: str
    company: str
    company_match: str
    product_name: str
    vendor_sku: str
    product: str
    product_match: str
    quantity: Decimal
    unit_cost: Decimal
    amount: Decimal
    charge_type: str
    charge_start: date | None
    charge_end: date | None
    term: str
    billing_cycle: str


@dataclass(frozen=True, slots=True)
class StatementPreview:
    """What importing a file would do, or what stands in its way; nothing is written.

    ``mapping`` is the saved mapping that was taken, empty where the headings were understood by their names.
    ``in_effect`` counts the lines that hold on the period's last day; only they are compared. ``customers`` and
    ``products`` count distinct names by how they are understood. ``imported_as`` is the statement that the same file is
    already.
    """

    headings: tuple[str, ...]
    mapping: str
    columns: dict[str, str]
    period_start: date | None
    period_end: date | None
    reference: str
    line_count: int
    total: Decimal
    in_effect: int
    customers: dict[str, int]
    products: dict[str, int]
    lines: tuple[PreviewedLine, ...]
    errors: tuple[RowError, ...]
    imported_as: str


@dataclass(frozen=True, slots=True)
class ImportedStatement:
    """A statement; ``fresh`` unless the same file had been imported before, which changes nothing."""

    statement: VendorStatement
    fresh: bool


def preview_statement(
    *,
    vendor_id: int,
    content: bytes,
    mapping: str = "",
    period_start: date | None = None,
    period_end: date | None = None,
    reference: str = "",
) -> StatementPreview:
    """What importing the file would do; arguments as those of :func:`import_statement`.

    Raises:
        DomainError: ``import_rows_invalid`` when the file as a whole cannot be read; ``not_found``.
    """
    vendor = _vendor(vendor_id)
    sheet = read_sheet(content)
    columns = columns_of(mapping, vendor_id=vendor_id, headings=sheet.headings)
    plan = _plan(vendor, sheet, columns, period_start, period_end)
    former = _former(vendor_id, content)
    return StatementPreview(
        headings=sheet.headings,
        mapping=mapping or suggest(sheet.headings, vendor_id=vendor_id).mapping,
        columns=columns,
        period_start=plan.start,
        period_end=plan.end,
        reference=reference.strip() or plan.reference,
        line_count=len(plan.lines),
        total=plan.total,
        in_effect=sum(_holds(line, plan.end - _DAY) for line in plan.lines) if plan.end else 0,
        customers=_names({(line.customer_name, line.customer_key): line.company_match for line in plan.lines}),
        products=_names({(line.product_name, line.vendor_sku): line.product_match for line in plan.lines}),
        lines=tuple(_previewed(line, plan) for line in plan.lines[:_SHOWN]),
        errors=tuple(plan.errors),
        imported_as=former.number if former else "",
    )


@command(roles=CLERKS)
def import_statement(
    *,
    actor: Actor,
    vendor_id: int,
    content: bytes,
    now: datetime,
    filename: str = "",
    mapping: str = "",
    period_start: date | None = None,
    period_end: date | None = None,
    reference: str = "",
) -> ImportedStatement:
    """Import what a vendor says that each customer has: all lines or none. The same file again changes nothing.

    Args:
        actor: who imports it.
        vendor_id: whose file it is.
        content: CSV or XLSX.
        now: an aware instant.
        filename: for the record.
        mapping: name of the column mapping; empty: what fits the headings.
        period_start: first day it is for; empty: of the month in which the latest charge starts.
        period_end: last day it is for; empty: the end of the month of ``period_start``.
        reference: the vendor's invoice number; empty: that in the file. A later statement for the same period and
            reference replaces this one.

    Raises:
        DomainError: ``import_rows_invalid`` with every mistake in ``details``; ``required`` when the period is neither
            given nor in the file; ``not_found``; ``invalid`` when the company is no vendor.
    """
    vendor = _vendor(vendor_id)
    former = _former(vendor_id, content)
    if former is not None:
        text = f"imported {filename or 'a file'} of {vendor.name} again; it is {former.number} already"
        audit.record(actor, "matching.statement.imported_again", text, former)
        return ImportedStatement(former, fresh=False)
    sheet = read_sheet(content)
    columns = columns_of(mapping, vendor_id=vendor_id, headings=sheet.headings)
    plan = _plan(vendor, sheet, columns, period_start, period_end)
    refuse_errors(plan.errors, len(plan.lines))
    if plan.start is None or plan.end is None:
        raise DomainError(
            "required", "The file does not say which period it is for.", field="period_start",
            hint="Give its first and last day.",
        )  # fmt: skip
    statement = VendorStatement.objects.create(
        number=take_number("vendor_statement"),
        vendor=vendor,
        reference=(reference.strip() or plan.reference)[:60],
        period_start=plan.start,
        period_end=plan.end,
        file_name=filename[-200:],
        file_sha256=sha256(content).hexdigest(),
        line_count=len(plan.lines),
        total=plan.total,
        imported_at=now,
        imported_by=actor.name,
    )
    for line in plan.lines:
        line.statement_id = statement.pk
    copy_rows(VendorStatementLine, _COPIED, ([getattr(line, name) for name in _COPIED] for line in plan.lines))
    last = statement.period_end - _DAY
    audit.record(
        actor, "matching.statement.imported",
        f"imported {statement.number} of {vendor.name} for {format_date(statement.period_start)} to"
        f" {format_date(last)}: {statement.line_count} lines, {format_money(statement.total)}",
        statement, sha256=statement.file_sha256,
    )  # fmt: skip
    return ImportedStatement(statement, fresh=True)


@command(roles=CLERKS)
def delete_statement(*, actor: Actor, statement_id: int) -> None:
    """Delete a statement that is not reconciled: a wrong file, or the wrong vendor.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` once it is reconciled.
    """
    statement = locked(VendorStatement.objects.select_related("vendor"), statement_id)
    if statement.reconciled_at is not None:
        raise DomainError(
            "wrong_state", f"{statement.number} is reconciled; its exceptions refer to it.",
            hint="Import the right file for the same period: the later one replaces it.",
        )  # fmt: skip
    text = f"deleted {statement.number} of {statement.vendor.name}, {statement.line_count} lines"
    audit.record(actor, "matching.statement.deleted", text, statement)
    statement.delete()


# -- queries -----------------------------------------------------------------------------------------------------------


def statements(*, vendor_id: int | None = None, search: str = "") -> QuerySet[VendorStatement]:
    """Statements, newest first, with ``unknown_lines``: how many lines have a name that nobody has confirmed."""
    known = (NameMatch.EXACT, NameMatch.ALIAS)
    unknown = ~Q(lines__company_match__in=known) | ~Q(lines__product_match__in=known)
    rows = VendorStatement.objects.select_related("vendor")
    rows = rows.annotate(unknown_lines=Count("lines", filter=unknown & Q(lines__isnull=False)))
    if vendor_id is not None:
        rows = rows.filter(vendor=vendor_id)
    if words := search.strip():
        rows = rows.filter(
            Q(number__icontains=words) | Q(reference__icontains=words) | Q(vendor__name__icontains=words)
        )
    return rows.order_by("-id")


def statement_lines(
    statement_id: int, *, search: str = "", unknown_only: bool = False
) -> QuerySet[VendorStatementLine]:
    """The lines of a statement in order, with the company and product they are understood to mean."""
    rows = VendorStatementLine.objects.filter(statement=statement_id).select_related("company", "product")
    if unknown_only:
        known = (NameMatch.EXACT, NameMatch.ALIAS)
        rows = rows.filter(~Q(company_match__in=known) | ~Q(product_match__in=known))
    if words := search.strip():
        rows = rows.filter(
            Q(customer_name__icontains=words) | Q(product_name__icontains=words) | Q(vendor_sku__icontains=words)
        )
    return rows.order_by("position")


# -- the plan ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Plan:
    lines: list[VendorStatementLine]
    errors: list[RowError]
    start: date | None
    end: date | None
    reference: str
    customers: Directory
    products: Directory

    @property
    def total(self) -> Decimal:
        return sum_money(line.amount for line in self.lines)


def _plan(
    vendor: Company, sheet: Sheet, columns: dict[str, str], period_start: date | None, period_end: date | None
) -> _Plan:
    rows = mapped_rows(sheet, columns, _NEEDED)
    lines = [_line(row, position) for position, row in enumerate(rows, start=1)]
    customers, products = customers_of(vendor.pk), products_of(vendor.pk)
    resolve(lines, customers, products)
    start, end = _period(lines, period_start, period_end)
    references = Counter(text for row in rows if (text := row.text("invoice_number", 60)))
    common = references.most_common(1)
    errors = [error for row in rows for error in row.errors]
    return _Plan(lines, errors, start, end, common[0][0] if common else "", customers, products)


def _previewed(line: VendorStatementLine, plan: _Plan) -> PreviewedLine:
    return PreviewedLine(
        position=line.position,
        customer_name=line.customer_name,
        company=plan.customers.shown.get(line.company_id or 0, ""),
        company_match=str(line.company_match),
        product_name=line.product_name,
        vendor_sku=line.vendor_sku,
        product=plan.products.shown.get(line.product_id or 0, ""),
        product_match=str(line.product_match),
        quantity=line.quantity,
        unit_cost=line.unit_cost,
        amount=line.amount,
        charge_type=line.charge_type,
        charge_start=line.charge_start,
        charge_end=line.charge_end,
        term=line.term,
        billing_cycle=line.billing_cycle,
    )


def _line(row: MappedRow, position: int) -> VendorStatementLine:
    """A row as a line; what is wrong in it is noted on the row."""
    quantity = row.amount("quantity", 6)
    cost, amount = row.amount("unit_cost", 8), row.amount("amount", 4)
    if not row.values.get("unit_cost") and quantity:
        cost = round_to(abs(Fraction(amount) / Fraction(quantity)), 8)
    if not row.values.get("amount"):
        amount = extend(quantity, cost)
    start, end = row.day("charge_start"), row.day("charge_end")
    if start and end and end < start:
        row.wrong("charge_end", "It ends before it starts.")
    customer = row.text("customer_name", 200) or row.text("customer_key", 100)
    product = row.text("product_name", 200) or row.text("vendor_sku", 120)
    charge_type = row.text("charge_type", 60)
    if not product:
        row.wrong("product_name", "The row names no product.")
    if not customer:
        row.wrong("customer_name", "The row names no customer.")
    if not row.values.get("quantity") and is_seats(charge_type):
        row.wrong("quantity", "Enter how many.")
    term = row.values.get("term", "")
    days = (end - start).days + 1 if start and end else None
    return VendorStatementLine(
        position=position,
        customer_name=customer,
        customer_key=row.text("customer_key", 100),
        product_name=product,
        vendor_sku=row.text("vendor_sku", 120),
        subscription=row.text("subscription", 100),
        quantity=quantity,
        unit_cost=abs(cost),
        amount=amount,
        charge_type=charge_type,
        charge_start=start,
        charge_end=end + _DAY if end else None,
        term=term_of(term),
        billing_cycle=cycle_of(term, row.values.get("billing_cycle", ""), days),
    )


def _period(
    lines: Iterable[VendorStatementLine], start: date | None, last: date | None
) -> tuple[date | None, date | None]:
    """First day and first day after, as given, or the month in which the latest charge starts."""
    if start is not None and last is not None and last < start:
        raise DomainError("invalid", "The period ends before it starts.", field="period_end")
    if start is None and last is None:
        latest = max((line.charge_start for line in lines if line.charge_start), default=None)
        return month_of(latest) if latest else (None, None)
    known = start or last
    assert known is not None
    first, after = month_of(known)
    return start or first, last + _DAY if last else after


def _holds(line: VendorStatementLine, on: date) -> bool:
    if line.charge_start is None or line.charge_end is None:
        return True
    return line.charge_start <= on < line.charge_end


def _names(names: dict[tuple[str, str], str]) -> dict[str, int]:
    counted = Counter(str(match) for match in names.values())
    return {match.value: counted[match.value] for match in NameMatch}


def _former(vendor_id: int, content: bytes) -> VendorStatement | None:
    return VendorStatement.objects.filter(vendor=vendor_id, file_sha256=sha256(content).hexdigest()).first()


def _vendor(vendor_id: int) -> Company:
    vendor = existing(Company.objects.all(), vendor_id, "vendor_id")
    if not vendor.is_vendor:
        raise DomainError("invalid", f"{vendor.name} is not a vendor.", field="vendor_id")
    return vendor
