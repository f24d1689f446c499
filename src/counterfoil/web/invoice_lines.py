"""The lines of an invoice as its page shows them: under headings, with what agreements cover of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.urls import reverse

from counterfoil.billing.models import Invoice, InvoiceLine, LineKind
from counterfoil.core.money import sum_money
from counterfoil.platform.lookup import load_related
from counterfoil.usage.models import ChargeKind

_HEADINGS = {LineKind.SERVICE: "Services", LineKind.EXPENSE: "Expenses", LineKind.PRODUCT: "Products"}


@dataclass(frozen=True, slots=True)
class LineView:
    """A line and what stands beneath it.

    Attributes:
        detail: who did it, for which ticket, under which agreement.
        source: words and page of what the line bills, or gives back.
        is_fixed: whether it stays on its draft: the agreement's bill is changed in the agreement.
    """

    line: InvoiceLine
    unit: str
    detail: str
    source: tuple[str, str] | None
    is_fixed: bool

    @property
    def full_amount(self) -> Decimal:
        """What it would be without coverage."""
        return sum_money([self.line.amount, self.line.covered_amount])


@dataclass(frozen=True, slots=True)
class LineGroup:
    """Lines under one heading."""

    heading: str
    lines: tuple[LineView, ...]

    @property
    def amount(self) -> Decimal:
        """What they come to before tax."""
        return sum_money(each.line.amount for each in self.lines)

    @property
    def covered(self) -> Decimal:
        """What agreements cover of them."""
        return sum_money(each.line.covered_amount for each in self.lines)


def grouped_lines(invoice: Invoice) -> list[LineGroup]:
    """The lines in the order of the invoice, those of one heading together."""
    rows = list(InvoiceLine.objects.filter(invoice=invoice).select_related("product"))
    load_related(rows, "agreement", "charge__work_role", "order_line__order", "credited_line__invoice", "down_payment")
    groups: dict[str, list[LineView]] = {}
    for line in rows:
        groups.setdefault(_heading(line, invoice), []).append(_view(line, invoice))
    return [LineGroup(heading, tuple(lines)) for heading, lines in groups.items()]


def _heading(line: InvoiceLine, invoice: Invoice) -> str:
    if line.down_payment_id is not None:
        return "Down payments applied"
    if line.charge is not None:
        return "Time" if line.charge.kind == ChargeKind.TIME else _HEADINGS[LineKind(line.kind)]
    if line.period_start is not None and line.agreement is not None:
        return f"{line.agreement.number} {line.agreement.name}"
    return _HEADINGS[LineKind(line.kind)]


def _view(line: InvoiceLine, invoice: Invoice) -> LineView:
    charge = line.charge
    detail: Iterable[str] = ()
    if charge is not None:
        role = charge.work_role.name if charge.work_role else ""
        detail = (charge.member, role, f"ticket {charge.ticket}" if charge.ticket else "")
    return LineView(
        line=line,
        unit="h" if charge is not None and charge.kind == ChargeKind.TIME else "",
        detail=" · ".join(filter(None, detail)),
        source=_source(line),
        is_fixed=line.period_start is not None and line.credited_line_id is None,
    )


def _source(line: InvoiceLine) -> tuple[str, str] | None:
    if line.credited_line is not None:
        return f"Credits {line.credited_line.invoice}", reverse("web:invoice", args=[line.credited_line.invoice_id])
    if line.down_payment is not None:
        return f"Down payment {line.down_payment}", reverse("web:invoice", args=[line.down_payment_id])
    if line.charge_id is not None:
        return "The entry and what covers it", reverse("web:charge", args=[line.charge_id])
    if line.order_line is not None:
        return f"Sales order {line.order_line.order}", reverse("web:sales_order", args=[line.order_line.order_id])
    if line.agreement is not None:
        return f"Agreement {line.agreement.number}", reverse("web:agreement", args=[line.agreement_id])
    return None
