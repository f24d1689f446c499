"""Accepted recurring lines become additions: of the agreement they join, or of a new one for each grid of periods.

A new agreement takes the lines that are billed alike: of one type and billing cycle, from one day, or counted back from
one anniversary. So what is billed first is what was quoted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from counterfoil.agreements.commands import AdditionInput, add_addition, create_agreement
from counterfoil.agreements.models import Agreement, AgreementStatus
from counterfoil.agreements.queries import agreements, is_monthly, last_day, terms_of
from counterfoil.catalog.models import CommitmentRule, SeatsDown
from counterfoil.core.calendar import Cycle, period_index, whole_period
from counterfoil.core.charges import Terms
from counterfoil.core.coterm import first_term_end, own_terms
from counterfoil.core.proration import ProrationMethod
from counterfoil.platform.identity import Actor
from counterfoil.quotes.commands import record_conversion
from counterfoil.quotes.models import Acceptance, ConversionRule, ConversionTarget, QuoteLine, QuoteVersion, StartPolicy

_DAY: Final = timedelta(days=1)
_NAME: Final = 100  #: characters an agreement's name may have


@dataclass(frozen=True, slots=True)
class Recurring:
    """A recurring line with its first day, its last (none when it is open-ended), and the rule that routed it."""

    line: QuoteLine
    first: date
    last: date | None
    rule: ConversionRule | None = None

    @property
    def cycle(self) -> Cycle:
        """How often it is billed."""
        return Cycle.parse(self.line.billing_cycle)


def when(line: QuoteLine, on: date) -> tuple[date, date | None]:
    """The first and the last day of a line that is accepted, or whose goods are delivered, on a day.

    It ends at its anniversary; after the cycles it was quoted for; or with its term. A term of a month goes on month
    by month until it is cancelled.
    """
    first = on if line.start_policy == StartPolicy.ON_DELIVERY else line.start_date or on
    if line.align_to is not None and line.align_to > first:
        return first, line.align_to - _DAY
    if line.cycles:
        return first, Cycle.parse(line.billing_cycle).after(first, line.cycles) - _DAY
    if line.term and not is_monthly(line.term):
        return first, Cycle.parse(line.term).after(first, 1) - _DAY
    return first, None


def committed_through(line: QuoteLine, first: date) -> date | None:
    """The last day of the first term, where the line has one that binds; of an aligned line the shortened one."""
    rule = rule_of(line)
    if not line.term or (rule is not None and rule.seats_down == SeatsDown.ANY_TIME):
        return None
    term = Cycle.parse(line.term)
    if line.align_to is not None and line.align_to > first:
        return first_term_end(first, line.align_to, term) - _DAY
    return term.after(first, 1) - _DAY


def cancellation_days(line: QuoteLine) -> int:
    """On how many days it may be given back: the rule's hours; none without a rule."""
    rule = rule_of(line)
    return 0 if rule is None else rule.cancellation_hours // 24


def seats_down(line: QuoteLine) -> SeatsDown:
    """When there may be fewer of it, by its rule."""
    rule = rule_of(line)
    return SeatsDown.WINDOW if rule is None else SeatsDown(rule.seats_down)


def rule_of(line: QuoteLine) -> CommitmentRule | None:
    """The commitment rule of the line's offer."""
    return line.offer.commitment_rule if line.offer is not None else None


def convert_recurring(actor: Actor, version: QuoteVersion, lines: Sequence[Recurring], on: date) -> list[Agreement]:
    """Make additions of the lines; the agreements that got them, new or not, each once.

    Raises:
        DomainError: as ``create_agreement`` and ``add_addition``.
    """
    touched: dict[int, Agreement] = {}
    groups: dict[Any, list[Recurring]] = {}
    for each in lines:
        agreement = _to_join(version, each)
        if agreement is None:
            groups.setdefault(_grid(each), []).append(each)
            continue
        add_addition(actor=actor, agreement_id=agreement.pk, addition=addition_of(each, last_day(agreement)))
        record(actor, agreement, [each.line])
        touched[agreement.pk] = agreement
    for group in groups.values():
        agreement = _new_agreement(actor, version, group, several=len(groups) > 1)
        record(actor, agreement, [each.line for each in group])
        touched[agreement.pk] = agreement
    return list(touched.values())


# -- joining -----------------------------------------------------------------------------------------------------------


def _to_join(version: QuoteVersion, each: Recurring) -> Agreement | None:
    """The agreement a line joins: the quote's, or the customer's running one where the rule says so."""
    if version.quote.agreement_id is not None:
        agreement = Agreement.objects.get(pk=version.quote.agreement_id)
        return agreement if may_join(agreement, each) else None
    rule, opportunity = each.rule, each.line.opportunity
    if rule is None or not rule.join_running or rule.agreement_type_id is None or opportunity is None:
        return None
    running = agreements(company_id=opportunity.company_id, agreement_type_id=rule.agreement_type_id)
    return next((found for found in running.order_by("pk") if may_join(found, each)), None)


