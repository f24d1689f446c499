"""Vendors' bills from CSV and XLSX: their lines found among what has arrived, split where they span several orders.

A line that names a purchase order (ours, or the vendor's number of it) is looked for on that order alone; another one
on all open orders of the vendor, first those at the same cost, then the oldest. A product is known by the vendor's
SKU, our identifier, its name, or a name that was confirmed. One line may take from many order lines, and many lines
from one; what is left over is shown, and refused unless it is to be left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final

from counterfoil.companies.models import Company
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, extend, format_money, round_to, sum_money
from counterfoil.matching.column_mappings import MappedRow, columns_of, mapped_rows, suggest
from counterfoil.matching.models import VendorStatement
from counterfoil.matching.names import Directory, fold, product_texts, products_of
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.imports import RowError, refuse_errors
from counterfoil.platform.lookup import existing
from counterfoil.platform.records import plain_number
from counterfoil.platform.sheets import read_sheet
from counterfoil.procurement.commands import BillLine, enter_vendor_bill
from counterfoil.procurement.models import PurchaseOrderLine, VendorBill
from counterfoil.procurement.queries import billable_lines

CLERKS: Final = (Role.PROCUREMENT, Role.FINANCE)

_NEEDED: Final = (("quantity",), ("product_name", "vendor_sku"), ("unit_cost", "amount"))
_FREIGHT: Final = frozenset({"freight", "shipping", "handling", "shipping handling", "shipping and handling"})
_TAX: Final = frozenset({"tax", "sales tax", "use tax"})


@dataclass(frozen=True, slots=True)
class BilledRow:
    """A line of a vendor's bill: row 1 of a file is its headings. ``product_id`` is empty where it is not known."""

    row: int
    invoice_number: str
    invoice_date: date | None
    purchase_order: str
    vendor_sku: str
    product_name: str
    quantity: Decimal
    unit_cost: Decimal
    amount: Decimal
    product_id: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """What of a row bills which purchase order line. ``unit_cost_ordered`` is the cost on the order."""

    purchase_order_line_id: int
    purchase_order: str
    description: str
    quantity: Decimal
    unit_cost: Decimal
    unit_cost_ordered: Decimal


@dataclass(frozen=True, slots=True)
class MatchedRow:
    """A row with the order lines it bills, and how many of it were found on none, and why."""

    row: BilledRow
    parts: tuple[Part, ...]
    unmatched_quantity: Decimal
    why: str


@dataclass(frozen=True, slots=True)
class PlannedBill:
    """A bill as it would be entered. ``unmatched`` is the amount that is found on no order line."""

    vendor_invoice_number: str
    date: date | None
    rows: tuple[MatchedRow, ...]
    freight: Decimal
    tax: Decimal
    total: Decimal
    unmatched: Decimal
    entered_as: str


@dataclass(frozen=True, slots=True)
class BillsPreview:
    """What importing a file of bills would do, or what stands in its way."""

    headings: tuple[str, ...]
    mapping: str
    columns: dict[str, str]
    bills: tuple[PlannedBill, ...]
    errors: tuple[RowError, ...]


def preview_vendor_bills(
    *,
    vendor_id: int,
    content: bytes,
    mapping: str = "",
    vendor_invoice_number: str = "",
    bill_date: date | None = None,
    leave_unmatched: bool = False,
) -> BillsPreview:
    """What importing the file would do; arguments as those of :func:`import_vendor_bills`. Nothing is written.

    Raises:
        DomainError: ``import_rows_invalid`` when the file as a whole cannot be read; ``not_found``.
    """
    vendor = existing(Company.objects.all(), vendor_id, "vendor_id")
    sheet = read_sheet(content)
    columns = columns_of(mapping, vendor_id=vendor_id, headings=sheet.headings)
    rows, errors = _read(mapped_rows(sheet, columns, _NEEDED), vendor, vendor_invoice_number, bill_date)
    bills = _planned(vendor, rows)
    return BillsPreview(
        headings=sheet.headings,
        mapping=mapping or suggest(sheet.headings, vendor_id=vendor_id).mapping,
        columns=columns,
        bills=bills,
        errors=(*errors, *([] if leave_unmatched else _unmatched(bills))),
    )


