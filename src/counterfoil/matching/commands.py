"""The match as people ask for it, overriding what it found, and its rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from counterfoil.catalog.models import Category
from counterfoil.companies.models import Company
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.matching import CATALOGUE
from counterfoil.core.states import check_transition
from counterfoil.matching.holding import PURCHASE_ORDER, documents_of, refresh_holds
from counterfoil.matching.loading import Span
from counterfoil.matching.matching import (
    Matched,
    drain,
    forget_changes_of,
    match_all,
    match_lines,
    origins_of,
)
from counterfoil.matching.models import (
    Bounds,
    ExceptionStatus,
    HoldRule,
    MatchException,
    MatchTolerance,
    Measure,
)
from counterfoil.platform import audit
from counterfoil.platform.commands import check_role, command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import existing, locked
from counterfoil.platform.records import plain_number, refuse_negative, save_checked, values_of
from counterfoil.procurement.models import PurchaseOrder

MATCHERS: Final = (Role.SALES, Role.PROCUREMENT, Role.FINANCE)
RULERS: Final = (Role.FINANCE,)

#: Who may accept a difference, by the leg it stands on: who buys, for what is bought; else who bills and pays.
_BUYERS: Final = (Role.PROCUREMENT,)
_PAYERS: Final = (Role.FINANCE,)

#: What an installation begins with: a cost may be off by 2 % or by $25 on the line, whichever is more.
DEFAULT_TOLERANCES: Final = (
    (Measure.UNIT_COST, Decimal(2), Decimal(25)),
    (Measure.QUANTITY, None, Decimal(0)),
    (Measure.UNIT_PRICE, None, Decimal(0)),
)


# -- matching ----------------------------------------------------------------------------------------------------------


@command(roles=MATCHERS)
def match_threads(*, actor: Actor, origin_ids: Sequence[int], now: datetime) -> Matched:
    """Match the threads of quoted lines now.

    Raises:
        DomainError: ``required`` without lines.
    """
    if not origin_ids:
        raise DomainError("required", "Choose the quoted lines to match.", field="origin_ids")
    matched = match_lines(origin_ids=origin_ids, now=now, always_hold=True)
    forget_changes_of(origin_ids=origin_ids)
    _say(actor, matched)
    return matched


@command(roles=MATCHERS)
def match_purchase_orders(*, actor: Actor, purchase_order_ids: Sequence[int], now: datetime) -> Matched:
    """Match purchase orders now, with their receipts and bills.

    Raises:
        DomainError: ``required`` without orders.
    """
    if not purchase_order_ids:
        raise DomainError("required", "Choose the purchase orders to match.", field="purchase_order_ids")
    matched = match_lines(purchase_order_ids=purchase_order_ids, now=now, always_hold=True)
    forget_changes_of(purchase_order_ids=purchase_order_ids)
    _say(actor, matched)
    return matched


@command(roles=MATCHERS)
def match_order(*, actor: Actor, purchase_order_id: int, now: datetime) -> Matched:
    """Match a purchase order with the quotes behind it, and with its receipts and bills.

    Raises:
        DomainError: ``not_found``.
    """
    existing(PurchaseOrder.objects.all(), purchase_order_id)
    origins = origins_of(PURCHASE_ORDER, [purchase_order_id])
    matched = match_lines(origin_ids=origins, purchase_order_ids=[purchase_order_id], now=now, always_hold=True)
    forget_changes_of(origin_ids=origins, purchase_order_ids=[purchase_order_id])
    _say(actor, matched)
    return matched


@command(roles=MATCHERS)
def match_changed(*, actor: Actor, now: datetime) -> Matched:
    """Match what has changed since it was matched, without waiting for the job that does so every minute."""
    matched = drain(now=now)
    _say(actor, matched)
    return matched


@command(roles=MATCHERS)
def match_everything(*, actor: Actor, now: datetime, since: date | None = None, through: date | None = None) -> Matched:
    """Match everything, or that of which something is dated in a period.

    Args:
        actor: who asks.
        now: when.
        since: the period's first day; empty with ``through``: from the beginning.
        through: its last day; empty with ``since``: without end.

    Raises:
        DomainError: ``invalid`` when the period ends before it begins.
    """
    span = None
    if since is not None or through is not None:
        span = Span(since or date(1900, 1, 1), through or date.max)
        if span.through < span.since:
            raise DomainError("invalid", "The period ends before it begins.", field="through")
    matched = match_all(now=now, span=span)
    _say(actor, matched, span)
    return matched


def _say(actor: Actor, matched: Matched, span: Span | None = None) -> None:
    when = f" from {format_date(span.since)} to {format_date(span.through)}" if span else ""
    audit.record(
        actor,
        "matching.matched",
        f"matched {matched.threads} threads and {matched.purchase_lines} purchase order lines{when}: {matched.opened}"
        f" exceptions opened, {matched.changed} changed, {matched.mended} mended",
    )


# -- exceptions --------------------------------------------------------------------------------------------------------


def who_overrides(exception: MatchException) -> tuple[Role, ...]:
    """Who may accept an exception: by what it holds, procurement (purchase orders) or finance (bills and invoices)."""
    return _BUYERS if exception.actual_leg == "purchase" else _PAYERS


@command(roles=(*_BUYERS, *_PAYERS))
def override_exception(*, actor: Actor, exception_id: int, reason: str, now: datetime) -> MatchException:
    """Accept both values of an exception as they are; it holds nothing any more, until one of them changes.

    Raises:
        DomainError: ``not_found``; ``required`` without a reason; ``role_required``; ``wrong_state`` when it is not
            open.
    """
    exception = locked(MatchException.objects.all(), exception_id)
    check_role(actor, frozenset(who_overrides(exception)), "override_exception")
    if not reason.strip():
        raise DomainError("required", "Say why this difference is accepted.", field="reason")
    if len(reason.strip()) > 2000:
        raise DomainError("invalid", "At most 2,000 characters are kept of a reason.", field="reason")
    check_transition("match_exception", _named(exception), exception.status, ExceptionStatus.OVERRIDDEN)
    exception.status = ExceptionStatus.OVERRIDDEN
    exception.settled_at, exception.overridden_by, exception.override_reason = now, actor.name, reason.strip()
    exception.save(update_fields=["status", "settled_at", "overridden_by", "override_reason"])
    _hold_anew(exception)
    audit.record(
        actor,
        "matching.exception.overridden",
        f"accepted {_named(exception)}: {exception.message} Reason: {reason.strip()}",
        exception,
    )
    return exception


@command(roles=(*_BUYERS, *_PAYERS))
def reopen_exception(*, actor: Actor, exception_id: int) -> MatchException:
    """Take an override back: the exception holds again what it held.

    Raises:
        DomainError: ``not_found``; ``role_required``; ``wrong_state`` when it was not overridden.
    """
    exception = locked(MatchException.objects.all(), exception_id)
    check_role(actor, frozenset(who_overrides(exception)), "reopen_exception")
    if exception.status != ExceptionStatus.OVERRIDDEN:
        raise DomainError("wrong_state", f"{_named(exception)} is {exception.status}; only what was accepted reopens.")
    exception.status = ExceptionStatus.OPEN
    exception.settled_at, exception.overridden_by, exception.override_reason = None, "", ""
    exception.save(update_fields=["status", "settled_at", "overridden_by", "override_reason"])
    _hold_anew(exception)
    text = f"opened {_named(exception)} again: {exception.message}"
    audit.record(actor, "matching.exception.reopened", text, exception)
    return exception


def _named(exception: MatchException) -> str:
    code = CATALOGUE.get(exception.code)
    return f"exception {exception.pk} ({code.label.lower() if code else exception.code.replace('_', ' ')})"


def _hold_anew(exception: MatchException) -> None:
    """Look at the holds of the documents that an exception is about."""
    refresh_holds(documents_of(MatchException.objects.filter(pk=exception.pk)))


# -- rules -------------------------------------------------------------------------------------------------------------


@command(roles=RULERS)
def set_tolerance(
    *,
    actor: Actor,
    measure: str,
    percent: Decimal | None = None,
    amount: Decimal | None = None,
    bounds: str = Bounds.WIDER,
    vendor_id: int | None = None,
    category_id: int | None = None,
    company_id: int | None = None,
) -> MatchTolerance:
    """Set how far a measure may be off, for a vendor, a category, a company, some of them together, or for all.

    It counts from the next match on: ``counterfoil match --all`` looks at everything again.

    Args:
        actor: who sets it.
        measure: ``quantity``, ``unit_cost``, ``unit_price``, ``amount`` or ``days``.
        percent: 2 is 2 % of what was expected.
        amount: in the measure's own unit; of unit cost and unit price in dollars on the whole line.
        bounds: ``wider``: either bound is enough; ``narrower``: both must hold.
        vendor_id: only of this vendor.
        category_id: only for products of this category.
        company_id: only for this customer.

    Raises:
        DomainError: ``required`` without a bound; ``invalid``; ``not_found``.
    """
    if measure not in Measure.values:
        raise DomainError("invalid", f"“{measure}” is no measure.", field="measure", hint=", ".join(Measure.values))
    if bounds not in Bounds.values:
        raise DomainError("invalid", f"“{bounds}” is neither wider nor narrower.", field="bounds")
    if percent is None and amount is None:
        raise DomainError("required", "Give a percentage, an amount, or both.", field="percent")
    if measure == Measure.DAYS and amount is None:
        raise DomainError("required", "Give a number of days: a date has no percentage.", field="amount")
    refuse_negative({name: value for name, value in (("percent", percent), ("amount", amount)) if value is not None})
    for model, pk, name in ((Company, vendor_id, "vendor_id"), (Category, category_id, "category_id"),
                            (Company, company_id, "company_id")):  # fmt: skip
        if pk is not None:
            existing(model._default_manager.all(), pk, name)
    particular = {"vendor_id": vendor_id, "category_id": category_id, "company_id": company_id}
    row = MatchTolerance.objects.filter(measure=measure, **particular).first()
    row = row or MatchTolerance(measure=measure, **particular)
    former = values_of(row)
    row.percent, row.amount, row.bounds = percent, amount, bounds
    if row.pk is not None and values_of(row) == former:
        audit.record_nothing()
        return row
    save_checked(row)
    audit.record(actor, "matching.tolerance.set", f"set the tolerance of {_measured(row)}", row)
    return row


@command(roles=RULERS)
def remove_tolerance(*, actor: Actor, tolerance_id: int) -> None:
    """Remove a tolerance: the next less particular one holds, or none at all.

    Raises:
        DomainError: ``not_found``.
    """
    row = locked(MatchTolerance.objects.all(), tolerance_id)
    audit.record(actor, "matching.tolerance.removed", f"removed the tolerance of {_measured(row)}", row)
    row.delete()


def _measured(row: MatchTolerance) -> str:
    parts = []
    if row.percent is not None:
        parts.append(f"{plain_number(row.percent)} %")
    if row.amount is not None:
        parts.append(plain_number(row.amount))
    names = (("vendor", row.vendor), ("category", row.category), ("company", row.company))
    of = ", ".join(f"{what} {name}" for what, name in names if name is not None)
    label = Measure(row.measure).label.lower()
    bounds = f", the {row.bounds} of both" if len(parts) > 1 else ""
    return f"{label}{f' of {of}' if of else ''}: {' or '.join(parts)}{bounds}"


@command(roles=RULERS)
def set_hold_rule(
    *,
    actor: Actor,
    code: str,
    holds_purchase_order: bool = False,
    holds_vendor_bill: bool = False,
    holds_invoice: bool = False,
) -> HoldRule:
    """Set what open exceptions of a code hold; documents are held and released at once.

    Raises:
        DomainError: ``invalid`` for a code that no match knows, and for what such a difference cannot hold.
    """
    if code not in CATALOGUE:
        raise DomainError("invalid", f"“{code}” is no code of the match.", field="code", hint=", ".join(CATALOGUE))
    if CATALOGUE[code].of_statement and (holds_purchase_order or holds_vendor_bill):
        raise DomainError(
            "invalid", "What a vendor's statement shows is about what we bill: it can hold invoices alone.",
            field="holds_purchase_order" if holds_purchase_order else "holds_vendor_bill",
        )  # fmt: skip
    wanted = {
        "holds_purchase_order": holds_purchase_order,
        "holds_vendor_bill": holds_vendor_bill,
        "holds_invoice": holds_invoice,
    }
    if (rule := HoldRule.objects.filter(code=code, **wanted).first()) is not None:
        audit.record_nothing()
        return rule
    rule, _ = HoldRule.objects.update_or_create(code=code, defaults=wanted)
    refresh_holds(documents_of(MatchException.objects.filter(code=code, status=ExceptionStatus.OPEN)))
    held = {
        "purchase orders": holds_purchase_order,
        "vendor bills": holds_vendor_bill,
        "invoices": holds_invoice,
    }
    said = " and ".join(name for name, is_held in held.items() if is_held) or "nothing"
    audit.record(actor, "matching.hold_rule.set", f"{CATALOGUE[code].label.lower()}: an exception holds {said}", rule)
    return rule


@command(roles=(Role.OWNER,))
def install_match_rules(*, actor: Actor) -> None:
    """The tolerances and hold rules that an installation begins with; what is there stays as it is."""
    for measure, percent, amount in DEFAULT_TOLERANCES:
        general = MatchTolerance.objects.filter(measure=measure, vendor=None, category=None, company=None)
        if not general.exists():
            MatchTolerance.objects.create(measure=measure, percent=percent, amount=amount)
    there = set(HoldRule.objects.values_list("code", flat=True))
    HoldRule.objects.bulk_create(
        HoldRule(
            code=code.code,
            holds_purchase_order=code.holds_purchase_order,
            holds_vendor_bill=code.holds_vendor_bill,
            holds_invoice=code.holds_invoice,
        )
        for code in CATALOGUE.values()
        if code.code not in there
    )
    audit.record(actor, "matching.rules.installed", "installed the usual tolerances and hold rules of the match")
