"""Quotes about what a customer has: its renewal, a change of it, bringing it to one anniversary.

They are drafts like any other, with the customer's prices of today. What is accepted of them becomes dated changes
(:mod:`counterfoil.flows.changes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal

from counterfoil.agreements.commitments import ensure_may_shrink
from counterfoil.agreements.models import Addition, Agreement, AgreementStatus
from counterfoil.agreements.queries import last_day, quantity_on, terms_of, values_on
from counterfoil.catalog.models import Offer
from counterfoil.catalog.queries import offers_for, price_for
from counterfoil.core.calendar import Cycle, format_date, months_between, period_index, whole_period
from counterfoil.core.charges import Terms
from counterfoil.core.coterm import Candidate, Proposal, Target, align, check_alignment, common_anniversary, propose
from counterfoil.core.errors import DomainError
from counterfoil.flows.changes import renewal_day
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.records import fetch
from counterfoil.quotes.commands import create_quote
from counterfoil.quotes.editing import finish
from counterfoil.quotes.line_changes import update_version_line
from counterfoil.quotes.lines import NewLine, add_version_lines
from counterfoil.quotes.models import (
    CHANGEABLE,
    WITH_CUSTOMER,
    LineAction,
    Quote,
    QuoteKind,
    QuoteLine,
    QuoteVersion,
    StartPolicy,
)

_DAY: Final = timedelta(days=1)
SELLERS: Final = (Role.SALES,)


@dataclass(frozen=True, slots=True)
class ChangeInput:
    """What is to become of an addition.

    Attributes:
        addition_id: which.
        kind: ``increase`` or ``decrease`` by a quantity, ``cancel``, or ``swap`` for an offer of another product or
            term.
        quantity: how many more or fewer; of a swap how many of the other, as many as there are when it is empty.
        offer_id: what it is swapped for.
    """

    addition_id: int
    kind: Literal["increase", "decrease", "cancel", "swap"]
    quantity: Decimal | None = None
    offer_id: int | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """A line to be, with the shortened first period it has where it joins an agreement's periods."""

    line: NewLine
    terms: Terms | None = None
    until: date | None = None


# -- renewal -----------------------------------------------------------------------------------------------------------


@command(roles=SELLERS)
def propose_renewal(
    *, actor: Actor, on: date, agreement_id: int | None = None, addition_ids: Sequence[int] = ()
) -> Quote:
    """Make the renewal quote of an agreement, or of some additions of one customer: same quantities, today's prices.

    Each line goes on for a term as long as the one it had, from the day after it.

    Args:
        actor: who.
        on: today, whose prices and offers hold.
        agreement_id: all its additions that come to an end.
        addition_ids: only these, of one or more agreements.

    Raises:
        DomainError: ``required`` when nothing comes to an end; ``duplicate`` when a renewal quote is under way;
            ``invalid`` for additions of several customers; ``not_found``.
    """
    additions = _ending(agreement_id, addition_ids, on)
    _refuse_quoted_already(additions)
    ends = [_end_of(addition, on) for addition in additions]
    return _quote(
        actor,
        additions,
        QuoteKind.RENEWAL,
        f"Renewal of {_numbers(additions)}, {format_date(min(ends) - _DAY)}",
        [_Part(_renewed(addition, on)) for addition in additions],
        on,
    )


def _ending(agreement_id: int | None, addition_ids: Sequence[int], on: date) -> list[Addition]:
    if addition_ids:
        found = _additions(addition_ids)
    else:
        if agreement_id is None:
            raise DomainError("required", "Say what is to be renewed: an agreement or additions.", field="agreement_id")
        agreement = fetch(Agreement, agreement_id, field="agreement_id")
        rows = agreement.additions.select_related("agreement__company", "product", "offer").prefetch_related("changes")
        found = [addition for addition in rows if _runs_on(addition, on) and renewal_day(addition, on) is not None]
        if not found:
            raise DomainError(
                "required", f"Nothing on {agreement.number} comes to an end.", field="agreement_id",
                hint="What has no term and no last day goes on by itself.",
            )  # fmt: skip
    for addition in found:
        if renewal_day(addition, on) is None:
            raise _goes_on(addition)
    return found