@command(roles=CLERKS)
def import_vendor_bills(
    *,
    actor: Actor,
    vendor_id: int,
    content: bytes,
    mapping: str = "",
    vendor_invoice_number: str = "",
    bill_date: date | None = None,
    leave_unmatched: bool = False,
    filename: str = "",
) -> list[VendorBill]:
    """Enter the bills of a file, one for each invoice number in it: all or none.

    Rows called freight, shipping or tax become the bill's freight and tax.

    Args:
        actor: who enters them.
        vendor_id: whose bills they are.
        content: CSV or XLSX.
        mapping: name of the column mapping; empty: what fits the headings.
        vendor_invoice_number: of rows that name none.
        bill_date: of rows that name none.
        leave_unmatched: enter what is found on purchase orders, and leave the rest out.
        filename: for the record.

    Raises:
        DomainError: ``import_rows_invalid`` with every mistake in ``details``, rows found on no order line among them;
            ``duplicate`` for an invoice that is entered already; and what entering a bill refuses.
    """
    vendor = existing(Company.objects.all(), vendor_id, "vendor_id")
    sheet = read_sheet(content)
    columns = columns_of(mapping, vendor_id=vendor_id, headings=sheet.headings)
    rows, errors = _read(mapped_rows(sheet, columns, _NEEDED), vendor, vendor_invoice_number, bill_date)
    refuse_errors(errors, len(rows))
    return _enter(actor, vendor, _planned(vendor, rows), filename or "a file", leave_unmatched=leave_unmatched)


def plan_statement_bill(
    *, statement_id: int, vendor_invoice_number: str = "", bill_date: date | None = None
) -> PlannedBill:
    """The bill that a statement's lines make; arguments as those of :func:`bill_statement`.

    Raises:
        DomainError: ``not_found``; ``required`` when the statement has no reference and no number is given.
    """
    statement = existing(VendorStatement.objects.select_related("vendor"), statement_id, "statement_id")
    number = vendor_invoice_number.strip() or statement.reference
    if not number:
        raise DomainError("required", "Enter the vendor's invoice number.", field="vendor_invoice_number")
    rows = [
        BilledRow(
            row=line.position,
            invoice_number=number,
            invoice_date=bill_date or statement.period_end,
            purchase_order="",
            vendor_sku=line.vendor_sku,
            product_name=line.product_name,
            quantity=line.quantity,
            unit_cost=_each(line.quantity, line.unit_cost, line.amount),
            amount=line.amount,
            product_id=line.product_id if line.product_match in ("exact", "alias") else None,
        )
        for line in statement.lines.order_by("position")
        if line.amount
    ]
    if not rows:
        raise DomainError("invalid", f"{statement.number} has no line with an amount.", field="statement_id")
    return _planned(statement.vendor, rows)[0]


@command(roles=CLERKS)
def bill_statement(
    *,
    actor: Actor,
    statement_id: int,
    vendor_invoice_number: str = "",
    bill_date: date | None = None,
    leave_unmatched: bool = False,
) -> VendorBill:
    """Enter a statement as the vendor's bill, where its lines are found on purchase orders.

    Args:
        actor: who enters it.
        statement_id: whose lines are billed.
        vendor_invoice_number: empty: the statement's reference.
        bill_date: empty: the first day after the statement's period.
        leave_unmatched: leave out what is found on no order line.

    Raises:
        DomainError: as :func:`import_vendor_bills`.
    """
    planned = plan_statement_bill(
        statement_id=statement_id, vendor_invoice_number=vendor_invoice_number, bill_date=bill_date
    )
    statement = existing(VendorStatement.objects.select_related("vendor"), statement_id, "statement_id")
    (bill,) = _enter(actor, statement.vendor, [planned], statement.number, leave_unmatched=leave_unmatched)
    return bill


