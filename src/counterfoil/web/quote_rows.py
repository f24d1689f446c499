"""A version of a quote as the editor shows it: sections, lines, what each comes to, and what is particular about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from django.urls import reverse

from counterfoil.core.calendar import format_date
from counterfoil.core.money import format_money
from counterfoil.core.quoting import PricedLine
from counterfoil.quotes.models import LineAction, QuoteLine, QuoteSection
from counterfoil.quotes.version_queries import Editor, EditorRow, EditorSection
from counterfoil.web.templatetags.counterfoil import quantity, unit_price


@dataclass(frozen=True, slots=True)
class LineView:
    """A line with its figures; ``note`` is what a change just led to."""

    row: EditorRow
    note: str = ""

    @property
    def line(self) -> QuoteLine:
        """As it was entered."""
        return self.row.line

    @property
    def priced(self) -> PricedLine:
        """What it comes to."""
        return self.row.priced

    @property
    def counts(self) -> bool:
        """Whether it is in the totals."""
        return self.priced.counts

    @property
    def amount(self) -> Decimal:
        """For one billing cycle, or once."""
        return self.priced.amount

    @property
    def unit_price(self) -> Decimal:
        """After all discounts."""
        return self.priced.unit_price

    @property
    def net_differs(self) -> bool:
        """Whether the price a unit is another than the one before discounts."""
        return bool(self.priced.unit_price != self.line.list_price)

    @property
    def margin(self) -> Decimal | None:
        """In per cent of the amount."""
        return self.priced.margin_percent

    @property
    def loses(self) -> bool:
        """Whether it costs more than it brings."""
        return self.priced.margin < 0 < self.priced.amount

    @property
    def discount(self) -> str:
        """As it is typed: ``10%`` or an amount."""
        return discount_text(self.line.discount_kind, self.line.discount_value)

    @property
    def recurrence(self) -> str:
        """``Once``; ``1 year, billed monthly``."""
        return self.row.recurrence

    @property
    def words(self) -> list[str]:
        """What is particular about the line, in a few words each."""
        return list(_particular(self.row))

    @property
    def explanation(self) -> list[str]:
        """How a tier price or a shortened first period came about."""
        steps = list(self.priced.explanation) if self.line.price_model_id else []
        return [*steps, self.line.explanation] if self.line.explanation else steps


@dataclass(frozen=True, slots=True)
class SectionView:
    """A section (key ``None``: lines in none) with its lines and what they come to."""

    key: int | None
    title: str
    discount: str
    url: str
    one_time: Decimal
    monthly: Decimal
    lines: list[LineView] = field(default_factory=list)

    @property
    def sums(self) -> str:
        """``1,200.00 once · 300.00 a month``."""
        once = f"{format_money(self.one_time)} once" if self.one_time else ""
        monthly = f"{format_money(self.monthly)} a month" if self.monthly else ""
        return " · ".join(part for part in (once, monthly) if part)


def discount_text(kind: str, value: Decimal) -> str:
    """A discount as it is typed and read: ``10%``, ``25``; empty for none."""
    if not kind or not value:
        return ""
    return f"{quantity(value)}{'%' if kind == 'percent' else ''}"


def cell_text(record: QuoteLine | QuoteSection, field: str) -> str:
    """What stands in the cell of a line or section for a field."""
    if field in ("discount_kind", "discount_value"):
        return discount_text(record.discount_kind, record.discount_value)
    value = getattr(record, field, "")
    if not isinstance(value, Decimal):
        return str(value)
    return unit_price(value) if field == "list_price" else quantity(value)


def section_views(editor: Editor) -> list[SectionView]:
    """The sections of a version in order; lines in none come first."""
    url = reverse("web:quote", args=[editor.version.quote_id])
    return [_section(url, part) for part in editor.sections if part.section is not None or part.rows]


def _section(quote_url: str, part: EditorSection) -> SectionView:
    rows = [LineView(row) for row in part.rows]
    section = part.section
    if section is None:
        return SectionView(None, "", "", "", part.one_time, part.monthly, rows)
    url = f"{quote_url}sections/{section.pk}/"
    discount = discount_text(section.discount_kind, section.discount_value)
    return SectionView(section.pk, section.title, discount, url, part.one_time, part.monthly, rows)


def _particular(row: EditorRow) -> Iterable[str]:
    line = row.line
    if line.action != LineAction.NEW:
        yield line.get_action_display()
    if line.optional:
        yield "Optional, taken" if line.selected else "Optional"
    if line.choice_group:
        yield f"One of “{line.choice_group}”{', chosen' if line.selected else ''}"
    if line.quantity_min is not None or line.quantity_max is not None:
        low = line.quantity if line.quantity_min is None else line.quantity_min
        high = line.quantity if line.quantity_max is None else line.quantity_max
        yield f"{quantity(low)} to {quantity(high)} as the customer likes"
    if line.billing_cycle and (line.start_date or line.start_policy != "on_acceptance"):
        yield f"From {row.start}"
    if line.align_to and not line.billing_cycle:
        yield f"Until {format_date(line.align_to)}"
    if line.hidden:
        yield "Hidden from the customer"
    if line.is_usage:
        yield "By usage, estimated"
