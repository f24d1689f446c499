"""Accepted lines that begin on delivery: what they wait for, and what can be done where nothing will be delivered.

Their goods may never come: the sales order was cancelled, or closed before all was shipped. No day is made up then; the
line stays in sight until somebody begins it from a day, or cancels it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from counterfoil.agreements.models import Agreement
from counterfoil.catalog.policies import GOODS
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.flows.accepted import delivered_on, on_behalf_of, waiting_lines
from counterfoil.flows.bundles import record_bundles, share_out
from counterfoil.flows.recurring_lines import Recurring, convert_recurring, when
from counterfoil.orders.models import SalesOrder, SalesOrderLine, SalesOrderStatus
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.records import fetch
from counterfoil.quotes.commands import lock_for_conversion, record_conversion
from counterfoil.quotes.models import ConversionTarget, QuoteLine, QuoteVersion
from counterfoil.quotes.routing import AGREEMENT, conversion_rules, rule_for

DECIDERS = (Role.SALES, Role.FINANCE)


@dataclass(frozen=True, slots=True)
class WaitingLines:
    """The lines of an accepted quote that wait for its goods.

    Attributes:
        quote_id: of the quote.
        quote: its number.
        company: whose it is.
        opportunity_id: on which the lines stand.
        lines: the lines.
        orders: the sales orders of the goods.
        is_stuck: nothing is coming any more, so nothing begins them.
        why: what they wait for, in words.
    """

    version_id: int
    quote_id: int
    quote: str
    company: str
    opportunity_id: int
    lines: tuple[QuoteLine, ...]
    orders: tuple[SalesOrder, ...]
    is_stuck: bool
    why: str

    @property
    def line_ids(self) -> tuple[int, ...]:
        """Their ids."""
        return tuple(line.pk for line in self.lines)


def waiting(
    *,
    version_id: int | None = None,
    opportunity_id: int | None = None,
    agreement_id: int | None = None,
    order_id: int | None = None,
) -> list[WaitingLines]:
    """What waits for its goods, by quote: of one version, opportunity, agreement or sales order, or of all."""
    asked: dict[str, Any] = {"version": version_id, "opportunity": opportunity_id}
    rows = waiting_lines().filter(**{name: value for name, value in asked.items() if value is not None})
    if agreement_id is not None:
        rows = rows.filter(Q(version__quote__agreement=agreement_id) | Q(opportunity__agreements=agreement_id))
    if order_id is not None:
        rows = rows.filter(version__in=SalesOrderLine.objects.filter(order=order_id).values("origin__version"))
    found = set(rows.order_by().values_list("pk", flat=True))  # most often none: only what there is gets loaded
    by_version: dict[int, list[QuoteLine]] = {}
    for line in waiting_lines().filter(pk__in=found) if found else ():
        by_version.setdefault(line.version_id or 0, []).append(line)
    orders = _orders_of(by_version)
    return [_waiting(pk, lines, orders.get(pk, ())) for pk, lines in by_version.items()]


def stuck_lines() -> QuerySet[QuoteLine]:
    """The waiting lines of whose goods no open order is left, so that no delivery will begin them."""
    goods = SalesOrderLine.objects.filter(product__product_class__in=list(GOODS), order__status=SalesOrderStatus.OPEN)
    return waiting_lines().filter(~Exists(goods.filter(origin__version=OuterRef("version"))))


def _orders_of(version_ids: Iterable[int]) -> dict[int, tuple[SalesOrder, ...]]:
    """The sales orders of the goods of versions, the oldest first."""
    found: dict[int, dict[int, SalesOrder]] = {}
    ids = list(version_ids)
    rows = SalesOrderLine.objects.filter(origin__version__in=ids, product__product_class__in=list(GOODS))
    for line in rows.select_related("order", "origin").order_by("order_id") if ids else ():
        assert line.origin is not None  # it is asked for by its version
        found.setdefault(line.origin.version_id or 0, {})[line.order_id] = line.order
    return {pk: tuple(orders.values()) for pk, orders in found.items()}


def _waiting(version_id: int, lines: Sequence[QuoteLine], orders: tuple[SalesOrder, ...]) -> WaitingLines:
    line = lines[0]
    assert line.version is not None  # they are lines of a version
    assert line.opportunity is not None  # they are accepted
    still_open = [order for order in orders if order.status == SalesOrderStatus.OPEN]
    delivered = None if still_open else delivered_on(version_id)
    return WaitingLines(
        version_id=version_id,
        quote_id=line.version.quote_id,
        quote=line.version.quote.number,
        company=line.opportunity.company.name,
        opportunity_id=line.opportunity.pk,
        lines=tuple(lines),
        orders=orders,
        is_stuck=not still_open and delivered is None,
        why=_why(orders, still_open, delivered),
    )


def _why(orders: Sequence[SalesOrder], still_open: Sequence[SalesOrder], delivered: date | None) -> str:
    if still_open:
        return f"Until the goods of {_numbers(still_open)} are delivered."
    if delivered is not None:
        return f"All was delivered on {format_date(delivered)}: it begins with the next hourly job."
    if not orders:
        return "Its goods are on no sales order any more: nothing will be delivered."
    over = {order.status for order in orders}
    what = "cancelled" if over == {SalesOrderStatus.CANCELLED} else "closed before all was delivered"
    return f"{_numbers(orders)} {'was' if len(orders) == 1 else 'were'} {what}: nothing more will be delivered."


def _numbers(orders: Iterable[SalesOrder]) -> str:
    return ", ".join(order.number for order in orders)


# -- what can be done --------------------------------------------------------------------------------------------------


@command(roles=DECIDERS)
def start_waiting(*, actor: Actor, line_ids: Sequence[int], start_date: date, reason: str = "") -> list[Agreement]:
    """Begin lines that wait for their goods from a day that somebody names, delivered or not.

    Args:
        actor: who begins them; what is made is recorded as Counterfoil for them.
        line_ids: waiting lines of one quote.
        start_date: the first day they are billed for.
        reason: why, for the audit trail.

    Returns:
        The agreements they became part of.

    Raises:
        DomainError: ``required`` without lines; ``wrong_state`` for a line that does not wait, or that no conversion
            rule makes part of an agreement; ``already_converted``; and as the commands of agreements refuse.
    """
    version, lines = _locked(line_ids)
    share_out(lines)
    rules = list(conversion_rules())
    begun = []
    for line in lines:
        rule = rule_for(line, rules)
        if rule is None or rule.target != AGREEMENT:
            raise DomainError(
                "wrong_state", f"No conversion rule makes “{line.description}” part of an agreement.", field="line_ids",
                hint="Convert it on its opportunity, or add a rule under Setup, Conversion rules.",
            )  # fmt: skip
        begun.append(Recurring(line, *when(line, start_date), rule))
    made = convert_recurring(on_behalf_of(actor), version, begun, start_date)
    record_bundles(on_behalf_of(actor), [version.pk])
    why = f": {reason.strip()}" if reason.strip() else ""
    audit.record(
        actor, "quotes.waiting.started",
        f"began {_named(lines)} of {version} from {format_date(start_date)}, without waiting for a delivery{why}",
        version.quote, agreements=[agreement.number for agreement in made],
    )  # fmt: skip
    return made


@command(roles=DECIDERS)
def cancel_waiting(*, actor: Actor, line_ids: Sequence[int], reason: str) -> QuoteVersion:
    """Give up lines that wait for their goods: they become nothing. The signed quote stays as it is.

    Args:
        actor: who gives them up.
        line_ids: waiting lines of one quote.
        reason: why; required.

    Raises:
        DomainError: ``required`` without lines or a reason; ``wrong_state`` for a line that does not wait;
            ``already_converted``.
    """
    if not reason.strip():
        raise DomainError("required", "Say why nothing will come of it.", field="reason")
    version, lines = _locked(line_ids)
    record_conversion(
        actor=on_behalf_of(actor),
        opportunity_id=lines[0].opportunity_id or 0,
        line_ids=[line.pk for line in lines],
        target=ConversionTarget.NOTHING,
        target_id=0,
        target_number="nothing",
    )
    record_bundles(on_behalf_of(actor), [version.pk])
    text = f"cancelled {_named(lines)} of {version}, which waited for goods: {reason.strip()}"
    audit.record(actor, "quotes.waiting.cancelled", text, version.quote)
    return version


def _locked(line_ids: Sequence[int]) -> tuple[QuoteVersion, list[QuoteLine]]:
    """Waiting lines of one version, held until the transaction ends."""
    if not line_ids:
        raise DomainError("required", "Choose at least one line that waits.", field="line_ids")
    lines = [fetch(QuoteLine, pk, field="line_ids") for pk in dict.fromkeys(line_ids)]
    versions = {line.version_id for line in lines}
    if len(versions) > 1 or lines[0].version_id is None or lines[0].opportunity_id is None:
        raise DomainError("wrong_state", "Name waiting lines of one accepted quote.", field="line_ids")
    lock_for_conversion(lines[0].opportunity_id, list(line_ids))
    found = list(waiting_lines(lines[0].version_id).filter(pk__in=line_ids))
    if len(found) < len(lines):
        other = next(line for line in lines if line not in found)
        raise DomainError("wrong_state", f"“{other.description}” does not wait for a delivery.", field="line_ids")
    return fetch(QuoteVersion, lines[0].version_id), found


def _named(lines: Iterable[QuoteLine]) -> str:
    return ", ".join(f"“{line.description}”" for line in lines)