# -- reading -----------------------------------------------------------------------------------------------------------


def _read(
    rows: Sequence[MappedRow], vendor: Company, number: str, on: date | None
) -> tuple[list[BilledRow], list[RowError]]:
    products = products_of(vendor.pk)
    read = [_row(row, products, number.strip(), on) for row in rows]
    return read, [error for row in rows for error in row.errors]


def _row(row: MappedRow, products: Directory, number: str, on: date | None) -> BilledRow:
    sku, name = row.text("vendor_sku", 120), row.text("product_name", 200)
    quantity, amount = row.amount("quantity", 6), row.amount("amount", 4)
    cost = _each(quantity, row.amount("unit_cost", 8), amount)
    invoice, day = row.text("invoice_number", 60) or number, row.day("invoice_date") or on
    if not invoice:
        row.wrong("invoice_number", "The row names no invoice.", "Give the vendor's invoice number.")
    if day is None and not row.values.get("invoice_date"):
        row.wrong("invoice_date", "The row names no date of the invoice.", "Give the date.")
    if not quantity and not amount:
        row.wrong("quantity", "Enter how many.")
    return BilledRow(
        row=row.number,
        invoice_number=invoice,
        invoice_date=day,
        purchase_order=row.text("purchase_order", 60),
        vendor_sku=sku,
        product_name=name or sku,
        quantity=quantity,
        unit_cost=cost,
        amount=amount or extend(quantity, cost),
        product_id=products.find(*product_texts(sku, name)).pk,
    )


def _each(quantity: Decimal, unit_cost: Decimal, amount: Decimal) -> Decimal:
    """What one costs on the bill: its amount decides, so that the bill comes to what the vendor asks for."""
    return abs(round_to(Fraction(amount) / Fraction(quantity), 8)) if quantity and amount else abs(unit_cost)


# -- finding the order lines -------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Open:
    """A purchase order line with what of it can still be billed."""

    line: PurchaseOrderLine
    left: Decimal
    keys: frozenset[str]

    def is_of(self, row: BilledRow) -> bool:
        """Whether the row is for this product."""
        if row.product_id is not None:
            return row.product_id == self.line.product_id
        return fold(row.vendor_sku) in self.keys or fold(row.product_name) in self.keys

    def is_on(self, order: str) -> bool:
        """Whether it stands on that order, by our number or the vendor's."""
        wanted = fold(order)
        return wanted in (fold(self.line.purchase_order.number), fold(self.line.purchase_order.vendor_order_number))


def _planned(vendor: Company, rows: Iterable[BilledRow]) -> tuple[PlannedBill, ...]:
    """The bills by invoice number in the order of the file; order lines are given out once among all of them."""
    by_invoice: dict[str, list[BilledRow]] = defaultdict(list)
    for row in rows:
        by_invoice[row.invoice_number].append(row)
    entered = dict(
        VendorBill.objects.filter(vendor=vendor, vendor_invoice_number__in=by_invoice).values_list(
            "vendor_invoice_number", "number"
        )
    )
    pool = [
        _Open(
            each.line, each.to_bill, frozenset(filter(None, (fold(each.line.vendor_sku), fold(each.line.description))))
        )
        for each in billable_lines(vendor.pk)
    ]
    return tuple(_bill(number, of_bill, pool, entered.get(number, "")) for number, of_bill in by_invoice.items())


