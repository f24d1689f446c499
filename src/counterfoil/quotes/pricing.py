"""What a version of a quote comes to, out of its records; and the net prices kept on its lines.

    priced = price_version(version, Picks(frozenset({line.pk}), {other.pk: Decimal(12)}), on=today)

The reckoning is :mod:`counterfoil.core.quoting`'s; here lines are loaded in a fixed number of queries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final, cast

from django.db.models import prefetch_related_objects

from counterfoil.catalog.prices import tier_model
from counterfoil.companies.queries import bill_to_of, tax_code_id_of
from counterfoil.core.calendar import Cycle
from counterfoil.core.coterm import align
from counterfoil.core.money import ZERO, extend
from counterfoil.core.pricing import TierModel
from counterfoil.core.proration import ProrationMethod
from counterfoil.core.quote_choices import Choices, has_choices
from counterfoil.core.quoting import (
    NO_DISCOUNT,
    Deposit,
    Discount,
    Due,
    Kind,
    Picks,
    PricedLine,
    PricedQuote,
    QuotedLine,
    QuotedSection,
    TaxOf,
    price_quote,
)
from counterfoil.core.salestax import TaxableLine
from counterfoil.platform.copying import update_rows
from counterfoil.quotes.loading import lines_of
from counterfoil.quotes.models import LineAction, QuoteLine, QuoteSection, QuoteVersion
from counterfoil.tax.queries import tax_table

__all__ = ["Picks", "PricedQuote", "Recalculated", "choices_of", "lines_of", "price_version", "recalculate"]

_TAKES_AWAY: Final = (LineAction.DECREASE, LineAction.CANCEL)
#: What follows from the rest of a version and is kept on its lines.
_KEPT: Final = ("quantity", "list_price", "unit_price", "first_amount", "cycles")


@dataclass(frozen=True, slots=True)
class Recalculated:
    """What a change of a version led to, for those who show it: they need not load and price it once more.

    Attributes:
        lines: as they stand now, in order.
        quoted: the same as plain values.
        priced: what they come to, without tax and options.
        moved: the ids of those whose figures are others than before.
        notes: what is to be said about lines, by their ids.
    """

    lines: Sequence[QuoteLine]
    quoted: Sequence[QuotedLine]
    priced: PricedQuote
    moved: frozenset[int]
    notes: Mapping[int, str]


def price_version(version: QuoteVersion, picks: Picks | None = None, *, on: date | None = None) -> PricedQuote:
    """What a version comes to as it is quoted, or as the customer picks; nothing is written.

    What was sent holds for every quantity that the customer may pick: a price model goes by its tiers, any other price
    is the one that was sent, whatever the catalog has for so many.

    Args:
        version: in any state.
        picks: the customer's.
        on: the day for the tax estimate, and the first day of aligned lines that begin on acceptance; without it there
            is no estimate.

    Raises:
        DomainError: as :func:`counterfoil.core.quoting.price_quote`; ``tax_code_not_in_effect``.
    """
    lines, done = lines_of(version), version.recalculated
    # What a first period comes to may hang on the day.
    if done is not None and picks is None and not any(line.align_to for line in lines):
        return _price(version, lines, list(version.sections.all()), done.quoted, on=on, done=done.priced)
    quoted = _as_quoted(version, lines, on, {})
    return _price(version, lines, list(version.sections.all()), quoted, picks, on=on)


def _price(
    version: QuoteVersion,
    lines: Sequence[QuoteLine],
    sections: Sequence[QuoteSection],
    quoted: Sequence[QuotedLine],
    picks: Picks | None = None,
    *,
    on: date | None = None,
    options: bool = True,
    done: PricedQuote | None = None,
) -> PricedQuote:
    """``options`` says whether the totals with all options are wanted; ``done`` is what was priced of it already."""
    return price_quote(
        quoted,
        _sections(sections),
        _discount(version.discount_kind, version.discount_value),
        picks=picks,
        tax=None if on is None else _tax(version, lines, on),
        deposit=Deposit(cast(Kind, version.deposit_kind), version.deposit_value),
        options=options,
        done=done,
    )


def choices_of(version: QuoteVersion, priced: PricedQuote) -> Choices | None:
    """What the customer's choices can make of a version that is priced as it is quoted; ``None`` where there are none.

    A first period that is shortened counts as it was last reckoned.
    """
    lines, done = lines_of(version), version.recalculated
    quoted = done.quoted if done is not None else _as_quoted(version, lines, None, {})
    if not has_choices(quoted):
        return None
    discount = _discount(version.discount_kind, version.discount_value)
    return Choices(quoted, _sections(version.sections.all()), discount, priced)


def recalculate(
    version: QuoteVersion,
    lines: Sequence[QuoteLine] | None = None,
    *,
    shares: Mapping[int, Fraction] | None = None,
    unsaved: QuoteLine | None = None,
    notes: Mapping[int, str] | None = None,
) -> PricedQuote:
    """Bring the net prices kept on the lines of a draft up to date: one statement for those that changed.

    Lines given are those of the version as they stand in the database, but for one that is ``unsaved``: it is saved
    with its prices, once. ``notes`` are said of lines. What came of it stays with the version in memory, as
    :class:`Recalculated`.

    Raises:
        DomainError: as :func:`price_version`.
    """
    rows = lines_of(version) if lines is None else lines
    prefetch_related_objects([version], "sections")
    quoted = _as_quoted(version, rows, None, shares or {})
    priced = _price(version, rows, list(version.sections.all()), quoted, options=False)
    moved = write_prices(rows, priced.lines, unsaved)
    version.recalculated = Recalculated(rows, quoted, priced, moved, notes or {})
    return priced


def write_prices(
    lines: Iterable[QuoteLine], priced: Iterable[PricedLine], unsaved: QuoteLine | None = None
) -> frozenset[int]:
    """Keep what lines were priced at, where it differs; the ids of those that do."""
    changed = []
    for line, done in zip(lines, priced, strict=True):
        first = line.first_amount if done.first_amount is None else abs(done.first_amount)
        cycles = done.cycles if line.align_to is not None else line.cycles
        kept = (done.quantity, done.list_price, done.unit_price, first, cycles)
        if kept != (line.quantity, line.list_price, line.unit_price, line.first_amount, line.cycles):
            line.quantity, line.list_price, line.unit_price, line.first_amount, line.cycles = kept
            changed.append((line.pk, *kept))
    if unsaved is not None:
        unsaved.save()
        changed = [row for row in changed if row[0] != unsaved.pk]
    if changed:
        update_rows(QuoteLine, _KEPT, changed)
    return frozenset(pk for pk, *_ in changed)


def share_of(line: QuoteLine) -> Fraction | None:
    """What the shortened first period kept on a line is of a whole one."""
    if line.first_amount is None or not (whole := extend(line.quantity, line.unit_price)):
        return None
    return Fraction(line.first_amount) / Fraction(whole)


# -- from records to plain values --------------------------------------------------------------------------------------


def _as_quoted(
    version: QuoteVersion, lines: Sequence[QuoteLine], on: date | None, shares: Mapping[int, Fraction]
) -> list[QuotedLine]:
    models = _models(lines)
    joins = version.quote.agreement_id is not None
    return [_quoted(line, models, _coterm(line, joins, on, shares)) for line in lines]


def _quoted(line: QuoteLine, models: Mapping[int, TierModel], coterm: tuple[Fraction, int | None] | None) -> QuotedLine:
    share, cycles = coterm or (None, line.cycles)
    return QuotedLine(
        key=line.pk,
        quantity=line.quantity,
        list_price=line.list_price,
        unit_cost=line.unit_cost,
        discount=_discount(line.discount_kind, line.discount_value),
        section=line.section_id,
        model=models.get(line.price_model_id) if line.price_model_id else None,
        billing_cycle=line.billing_cycle,
        term=line.term,
        cycles=cycles,
        is_usage=line.is_usage,
        optional=line.optional,
        selected=line.selected,
        choice_group=line.choice_group,
        bundle=line.bundle_id,
        bundle_quantity=line.bundle_quantity,
        fixed_quantity=line.fixed_quantity,
        quantity_min=line.quantity_min,
        quantity_max=line.quantity_max,
        sign=-1 if line.action in _TAKES_AWAY else 1,
        first_share=share,
        label=line.description,
    )


def _models(lines: Iterable[QuoteLine]) -> dict[int, TierModel]:
    used = {line.price_model_id: line.price_model for line in lines if line.price_model_id}
    return {pk: tier_model(model) for pk, model in used.items() if model is not None}


def _sections(sections: Iterable[QuoteSection]) -> list[QuotedSection]:
    return [QuotedSection(s.pk, _discount(s.discount_kind, s.discount_value), s.title) for s in sections]


def _discount(kind: str, value: Decimal) -> Discount:
    return Discount(cast(Kind, kind), value) if kind else NO_DISCOUNT


def _coterm(
    line: QuoteLine, joins: bool, on: date | None, shares: Mapping[int, Fraction]
) -> tuple[Fraction, int | None] | None:
    """The share that a shortened first period is of a whole one, and how many periods there are.

    A line that joins an agreement is billed by that agreement's periods: what was kept for it counts.
    """
    start = line.start_date or on
    if line.align_to is not None and line.billing_cycle and not joins and start is not None and start < line.align_to:
        method = ProrationMethod(line.proration) if line.proration else ProrationMethod.ACTUAL_DAYS
        cycle, one = Cycle.parse(line.billing_cycle), Decimal(1)
        aligned = align(start=start, end=line.align_to, cycle=cycle, quantity=one, unit_price=one, method=method)
        return aligned.share.fraction, aligned.cycles
    share = shares.get(line.pk) or share_of(line)
    return None if share is None else (share, line.cycles)


def _tax(version: QuoteVersion, lines: Sequence[QuoteLine], on: date) -> TaxOf | None:
    """How the site of the version is taxed; ``None`` for a template, which has no customer."""
    opportunity = version.quote.opportunity
    if opportunity is None:
        return None
    company = opportunity.company
    site = version.site or opportunity.site
    code = version.tax_code_id or tax_code_id_of(company, site)
    if code is None:
        return lambda due: ZERO
    buyer = bill_to_of(company).pk
    table = tax_table(on=on, buyer_ids=[buyer], tax_code_ids=[code])
    by_key = {line.pk: line for line in lines}

    def tax(due: Sequence[Due]) -> Decimal:
        sold = [
            TaxableLine(
                key=one.key,
                amount=one.amount,
                taxable=by_key[one.key].taxable,
                quantity=one.quantity,
                category_id=by_key[one.key].product.category_id,
            )
            for one in due
        ]
        return table.tax(code, buyer, sold).total

    return cast(Callable[[Sequence[Due]], Decimal], tax)
