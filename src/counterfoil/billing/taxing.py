"""Sales tax and totals of drafts; of credit memos out of the tax that was billed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceStatus, InvoiceTax
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, format_money, sum_money
from counterfoil.core.salestax import BookedLevel, BookedLine, Kind, TaxableLine, TaxResult, tax_of_credit
from counterfoil.tax.queries import TaxRules, tax_table


def reckon(invoice: Invoice) -> Invoice:
    """Compute tax and totals of a draft anew from its lines, and save them.

    Raises:
        DomainError: ``tax_code_not_in_effect``; ``invalid`` when it comes to less than zero, or a credit memo to more.
    """
    if invoice.credits_id is not None:
        return reckon_credit(invoice)
    lines = list(invoice.lines.select_related("product", "charge"))
    return write_tax(invoice, lines, tax_of(invoice, lines))


def tax_of(invoice: Invoice, lines: Sequence[InvoiceLine]) -> TaxResult:
    """The tax of a draft by the table of its date; lines are named by their ids."""
    codes = [invoice.tax_code_id] if invoice.tax_code_id else []
    table = tax_table(on=invoice.date, buyer_ids=[invoice.bill_to_id], tax_code_ids=codes)
    return table.tax(invoice.tax_code_id, invoice.bill_to_id, [_sold(line) for line in lines])


def write_tax(invoice: Invoice, lines: Sequence[InvoiceLine], result: TaxResult) -> Invoice:
    """Put tax and totals on a draft, and save them.

    Raises:
        DomainError: ``invalid`` when it comes to less than zero, or a credit memo to more.
    """
    for line in lines:
        line.tax_amount = result.by_line[line.pk]
    InvoiceLine.objects.bulk_update(lines, ["tax_amount"])
    invoice.taxes.all().delete()
    InvoiceTax.objects.bulk_create(
        InvoiceTax(
            invoice=invoice,
            position=tax.position,
            level=tax.name,
            agency=tax.agency,
            rate=tax.rate,
            taxable_amount=tax.taxable_amount,
            exempt_amount=tax.exempt_amount,
            amount=tax.amount,
        )
        for tax in result.by_level
        if tax.taxable_amount or tax.exempt_amount or tax.amount
    )
    invoice.subtotal = sum_money(line.amount for line in lines)
    invoice.tax_total = result.total if lines else ZERO
    invoice.total = sum_money([invoice.subtotal, invoice.tax_total])
    invoice.cost_total = sum_money(line.cost for line in lines)
    check_sign(invoice)
    invoice.save()
    return invoice


def check_sign(invoice: Invoice) -> None:
    """Refuse an invoice below zero and a credit memo above.

    Raises:
        DomainError: ``invalid``.
    """
    if invoice.is_credit_memo and invoice.total > 0:
        raise DomainError(
            "invalid",
            f"A credit memo gives money back; this one would charge {format_money(invoice.total)}.",
            field="lines",
            hint="Enter the lines below zero.",
        )
    if not invoice.is_credit_memo and invoice.total < 0:
        raise DomainError(
            "invalid",
            f"An invoice cannot come to less than zero; this one would come to {format_money(invoice.total)}.",
            field="lines",
            hint="Make a credit memo of it.",
        )


def _sold(line: InvoiceLine) -> TaxableLine:
    """The line as it is taxed: what an agreement covers of it is not."""
    return TaxableLine(
        key=line.pk,
        amount=line.amount,
        taxable=line.taxable,
        kind=cast(Kind, line.kind),
        quantity=(line.quantity - line.covered_quantity) or line.quantity,
        category_id=line.product.category_id if line.product else None,
        expense_type_id=line.charge.expense_type_id if line.charge else None,
        work_role_id=line.charge.work_role_id if line.charge else None,
    )


# -- credit memos of an invoice ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Credited:
    """What credit memos give back of an invoice, by its lines; with the sign of what was billed."""

    amounts: dict[int, Decimal]
    quantities: dict[int, Decimal]


def credited_of(invoice: Invoice, *, closed_only: bool = False, but: Invoice | None = None) -> Credited:
    """What has been credited of each line, drafts included unless ``closed_only``; ``but`` for one credit memo."""
    rows = InvoiceLine.objects.filter(credited_line__invoice=invoice).order_by()
    if closed_only:
        rows = rows.filter(invoice__status=InvoiceStatus.CLOSED)
    if but is not None:
        rows = rows.exclude(invoice=but)
    found = list(rows.values_list("credited_line", "amount", "quantity", "unit_price", "credited_line__unit_price"))
    amounts: dict[int, Decimal] = {}
    quantities: dict[int, Decimal] = {}
    for pk, amount, quantity, price, billed_price in found:
        if pk is None:
            continue
        amounts[pk] = sum_money([amounts.get(pk, ZERO), -amount])
        if price == billed_price:
            quantities[pk] = quantities.get(pk, Decimal(0)) - quantity
    return Credited(amounts, quantities)


def reckon_credit(memo: Invoice, *, closing: bool = False) -> Invoice:
    """Tax and totals of a draft credit memo, after what was credited before: by closed ones alone as it is closed.

    Credits of an invoice follow one another in the order in which they are closed; so they always add up to its tax.

    Raises:
        DomainError: ``invalid`` when more would be credited than was billed.
    """
    invoice = memo.credits
    assert invoice is not None
    lines = list(memo.lines.select_related("product", "charge"))
    before = credited_of(invoice, closed_only=closing, but=memo).amounts
    billed = list(invoice.lines.select_related("product", "charge"))
    levels = [BookedLevel(tax.level, tax.rate, tax.amount, tax.position, tax.agency) for tax in invoice.taxes.all()]
    taxed_at = _levels_of(invoice, billed)
    credits: dict[Hashable, Decimal] = {}
    for line in lines:
        pk = line.credited_line_id
        credits[pk] = sum_money([credits.get(pk, ZERO), -line.amount])
    booked = [
        BookedLine(line.pk, line.amount, line.tax_amount, before.get(line.pk, ZERO), taxed_at.get(line.pk))
        for line in billed
    ]
    result = tax_of_credit(booked, levels, credits)
    first = {line.credited_line_id: line.pk for line in reversed(lines)}  # the first line of each has the tax
    by_line: dict[Hashable, Decimal] = {
        line.pk: result.by_line[line.credited_line_id] if first[line.credited_line_id] == line.pk else ZERO
        for line in lines
    }
    return write_tax(memo, lines, result._replace(by_line=by_line))


def _levels_of(invoice: Invoice, lines: list[InvoiceLine]) -> dict[int, frozenset[int]]:
    """The positions of the levels that taxed each line, or would have, as the code stood on the invoice's date."""
    if invoice.tax_code_id is None:
        return {}
    table = tax_table(on=invoice.date, buyer_ids=[], tax_code_ids=[invoice.tax_code_id])
    rules = table.rules.get(invoice.tax_code_id)
    if rules is None or rules.problem:
        return {}
    return {line.pk: _positions(rules, line) for line in lines}


def _positions(rules: TaxRules, line: InvoiceLine) -> frozenset[int]:
    if not line.taxable:
        return frozenset()
    kind = cast(Kind, line.kind)
    at = frozenset(level.position for level in rules.levels if level.taxes(kind))
    if not line.tax_amount:
        return at  # exempt wherever it would have been taxed
    return at - rules.exempt(
        line.product.category_id if line.product else None,
        line.charge.expense_type_id if line.charge else None,
        line.charge.work_role_id if line.charge else None,
    )