def _runs_on(addition: Addition, on: date) -> bool:
    """Whether it runs until the end of its term, and was not given up before."""
    end = renewal_day(addition, on)
    return end is None or quantity_on(addition, end - _DAY) > 0


def _renewed(addition: Addition, on: date) -> NewLine:
    """The line that renews an addition: by the offer of today that matches it, at its price for this customer."""
    first = _end_of(addition, on)
    quantity = quantity_on(addition, first - _DAY) or addition.quantity
    agreement = addition.agreement
    offer = _offer_now(addition, on)
    if offer is None and addition.product.billing_cycle != agreement.billing_cycle:
        price, cost = addition.unit_price, addition.unit_cost  # the product's price is for another cycle
    else:
        found = price_for(addition.product, offer=offer, company_id=agreement.company_id, quantity=quantity, on=on)
        price, cost = found.price, found.cost
    term, cycles = addition.term, None
    if not term:
        cycles = _cycles_it_had(addition, first)
    return NewLine(
        product_id=addition.product_id,
        quantity=quantity,
        offer_id=offer.pk if offer else None,
        list_price=None if offer is not None else price,
        unit_cost=None if offer is not None else cost,
        description=addition.description,
        taxable=addition.taxable,
        term=term,
        billing_cycle=offer.billing_cycle if offer is not None else agreement.billing_cycle,
        cycles=cycles,
        start_policy=StartPolicy.FIXED_DATE,
        start_date=first,
        action=LineAction.RENEW,
        addition_id=addition.pk,
    )


def _offer_now(addition: Addition, on: date) -> Offer | None:
    """The same offer where it is still made; else one of its term and billing cycle."""
    current = list(offers_for(addition.product, on))
    same = [offer for offer in current if offer.pk == addition.offer_id]
    cycle = addition.agreement.billing_cycle
    alike = [
        offer for offer in current if addition.term and (offer.term, offer.billing_cycle) == (addition.term, cycle)
    ]
    return next(iter([*same, *alike]), None)


