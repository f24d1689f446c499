"""The parameters that a type proposes and an agreement has: which there are, and what fits together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, TypedDict

from counterfoil.agreements.models import AgreementParameters, ApplicationUnits
from counterfoil.catalog.policies import cycle_code
from counterfoil.core.errors import DomainError
from counterfoil.core.money import round_money
from counterfoil.platform.records import Changes, change, refuse_negative

_CYCLES: Final = ("billing_cycle", "application_cycle")
_NOT_NEGATIVE: Final = ("billing_amount", "application_limit", "overrun_limit", "hourly_rate")


class Parameters(TypedDict, total=False):
    """What an agreement bills and covers. What is not given comes from the type, or stays as it is.

    Attributes:
        billing_cycle: ``month:1`` or ``monthly``; any number of weeks, months or years: ``week:6``, ``year:3``.
        cycle_base: whether cycles are counted from the first billing date (``contract``) or cut by the ``calendar``.
        billing_timing: ``advance`` or ``arrears``.
        bill_one_time: everything is billed once, with the period in which it begins.
        billing_amount: billed every cycle beside the additions.
        billing_amount_taxable: whether sales tax applies to it.
        prorate: whether parts of a period are billed in part.
        prorate_first_bill: whether a shorter first period of the calendar is.
        proration: how parts are measured: ``actual_days``, ``whole_months``, ``remainder``, ``anniversary_months``,
            ``anniversary_months_begun`` or ``thirty_360``.
        credits: what becomes of time that is billed and then cancelled: ``none``, ``next_invoice`` or ``credit_memo``.
        changes: when a change to a billed period is billed: with the ``next_invoice``, or ``immediately``.
        one_line_per_addition: show a prorated part on one line with the full period.
        application_units: what the allocation counts: ``amount``, ``hours`` (time alone) or ``incidents``.
        application_limit: the allocation of each application cycle in those units; null covers nothing.
        application_unlimited: covers without limit. Giving a limit ends it, and the other way about.
        application_cycle: how long an allocation lasts.
        application_base: from where application cycles are counted.
        application_one_time: one allocation for the whole term.
        covers_time: whether time is covered.
        covers_expenses: whether expenses are.
        covers_products: whether products are.
        covers_sales_tax: draw tax from the block; with prepayment and units of amount alone.
        carry_over: what is unused goes to the following cycles.
        carry_over_days: for so many days; null is no limit.
        expire_when_zero: it closes for good once nothing is available.
        allow_overruns: more than the allocation may be drawn.
        overrun_limit: up to so much a cycle; null is no limit.
        overrun_from: billed in ``arrears``, or taken from the ``next_period``.
        coverage_order: who draws first: ``by_date``, or ``as_saved``.
        selection: whether what is listed is left out (``all_but``) or alone let in (``only``).
        hourly_rate: where no rate of a role or type says otherwise.
        bill_time: Billable, DoNotBill or NoCharge.
        bill_expenses: Billable, DoNotBill or NoCharge.
        bill_products: Billable, DoNotBill or NoCharge.
        show_covered_time: whether invoices show covered time.
        show_covered_expenses: whether they show covered expenses.
        show_covered_products: whether they show covered products.
        terms_id: those of the type, the bill-to or the company when they are not given.
    """

    billing_cycle: str
    cycle_base: str
    billing_timing: str
    bill_one_time: bool
    billing_amount: Decimal
    billing_amount_taxable: bool
    prorate: bool
    prorate_first_bill: bool
    proration: str
    credits: str
    changes: str
    one_line_per_addition: bool
    application_units: str
    application_limit: Decimal | None
    application_unlimited: bool
    application_cycle: str
    application_base: str
    application_one_time: bool
    covers_time: bool
    covers_expenses: bool
    covers_products: bool
    covers_sales_tax: bool
    carry_over: bool
    carry_over_days: int | None
    expire_when_zero: bool
    allow_overruns: bool
    overrun_limit: Decimal | None
    overrun_from: str
    coverage_order: str
    selection: str
    hourly_rate: Decimal | None
    bill_time: str
    bill_expenses: str
    bill_products: str
    show_covered_time: bool
    show_covered_expenses: bool
    show_covered_products: bool
    terms_id: int | None


#: Every column of :class:`AgreementParameters` that a type hands to its agreements.
COPIED: Final = tuple(field.attname for field in AgreementParameters._meta.local_fields)


def values_of(record: AgreementParameters) -> dict[str, Any]:
    """All parameters of a type or an agreement, by name."""
    return {name: getattr(record, name) for name in COPIED}


def set_parameters(record: AgreementParameters, given: Mapping[str, Any]) -> Changes:
    """Set what is given and refuse what does not fit together; what differs from before is returned.

    Raises:
        DomainError: ``invalid`` or ``required``, with the field.
    """
    values = {
        name: cycle_code(value, name) if name in _CYCLES and isinstance(value, str) else value
        for name, value in given.items()
    }
    if values.get("application_limit") is not None:
        values.setdefault("application_unlimited", False)
    elif values.get("application_unlimited"):
        values.setdefault("application_limit", None)
    changes = change(record, **values)
    check_parameters(record)
    return changes


def check_parameters(record: AgreementParameters) -> None:
    """Refuse parameters that contradict each other; what merely has no effect is allowed (:func:`without_effect`).

    Raises:
        DomainError: ``invalid``, with the field.
    """
    refuse_negative({name: value for name in _NOT_NEGATIVE if (value := getattr(record, name)) is not None})
    if record.application_unlimited and record.application_limit is not None:
        raise DomainError(
            "invalid", "An agreement is unlimited or has a limit, not both.", field="application_limit",
            hint="Leave the limit empty, or untick unlimited.",
        )  # fmt: skip
    units = record.application_units
    if units == ApplicationUnits.HOURS and (record.covers_expenses or record.covers_products):
        raise DomainError(
            "invalid", "Hours are drawn by time alone; expenses and products cannot be covered in hours.",
            field="covers_expenses" if record.covers_expenses else "covers_products",
            hint="Count the allocation as an amount, or cover time only.",
        )  # fmt: skip
    for name in ("application_limit", "overrun_limit"):
        limit = getattr(record, name)
        if limit is None:
            continue
        if units == ApplicationUnits.AMOUNT and round_money(limit) != limit:
            raise DomainError("invalid", f"A limit of {limit} is not an amount in whole cents.", field=name)
        if units == ApplicationUnits.INCIDENTS and limit != int(limit):
            raise DomainError("invalid", f"A limit of {limit} is not a whole number of incidents.", field=name)


def ensure_block_has_limit(record: AgreementParameters) -> None:
    """Refuse a one-time block without what it is a block of.

    Raises:
        DomainError: ``required``.
    """
    if record.application_one_time and record.application_limit is None and not record.application_unlimited:
        raise DomainError(
            "required", "A one-time block needs its limit: how much it is a block of.", field="application_limit"
        )


def without_effect(record: AgreementParameters) -> Iterable[str]:
    """A sentence for each parameter that is set and changes nothing, and for what probably was not meant."""
    covers = record.covers_time or record.covers_expenses or record.covers_products
    has_pool = record.application_unlimited or record.application_limit is not None
    if record.covers_sales_tax and not record.prepayment:
        yield (
            "Covering sales tax has no effect: the agreement's type is not prepaid, so tax is neither drawn from the"
            " allocation nor added to its limit."
        )
    elif record.covers_sales_tax and record.application_units != ApplicationUnits.AMOUNT:
        yield f"Covering sales tax has no effect: the allocation is counted in {record.application_units}, not amounts."
    if covers and not has_pool:
        yield "Nothing is covered: there is neither a limit nor is it unlimited."
    if has_pool and not covers:
        yield "Nothing is covered: none of time, expenses and products is ticked."
    if record.carry_over and record.application_one_time:
        yield "Carrying over has no effect: there is one allocation for the whole term."
    if record.carry_over_days is not None and not record.carry_over:
        yield "Days of carrying over have no effect: what is unused is not carried over."
    if record.overrun_limit is not None and not record.allow_overruns:
        yield "The overrun limit has no effect: overruns are not allowed."
    if record.expire_when_zero and not record.application_one_time and record.application_limit is not None:
        yield "It closes for good once a cycle's allocation is used up, and the following cycles cover nothing."
