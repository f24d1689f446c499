"""From an accepted version to what was sold: agreements, dated changes, a sales order, a deposit invoice.

Nothing is keyed again: every addition, change and order line carries the signed line as its ``origin``, with its
quantity, price, offer, term and start. What a line becomes is said by the conversion rules
(:mod:`counterfoil.quotes.routing`). A recurring line that begins on delivery waits until the goods of its quote have
been delivered; :func:`start_delivered` then converts it, from that day on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from django.db.models import QuerySet

from counterfoil.agreements.models import Agreement
from counterfoil.billing.models import Invoice, InvoiceType
from counterfoil.billing.special import NewLine, create_invoice
from counterfoil.catalog.models import ProductClass
from counterfoil.catalog.policies import GOODS
from counterfoil.core.errors import DomainError
from counterfoil.core.states import words
from counterfoil.flows.bundles import bundles_of, record_bundles, share_out
from counterfoil.flows.changes import apply_change
from counterfoil.flows.recurring_lines import Recurring, convert_recurring, customer_po, when
from counterfoil.orders.commands import OrderLineInput, create_sales_order
from counterfoil.orders.models import SalesOrder, SalesOrderLine
from counterfoil.orders.queries import Progress
from counterfoil.orders.queries import lines as order_lines
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import SYSTEM, Actor, Role
from counterfoil.platform.records import fetch
from counterfoil.quotes.commands import lock_for_conversion, record_conversion
from counterfoil.quotes.models import (
    ConversionRule,
    ConversionTarget,
    LineAction,
    QuoteLine,
    QuoteVersion,
    StartPolicy,
    VersionStatus,
)
from counterfoil.quotes.pricing import price_version
from counterfoil.quotes.routing import AGREEMENT, SALES_ORDER, conversion_rules, rule_for

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

_EVERY_ROLE: Final = frozenset({Role.OWNER})


@dataclass(frozen=True, slots=True)
class Converted:
    """What became of an accepted version.

    Attributes:
        agreements: new ones, and those that got additions or changes; each once.
        orders: the sales order of what is sold once; none or one.
        deposit: the draft of the deposit invoice.
        waiting: recurring lines that begin when the goods are delivered.
        kept: lines kept for later, as the rules say.
    """

    agreements: tuple[Agreement, ...] = ()
    orders: tuple[SalesOrder, ...] = ()
    deposit: Invoice | None = None
    waiting: tuple[QuoteLine, ...] = ()
    kept: tuple[QuoteLine, ...] = ()


def on_behalf_of(actor: Actor) -> Actor:
    """Counterfoil, doing what follows from somebody's deed: an acceptance takes no role, its conversion takes them."""
    if actor is SYSTEM:
        return actor
    return Actor(user_id=None, name=f"Counterfoil, for {actor.name}"[:150], roles=_EVERY_ROLE, channel=actor.channel)


def convert_accepted(*, actor: Actor, version_id: int, on: date) -> Converted:
    """Convert what the customer took of an accepted version, in the transaction of the acceptance.

    Args:
        actor: who accepted; the work is done, and recorded, as Counterfoil for them.
        version_id: an accepted version.
        on: the day of acceptance.

    Raises:
        DomainError: ``wrong_state`` unless it is accepted; ``committed`` for fewer than are owed; and whatever refuses
            an agreement, an order or an invoice.
    """
    return convert_version(actor=on_behalf_of(actor), version_id=version_id, on=on)