def _cycles_it_had(addition: Addition, end: date) -> int | None:
    cycle = Cycle.parse(addition.agreement.billing_cycle)
    if cycle.months is None:
        return None
    return max(1, -(-months_between(addition.effective_date, end) // cycle.months))


def _refuse_quoted_already(additions: Iterable[Addition]) -> None:
    under_way = QuoteLine.objects.filter(
        addition__in=[addition.pk for addition in additions],
        action=LineAction.RENEW,
        version__status__in=(*CHANGEABLE, *WITH_CUSTOMER),
    ).select_related("version__quote")
    if (line := under_way.first()) is not None and line.version is not None:
        raise DomainError(
            "duplicate", f"{line.description} is on the renewal quote {line.version.quote} already.",
            field="addition_ids", hint="Go on with that one, or withdraw it first.",
        )  # fmt: skip


# -- change ------------------------------------------------------------------------------------------------------------


@command(roles=SELLERS)
def propose_change(
    *, actor: Actor, agreement_id: int, changes: Sequence[ChangeInput], start_date: date, on: date
) -> Quote:
    """Make a change quote: more or fewer of an addition, its cancellation, or a swap; the first period in part.

    More units keep the price there is and end with the addition's term; fewer, and cancellations, obey its commitment
    (WE-14). A swap ends the old with the day before and begins the new, so that nothing is billed twice.

    Args:
        actor: who.
        agreement_id: whose additions.
        changes: what is to become of them.
        start_date: the first day of the changes.
        on: today.

    Raises:
        DomainError: ``required`` without changes; ``committed`` for fewer than are owed; ``invalid``, ``not_found``.
    """
    agreement = fetch(Agreement, agreement_id, field="agreement_id")
    if not changes:
        raise DomainError("required", "Say what is to be changed.", field="changes")
    additions = _additions([change.addition_id for change in changes])
    by_id = {addition.pk: addition for addition in additions}
    parts: list[_Part] = []
    for index, change in enumerate(changes):
        addition, prefix = by_id[change.addition_id], f"changes[{index}]."
        if addition.agreement_id != agreement.pk:
            raise DomainError(
                "invalid", f"{addition.description} is not on {agreement.number}.", field=f"{prefix}addition_id"
            )
        parts += _changed(addition, change, start_date, prefix)
    name = f"Change of {agreement.number} from {format_date(start_date)}"
    return _quote(actor, additions, QuoteKind.CHANGE, name, parts, on)


def _changed(addition: Addition, change: ChangeInput, start: date, prefix: str) -> list[_Part]:
    there = quantity_on(addition, start)
    if not there:
        raise DomainError(
            "invalid", f"{addition.description} does not run on {format_date(start)}.", field=f"{prefix}addition_id"
        )
    if change.kind == "increase":
        if change.quantity is None or change.quantity <= 0:
            raise DomainError("required", "How many more?", field=f"{prefix}quantity")
        return [_line_of(addition, LineAction.INCREASE, change.quantity, start)]
    if change.kind == "decrease":
        if change.quantity is None or not 0 < change.quantity < there:
            raise DomainError(
                "invalid", f"There are {there.normalize():f}; say how many fewer.", field=f"{prefix}quantity",
                hint="Cancel it to take all of them away.",
            )  # fmt: skip
        ensure_may_shrink(addition, start - _DAY, f"{prefix}quantity", there - change.quantity)
        return [_line_of(addition, LineAction.DECREASE, change.quantity, start)]
    ensure_may_shrink(addition, start - _DAY, f"{prefix}kind")
    gone = _line_of(addition, LineAction.CANCEL, there, start)
    if change.kind == "cancel":
        return [gone]
    if change.offer_id is None:
        raise DomainError("required", "What is it swapped for?", field=f"{prefix}offer_id")
    offer = fetch(Offer, change.offer_id, field=f"{prefix}offer_id")
    new = NewLine(
        product_id=offer.product_id,
        quantity=change.quantity or there,
        offer_id=offer.pk,
        start_policy=StartPolicy.FIXED_DATE,
        start_date=start,
    )
    return [gone, _Part(new)]


def _line_of(addition: Addition, action: LineAction, quantity: Decimal, start: date) -> _Part:
    """A line about an addition at the price it has then; its first period is what is left of the agreement's."""
    agreement = addition.agreement
    there = values_on(addition, start)
    end = _end_or_none(addition)
    line = NewLine(
        product_id=addition.product_id,
        quantity=quantity,
        list_price=there.unit_price,
        unit_cost=there.unit_cost,
        description=addition.description,
        taxable=addition.taxable,
        term=addition.term,
        billing_cycle=agreement.billing_cycle,
        start_policy=StartPolicy.ALIGNED if end is not None else StartPolicy.FIXED_DATE,
        start_date=start,
        align_to=end,
        action=action,
        addition_id=addition.pk,
    )
    return _Part(line, replace(terms_of(agreement), last_day=None), end)


# -- co-term -----------------------------------------------------------------------------------------------------------


def coterm_proposal(
    *, addition_ids: Sequence[int], on: date, end: date | None = None, month: int | None = None, day: int = 1
) -> Proposal:
    """What it takes and costs to bring additions to one anniversary; nothing is written.

    Args:
        addition_ids: of one customer, on any of its agreements.
        on: today.
        end: the first day after their common term; the earliest possible when neither it nor a month is given.
        month: on this month's ``day``.
        day: 1 to 28.

    Raises:
        DomainError: ``required``, ``not_found``; ``invalid`` for additions of several customers, or one without an end.
    """
    additions = _additions(addition_ids)
    candidates = [_candidate(addition, on) for addition in additions]
    return propose(candidates, Target(end or common_anniversary(candidates, month, day)))


def may_end_together(addition_ids: Sequence[int], on: date) -> list[Addition]:
    """What the customer of these additions has for a term, on all its agreements: what could end with them.

    Raises:
        DomainError: as :func:`coterm_proposal`.
    """
    company = _additions(addition_ids)[0].agreement.company_id
    rows = Addition.objects.filter(agreement__company=company, agreement__status=AgreementStatus.ACTIVE)
    committed = rows.exclude(committed_through=None).select_related("agreement").prefetch_related("changes")
    chosen = rows.filter(pk__in=addition_ids).select_related("agreement").prefetch_related("changes")
    found = {addition.pk: addition for addition in [*committed, *chosen] if renewal_day(addition, on) is not None}
    return sorted(found.values(), key=lambda addition: (_end_of(addition, on), addition.pk))


@command(roles=SELLERS)
def propose_coterm(
    *,
    actor: Actor,
    on: date,
    addition_ids: Sequence[int],
    end: date | None = None,
    month: int | None = None,
    day: int = 1,
) -> Quote:
    """Make the quote that brings additions to one anniversary: each goes on from its end for a shortened term.

    Raises:
        DomainError: ``invalid``, naming what cannot come along; ``duplicate`` when a renewal quote is under way; and as
            :func:`coterm_proposal`.
    """
    proposal = coterm_proposal(addition_ids=addition_ids, on=on, end=end, month=month, day=day)
    if proposal.refused:
        candidate, why = proposal.refused[0]
        raise DomainError("invalid", f"{candidate.name} cannot end then: {why}", field="end")
    moving = [line.candidate.key for line in proposal.lines if line.service is not None]
    if not moving:
        raise DomainError("required", "All of them end then already.", field="end")
    additions = [addition for addition in _additions(addition_ids) if addition.pk in moving]
    _refuse_quoted_already(additions)
    parts = [_extended(addition, proposal.end, on) for addition in additions]
    name = f"One anniversary: {format_date(proposal.end)}"
    return _quote(actor, additions, QuoteKind.COTERM, name, parts, on)


def _candidate(addition: Addition, on: date) -> Candidate:
    agreement, end = addition.agreement, _end_of(addition, on)
    rule = addition.offer.commitment_rule if addition.offer is not None else None
    return Candidate(
        key=addition.pk,
        name=f"{addition.description} on {agreement.number}",
        quantity=quantity_on(addition, end - _DAY),
        unit_price=values_on(addition, end - _DAY).unit_price,
        current_end=end,
        cycle=Cycle.parse(agreement.billing_cycle),
        term=Cycle.parse(addition.term) if addition.term else None,
        terms=replace(terms_of(agreement), last_day=None),
        may_coterm=rule is None or rule.may_coterm,
    )


def _extended(addition: Addition, end: date, on: date) -> _Part:
    """Its units of today at their price, from its end to the anniversary, billed by its agreement's periods."""
    start = _end_of(addition, on)
    part = _line_of(addition, LineAction.RENEW, quantity_on(addition, start - _DAY), start)
    line = replace(part.line, offer_id=addition.offer_id, align_to=end, start_policy=StartPolicy.ALIGNED)
    return replace(part, line=line, until=end)


# -- an anniversary for a line -----------------------------------------------------------------------------------------


@command(roles=SELLERS)
def align_line(
    *, actor: Actor, line_id: int, addition_id: int | None = None, end: date | None = None, on: date
) -> QuoteLine:
    """Let a new recurring line of a draft end with a running addition, or on a date; the rules of co-terms hold.

    Args:
        actor: who.
        line_id: of a draft.
        on: today, its first day unless it has one.
        addition_id: what it ends with, of the same customer; or
        end: the first day after its last.

    Raises:
        DomainError: ``required`` without a target; ``invalid`` where the rules stand against it; ``quote_is_sent``.
    """
    line = fetch(QuoteLine, line_id, field="line_id")
    version = line.version
    if version is None or not line.billing_cycle or line.action != LineAction.NEW:
        raise DomainError("invalid", "A new recurring line of a quote is aligned.", field="line_id")
    target = _target(version, addition_id, end, on)
    rule = line.offer.commitment_rule if line.offer is not None else None
    start = line.start_date or on
    check_alignment(
        target,
        term=Cycle.parse(line.term) if line.term else None,
        start=start,
        may_coterm=rule is None or rule.may_coterm,
    )
    return update_version_line(
        actor=actor,
        line_id=line.pk,
        on=on,
        start_policy=StartPolicy.ALIGNED,
        start_date=line.start_date,
        align_to=target.end,
    )


def _target(version: QuoteVersion, addition_id: int | None, end: date | None, on: date) -> Target:
    if addition_id is None:
        if end is None:
            raise DomainError("required", "With what is it to end?", field="end")
        return Target(end)
    addition = _additions([addition_id])[0]
    opportunity = version.quote.opportunity
    if opportunity is None or addition.agreement.company_id != opportunity.company_id:
        raise DomainError("not_found", "The customer has no such addition.", field="addition_id")
    term = Cycle.parse(addition.term) if addition.term else None
    return Target(_end_of(addition, on), term, addition.description)


# -- making the quote --------------------------------------------------------------------------------------------------


def _quote(
    actor: Actor, additions: Sequence[Addition], kind: QuoteKind, name: str, parts: Sequence[_Part], on: date
) -> Quote:
    agreements = {addition.agreement_id: addition.agreement for addition in additions}
    first = next(iter(agreements.values()))
    quote = create_quote(
        actor=actor,
        name=name[:100],
        on=on,
        company_id=first.company_id,
        kind=kind,
        agreement_id=first.pk if len(agreements) == 1 else None,
        site_id=first.site_id,
        contact_id=first.contact_id,
    )
    version = quote.versions.get()
    made = add_version_lines(actor=actor, version_id=version.pk, lines=[part.line for part in parts], on=on)
    shortened = [
        (line, part.terms, part.until) for line, part in zip(made, parts, strict=True) if part.terms is not None
    ]
    if shortened:
        _shorten(actor, version, shortened)
    return quote


def _shorten(actor: Actor, version: QuoteVersion, lines: Sequence[tuple[QuoteLine, Terms, date | None]]) -> None:
    """Keep on lines what their first period is of a whole one, by the periods of the agreement they join."""
    shares: dict[int, Fraction] = {}
    for line, terms, until in lines:
        start = line.start_date
        assert start is not None  # written by whoever calls
        n = period_index(terms.anchor, terms.cycle, start, terms.base)
        end = until or whole_period(terms.anchor, terms.cycle, n, terms.base).end
        aligned = align(
            start=start, end=end, cycle=terms.cycle, quantity=line.quantity, unit_price=line.unit_price, terms=terms
        )
        values: dict[str, int | str] = {"cycles": aligned.cycles} if until is not None else {}
        if aligned.is_shortened:
            shares[line.pk] = aligned.share.fraction
            values["explanation"] = aligned.explanation
        if values:
            QuoteLine.objects.filter(pk=line.pk).update(**values)
    fresh = QuoteVersion.objects.select_related("quote").get(pk=version.pk)
    finish(actor, fresh, "quotes.lines.shortened", "priced first periods in part", shares=shares)


def _additions(ids: Sequence[int]) -> list[Addition]:
    """The additions in the order named, of one customer and with active agreements."""
    rows = Addition.objects.select_related("agreement__company", "product", "offer__commitment_rule").prefetch_related(
        "changes"
    )
    found = rows.in_bulk(set(ids))
    missing = next((pk for pk in ids if pk not in found), None)
    if not ids or missing is not None:
        if missing is None:
            raise DomainError("required", "Choose at least one addition.", field="addition_ids")
        raise DomainError("not_found", f"There is no addition with the id {missing}.", field="addition_ids")
    additions = [found[pk] for pk in dict.fromkeys(ids)]
    if len({addition.agreement.company_id for addition in additions}) > 1:
        raise DomainError("invalid", "A quote is for one customer.", field="addition_ids")
    for addition in additions:
        if addition.agreement.status != AgreementStatus.ACTIVE:
            raise DomainError(
                "wrong_state", f"{addition.agreement.number} is {addition.agreement.status}.", field="addition_ids"
            )
    return additions


def _end_of(addition: Addition, on: date) -> date:
    """The first day after the term it has on a day.

    Raises:
        DomainError: ``invalid`` for one without an end.
    """
    if (end := renewal_day(addition, on)) is None:
        raise DomainError(
            "invalid",
            f"{addition.description} has no term and no last day; it goes on by itself.",
            field="addition_ids",
        )
    return end


def _goes_on(addition: Addition) -> DomainError:
    said = f"{addition.description} has no term and no last day; it goes on by itself."
    return DomainError("invalid", said, field="addition_ids")


def _end_or_none(addition: Addition) -> date | None:
    ends = [day for day in (addition.cancelled_date, last_day(addition.agreement)) if day is not None]
    return min(ends) + _DAY if ends else None


def _numbers(additions: Iterable[Addition]) -> str:
    return ", ".join(dict.fromkeys(addition.agreement.number for addition in additions))