def _bill(number: str, rows: Sequence[BilledRow], pool: list[_Open], entered_as: str) -> PlannedBill:
    charged = {row.row: _side(row) for row in rows}
    named_first = sorted(
        (row for row in rows if not charged[row.row]), key=lambda row: (not row.purchase_order, row.row)
    )
    matched = {row.row: _match(row, pool) for row in named_first}
    found = [matched[row.row] for row in rows if row.row in matched]
    freight = sum_money(row.amount for row in rows if charged[row.row] == "freight")
    tax = sum_money(row.amount for row in rows if charged[row.row] == "tax")
    lines = sum_money(extend(part.quantity, part.unit_cost) for row in found for part in row.parts)
    return PlannedBill(
        vendor_invoice_number=number,
        date=next((row.invoice_date for row in rows if row.invoice_date), None),
        rows=tuple(found),
        freight=freight,
        tax=tax,
        total=lines + freight + tax,
        unmatched=sum_money(row.row.amount for row in found) - lines,
        entered_as=entered_as,
    )


def _side(row: BilledRow) -> str:
    """Freight or tax, where the row is that and no product of ours."""
    name = fold(row.product_name)
    if row.product_id is not None:
        return ""
    return "freight" if name in _FREIGHT else "tax" if name in _TAX else ""


def _match(row: BilledRow, pool: Sequence[_Open]) -> MatchedRow:
    """Take the row's quantity from the order lines it is for."""
    if row.quantity <= 0:
        return MatchedRow(row, (), row.quantity, "A credit is not entered with a bill.")
    of_product = [each for each in pool if each.is_of(row)]
    if row.purchase_order:
        candidates = [each for each in of_product if each.is_on(row.purchase_order)]
    else:
        candidates = sorted(of_product, key=lambda each: each.line.unit_cost != row.unit_cost)  # stable: oldest first
    parts, left = [], row.quantity
    for each in candidates:
        taken = min(left, each.left)
        if taken <= 0:
            continue
        each.left -= taken
        left -= taken
        line = each.line
        parts.append(Part(line.pk, line.purchase_order.number, line.description, taken, row.unit_cost, line.unit_cost))
    return MatchedRow(row, tuple(parts), left, _why(row, of_product, candidates) if left else "")


def _why(row: BilledRow, of_product: Sequence[_Open], candidates: Sequence[_Open]) -> str:
    if not of_product:
        return f"No {row.product_name} has arrived that is not billed."
    if not candidates:
        return f"{row.purchase_order} has no {row.product_name} that has arrived and is not billed."
    return f"More than has arrived of {row.product_name} and is not billed."


# -- entering ----------------------------------------------------------------------------------------------------------


def _enter(
    actor: Actor, vendor: Company, planned: Sequence[PlannedBill], source: str, *, leave_unmatched: bool
) -> list[VendorBill]:
    if not leave_unmatched:
        refuse_errors(_unmatched(planned), sum(len(bill.rows) for bill in planned))
    bills = []
    for bill in planned:
        if bill.date is None:
            raise DomainError("required", f"Enter the date of {bill.vendor_invoice_number}.", field="bill_date")
        lines = [
            BillLine(part.purchase_order_line_id, part.quantity, part.unit_cost)
            for row in bill.rows
            for part in row.parts
        ]
        entered = enter_vendor_bill(
            actor=actor, vendor_id=vendor.pk, vendor_invoice_number=bill.vendor_invoice_number, date=bill.date,
            lines=lines, freight=bill.freight, tax=bill.tax,
        )  # fmt: skip
        left = f", {format_money(bill.unmatched)} left out" if bill.unmatched != ZERO else ""
        audit.record(
            actor, "matching.vendor_bill.imported",
            f"took {entered}, {format_money(entered.total)}, from {source} of {vendor.name}{left}", entered,
        )  # fmt: skip
        bills.append(entered)
    return bills


def _unmatched(planned: Sequence[PlannedBill]) -> list[RowError]:
    """The rows of which something is found on no order line."""
    return [
        RowError(each.row.row, "", f"{plain_number(each.unmatched_quantity)} {each.row.product_name}: {each.why}")
        for bill in planned
        for each in bill.rows
        if each.unmatched_quantity
    ]