@command(roles=(Role.OWNER,))
def convert_version(*, actor: Actor, version_id: int, on: date) -> Converted:
    """As :func:`convert_accepted`, by the actor given. Lines that are converted stay as they are: it can be run again.

    Raises:
        DomainError: as :func:`convert_accepted`.
    """
    version = _accepted(version_id)
    lines = _taken(version)
    if not lines:
        audit.record(actor, "quotes.version.converted", f"found nothing to convert of {version}", version)
        return Converted()
    lock_for_conversion(lines[0].opportunity_id or 0, [line.pk for line in lines])
    rules = list(conversion_rules())
    share_out(lines)
    bundles = {bundle.head.pk: bundle for bundle in bundles_of([version_id])}
    unsold = [line for line in lines if line.pk in bundles and not bundles[line.pk].is_sold_in_parts]
    lines = [line for line in lines if line.pk not in bundles]
    changes = [line for line in lines if line.action != LineAction.NEW]
    new = [line for line in lines if line.action == LineAction.NEW]
    routed = [(line, rule_for(line, rules)) for line in new]
    ordered = [line for line, rule in routed if rule is not None and rule.target == SALES_ORDER]
    recurring = [(line, rule) for line, rule in routed if rule is not None and rule.target == AGREEMENT]
    goods = any(line.product.product_class in GOODS for line in ordered) or _goods_of(version_id).exists()
    waiting = [line for line, _ in recurring if goods and line.start_policy == StartPolicy.ON_DELIVERY]
    kept = unsold + [line for line, rule in routed if rule is None or rule.target not in (AGREEMENT, SALES_ORDER)]

    agreements: dict[int, Agreement] = {}
    for line in changes:
        for agreement in apply_change(actor, version, line, on):
            agreements[agreement.pk] = agreement
    begun = [_recurring(line, rule, on) for line, rule in recurring if line not in waiting]
    for agreement in convert_recurring(actor, version, begun, on):
        agreements[agreement.pk] = agreement
    order = _order(actor, version, ordered, on) if ordered else None
    record_bundles(actor, [version_id])
    deposit = _deposit(actor, version, order, next(iter(agreements.values()), None), on)
    _say(actor, version, agreements.values(), order, deposit, waiting, kept)
    return Converted(tuple(agreements.values()), (order,) if order else (), deposit, tuple(waiting), tuple(kept))


def _accepted(version_id: int) -> QuoteVersion:
    version = fetch(QuoteVersion, version_id, field="version_id")
    if version.status != VersionStatus.ACCEPTED:
        raise DomainError(
            "wrong_state", f"{version} is {words(version.status)}; what is accepted is converted.", field="version_id"
        )
    return version


def _taken(version: QuoteVersion) -> list[QuoteLine]:
    """The lines the customer took that are not converted yet."""
    rows = QuoteLine.objects.filter(version=version, opportunity__isnull=False, conversion__isnull=True)
    return list(_loaded(rows))


def _loaded(rows: QuerySet[QuoteLine]) -> QuerySet[QuoteLine]:
    return rows.select_related(
        "product__vendor", "offer__commitment_rule", "offer__vendor", "price_model", "addition__agreement", "bundle",
        "opportunity__company", "version__quote",
    ).order_by("position")  # fmt: skip


def _say(
    actor: Actor,
    version: QuoteVersion,
    agreements: Iterable[Agreement],
    order: SalesOrder | None,
    deposit: Invoice | None,
    waiting: Sequence[QuoteLine],
    kept: Sequence[QuoteLine],
) -> None:
    made = [agreement.number for agreement in agreements]
    made += [order.number] if order else []
    made += [f"the draft of deposit invoice {deposit}"] if deposit else []
    said = f"converted {version} to {', '.join(made) or 'nothing yet'}"
    for lines, why in ((waiting, "until its goods are delivered"), (kept, "for later")):
        if lines:
            said += f"; kept {', '.join(line.description for line in lines)} {why}"
    audit.record(actor, "quotes.version.converted", said, version)


# -- recurring lines ---------------------------------------------------------------------------------------------------


def _recurring(line: QuoteLine, rule: ConversionRule, on: date) -> Recurring:
    return Recurring(line, *when(line, on), rule)


def waiting_lines(version_id: int | None = None) -> QuerySet[QuoteLine]:
    """Accepted recurring lines that begin when the goods of their quote are delivered, and have not begun."""
    rows = QuoteLine.objects.filter(
        version__status=VersionStatus.ACCEPTED,
        opportunity__isnull=False,
        conversion__isnull=True,
        start_policy=StartPolicy.ON_DELIVERY,
        action=LineAction.NEW,
    ).exclude(billing_cycle="")
    return _loaded(rows if version_id is None else rows.filter(version=version_id))


def delivered_on(version_id: int) -> date | None:
    """The day on which all goods ordered with a version had been delivered; ``None`` while something is missing.

    Stock is delivered when it is shipped; what is not kept in stock when it is received.
    """
    days: list[date] = []
    for line in _goods_of(version_id).exclude(order__status="cancelled"):
        is_stocked = line.product.product_class == ProductClass.INVENTORY
        if (line.shipped if is_stocked else max(line.received, line.shipped)) < line.quantity:
            return None
        days += _delivery_days(line)
    return max(days, default=None)


def _goods_of(version_id: int) -> QuerySet[WithAnnotations[SalesOrderLine, Progress]]:
    return order_lines().filter(origin__version=version_id, product__product_class__in=list(GOODS))