def may_join(agreement: Agreement, each: Recurring) -> bool:
    """Whether an agreement's periods suit a line: its cycle, its dates; and what is prepaid has a whole period."""
    terms, end = terms_of(agreement), last_day(agreement)
    if agreement.status != AgreementStatus.ACTIVE or agreement.bill_one_time:
        return False
    if terms.cycle.per_month != each.cycle.per_month:
        return False
    if each.first < agreement.start_date or (end is not None and (each.last or date.max) > end):
        return False
    is_cut = period_of(terms, each.first) != each.first
    return not (is_cut and each.line.is_prepaid and each.line.align_to is None and not is_monthly(each.line.term))


def period_of(terms: Terms, day: date) -> date:
    """The first day of the billing period the day lies in."""
    n = period_index(terms.anchor, terms.cycle, day, terms.base)
    return whole_period(terms.anchor, terms.cycle, n, terms.base).start


# -- new agreements ----------------------------------------------------------------------------------------------------


def _grid(each: Recurring) -> Any:
    """What lines of one agreement have in common."""
    type_id = each.rule.agreement_type_id if each.rule is not None else None
    if (terms := _aligned_terms(each)) is not None:
        return type_id, each.cycle, terms.anchor, terms.method
    return type_id, each.cycle, each.first, None


def _aligned_terms(each: Recurring) -> Terms | None:
    line = each.line
    if line.align_to is None or line.align_to <= each.first:
        return None
    method = ProrationMethod(line.proration) if line.proration else ProrationMethod.ACTUAL_DAYS
    return own_terms(each.first, line.align_to, each.cycle, method)


def _new_agreement(actor: Actor, version: QuoteVersion, group: Sequence[Recurring], *, several: bool) -> Agreement:
    opportunity, rule = group[0].line.opportunity, group[0].rule
    assert opportunity is not None  # accepted lines stand on it
    assert rule is not None  # what changes an agreement joins it
    assert rule.agreement_type_id is not None  # a rule for agreements has one
    terms = _aligned_terms(group[0])
    end = latest(each.last for each in group)
    given: dict[str, Any] = {} if terms is None else _as_aligned(terms)
    suffix = f", {group[0].cycle.label.lower()}" if several else ""
    return create_agreement(
        actor=actor,
        company_id=opportunity.company_id,
        agreement_type_id=rule.agreement_type_id,
        name=version.quote.name[: _NAME - len(suffix)] + suffix,
        start_date=terms.anchor if terms is not None else group[0].first,
        end_date=end,
        billing_cycle=group[0].cycle.code,
        site_id=version.site_id or opportunity.site_id,
        contact_id=version.contact_id,
        tax_code_id=version.tax_code_id,
        terms_id=version.terms_id,
        customer_po=customer_po(version),
        opportunity_id=opportunity.pk,
        additions=[addition_of(each, end) for each in group],
        **given,
    )


def _as_aligned(terms: Terms) -> dict[str, Any]:
    """What makes an agreement bill a shortened first period as it was quoted."""
    return {"cycle_base": "contract", "prorate": True, "prorate_first_bill": True, "proration": terms.method.value}


def latest(days: Iterable[date | None]) -> date | None:
    """The latest day, or none (no ending date) where one of them has none."""
    known = list(days)
    return None if None in known else max(day for day in known if day is not None)


def customer_po(version: QuoteVersion) -> str:
    """The customer's order number: as given with the acceptance, else as it is known of the opportunity."""
    given = Acceptance.objects.filter(version=version).values_list("customer_po", flat=True).first()
    opportunity = version.quote.opportunity
    return given or (opportunity.customer_po if opportunity else "")


def addition_of(each: Recurring, end: date | None, *, committed: date | None = None) -> AdditionInput:
    """The addition of a line. What is billed by use has no units until some are counted.

    Args:
        each: the line.
        end: the agreement's last day.
        committed: owed until this day, where that follows from another addition and not from the line's term.
    """
    line = each.line
    vendor = line.offer.vendor_id if line.offer is not None else None
    return AdditionInput(
        product_id=line.product_id,
        quantity=Decimal(0) if line.is_usage else line.quantity,
        unit_price=line.unit_price,
        unit_cost=line.unit_cost,
        description=line.description,
        taxable=line.taxable,
        effective_date=each.first,
        cancelled_date=each.last if each.last is not None and (end is None or each.last < end) else None,
        purchase_item=line.unit_cost > 0 and (vendor or line.product.vendor_id) is not None,
        origin_id=line.pk,
        committed_through=committed or committed_through(line, each.first),
        cancellation_days=cancellation_days(line),
        seats_down=seats_down(line),
        offer_id=line.offer_id,
        term=line.term,
        price_model_id=line.price_model_id,
    )


def record(actor: Actor, agreement: Agreement, lines: Sequence[QuoteLine]) -> None:
    """Note that lines became part of an agreement."""
    record_conversion(
        actor=actor,
        opportunity_id=lines[0].opportunity_id or 0,
        line_ids=[line.pk for line in lines],
        target=ConversionTarget.AGREEMENT,
        target_id=agreement.pk,
        target_number=agreement.number,
        converted=lines,
    )