def _delivery_days(line: SalesOrderLine) -> list[date]:
    shipped = line.shipment_lines.values_list("shipment__date", flat=True)
    if line.product.product_class == ProductClass.INVENTORY or shipped:
        return list(shipped)
    return [
        day
        for bought in line.purchase_order_lines.all()
        for day in bought.receipt_lines.values_list("receipt__date", flat=True)
    ]


@command(roles=(Role.SALES, Role.PROCUREMENT, Role.FINANCE))
def start_delivered(*, actor: Actor, on: date, version_id: int | None = None) -> list[Agreement]:
    """Begin the recurring lines whose goods have been delivered: from the day of delivery on, however late it is run.

    Args:
        actor: who begins them; recorded as Counterfoil for them.
        on: today; what was delivered up to then counts.
        version_id: of this version alone.

    Raises:
        DomainError: as :func:`convert_accepted`.
    """
    by_version: dict[int, list[QuoteLine]] = {}
    for line in waiting_lines(version_id):
        by_version.setdefault(line.version_id or 0, []).append(line)
    rules = list(conversion_rules())
    made: list[Agreement] = []
    for pk, lines in by_version.items():
        day = delivered_on(pk)
        if day is None or day > on:
            continue
        lock_for_conversion(lines[0].opportunity_id or 0, [line.pk for line in lines])
        share_out(lines)
        begun = [
            _recurring(line, rule, day)
            for line in lines
            if (rule := rule_for(line, rules)) and rule.target == AGREEMENT
        ]
        version = fetch(QuoteVersion, pk)
        made += convert_recurring(on_behalf_of(actor), version, begun, day)
        record_bundles(on_behalf_of(actor), [pk])
    names = ", ".join(agreement.number for agreement in made) or "nothing"
    audit.record(actor, "quotes.delivered.started", f"began what waited for its goods: {names}")
    return made


# -- the sales order ---------------------------------------------------------------------------------------------------


def _order(actor: Actor, version: QuoteVersion, lines: Sequence[QuoteLine], on: date) -> SalesOrder:
    opportunity = lines[0].opportunity
    assert opportunity is not None  # accepted lines stand on it
    order = create_sales_order(
        actor=actor,
        company_id=opportunity.company_id,
        on=on,
        site_id=version.site_id or opportunity.site_id,
        customer_po=customer_po(version),
        tax_code_id=version.tax_code_id,
        terms_id=version.terms_id,
        opportunity_id=opportunity.pk,
        lines=[
            OrderLineInput(
                product_id=line.product_id,
                quantity=line.quantity,
                unit_price=line.unit_price,
                unit_cost=line.unit_cost,
                description=line.description,
                taxable=line.taxable,
                origin_id=line.pk,
                offer_id=line.offer_id,
                term=line.term,
                start_date=(line.start_date or on) if line.term else line.start_date,
            )
            for line in lines
        ],
    )
    record_conversion(
        actor=actor,
        opportunity_id=opportunity.pk,
        line_ids=[line.pk for line in lines],
        target=ConversionTarget.SALES_ORDER,
        target_id=order.pk,
        target_number=order.number,
        converted=lines,
    )
    return order


# -- the deposit -------------------------------------------------------------------------------------------------------


def _deposit(
    actor: Actor, version: QuoteVersion, order: SalesOrder | None, agreement: Agreement | None, on: date
) -> Invoice | None:
    """A draft of a down payment for the sales order, or for the agreement where nothing is sold once."""
    amount = price_version(version, on=on).deposit
    if not amount or Invoice.objects.filter(type=InvoiceType.DOWN_PAYMENT, reference=_deposit_of(version)).exists():
        return None
    opportunity = version.quote.opportunity
    assert opportunity is not None  # a template is never accepted
    return create_invoice(
        actor=actor,
        type=InvoiceType.DOWN_PAYMENT,
        company_id=opportunity.company_id,
        on=on,
        site_id=version.site_id or opportunity.site_id,
        order_id=order.pk if order else None,
        agreement_id=None if order or agreement is None else agreement.pk,
        terms_id=version.terms_id,
        tax_code_id=version.tax_code_id,
        customer_po=customer_po(version),
        reference=_deposit_of(version),
        lines=[NewLine(f"Deposit on quote {version.quote.number}", unit_price=amount, taxable=False)],
    )


def _deposit_of(version: QuoteVersion) -> str:
    return f"{version.quote.number} version {version.number}"
