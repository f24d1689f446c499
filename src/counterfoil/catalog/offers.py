"""What people do with offers: how a product is sold, one by one or all the usual ones from a base price."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import F

from counterfoil.catalog import policies
from counterfoil.catalog.models import CommitmentRule, Offer, PriceModel, Product, ProductClass
from counterfoil.catalog.prices import offer_name
from counterfoil.companies.models import Company
from counterfoil.companies.policies import ensure_vendor
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO
from counterfoil.core.pricing.terms import ensure_whole_cycles, term_words
from counterfoil.core.pricing.uplift import UpliftRow, in_effect, uplifted_price
from counterfoil.platform import audit
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.records import (
    UNSET,
    Unset,
    change,
    check_fields,
    fetch,
    plain_number,
    record_changes,
    refuse_negative,
    save_checked,
)

SELLING: Final = (Role.SALES, Role.PROCUREMENT, Role.FINANCE)

#: Classes that may be billed again and again.
RECURRING: Final = frozenset({ProductClass.AGREEMENT, ProductClass.BUNDLE})

refuse_as("offer_once", "duplicate", "The product has an offer of that term, billing, vendor and day already.")


@command(roles=SELLING)
def create_offer(
    *,
    actor: Actor,
    product_id: int,
    name: str = "",
    term: str = "",
    billing_cycle: str = "",
    price: Decimal = ZERO,
    cost: Decimal = ZERO,
    price_model_id: int | None = None,
    vendor_id: int | None = None,
    vendor_sku: str = "",
    commitment_rule_id: int | None = None,
    effective_from: date | None = None,
    effective_to: date | None = None,
) -> Offer:
    """Add a way a product is sold.

    Args:
        actor: who adds it.
        product_id: what is sold.
        name: where term and billing do not say it.
        term: for how long it binds: ``year:1``; empty: any.
        billing_cycle: how often it is billed: ``month:1``; the term itself is prepaid; empty: once.
        price: per unit and billing cycle.
        cost: per unit and billing cycle.
        price_model_id: prices by quantity instead of ``price``.
        vendor_id: whom it is bought from; empty: the product's vendor.
        vendor_sku: the vendor's key of it.
        commitment_rule_id: what the term binds to.
        effective_from: first day it is offered.
        effective_to: last day.

    Raises:
        DomainError: ``required``, ``invalid``, ``not_found``, ``duplicate``, with the field.
    """
    offer = Offer(
        product=fetch(Product, product_id, field="product_id"),
        name=name.strip(),
        term=term.strip(),
        billing_cycle=billing_cycle.strip(),
        price=price,
        cost=cost,
        price_model_id=price_model_id,
        vendor_id=vendor_id,
        vendor_sku=vendor_sku.strip(),
        commitment_rule_id=commitment_rule_id,
        effective_from=effective_from,
        effective_to=effective_to,
    )
    _check_offer(offer)
    save_checked(offer)
    audit.record(
        actor, "catalog.offer.created", f"added an offer of {offer.product.identifier}: {_in_words(offer)}", offer
    )
    return offer


@command(roles=SELLING)
def update_offer(
    *,
    actor: Actor,
    offer_id: int,
    name: str | Unset = UNSET,
    term: str | Unset = UNSET,
    billing_cycle: str | Unset = UNSET,
    price: Decimal | Unset = UNSET,
    cost: Decimal | Unset = UNSET,
    price_model_id: int | Unset | None = UNSET,
    vendor_id: int | Unset | None = UNSET,
    vendor_sku: str | Unset = UNSET,
    commitment_rule_id: int | Unset | None = UNSET,
    effective_from: date | Unset | None = UNSET,
    effective_to: date | Unset | None = UNSET,
) -> Offer:
    """Change what is given of an offer. What was quoted and sold by it keeps its price.

    Raises:
        DomainError: as :func:`create_offer`; ``conflict`` for another term or billing once it is on documents.
    """
    offer = fetch(Offer, offer_id, lock=True)
    changes = change(
        offer,
        name=name if name is UNSET else name.strip(),
        term=term if term is UNSET else policies.optional_cycle(term, "term"),
        billing_cycle=billing_cycle if billing_cycle is UNSET else policies.optional_cycle(billing_cycle),
        price=price,
        cost=cost,
        price_model_id=price_model_id,
        vendor_id=vendor_id,
        vendor_sku=vendor_sku if vendor_sku is UNSET else vendor_sku.strip(),
        commitment_rule_id=commitment_rule_id,
        effective_from=effective_from,
        effective_to=effective_to,
    )
    _check_offer(offer)
    _refuse_retermed(offer, changes)
    save_checked(offer)
    record_changes(
        actor,
        "catalog.offer.changed",
        f"changed the offer {offer_name(offer)} of {offer.product.identifier}",
        changes,
        offer,
    )
    return offer


@command(roles=SELLING)
def deactivate_offer(*, actor: Actor, offer_id: int) -> Offer:
    """Sell by an offer no longer; what was quoted and sold by it goes on."""
    return _set_active(actor, offer_id, active=False)


@command(roles=SELLING)
def reactivate_offer(*, actor: Actor, offer_id: int) -> Offer:
    """Sell by an offer again."""
    return _set_active(actor, offer_id, active=True)


@command(roles=SELLING)
def make_offers(
    *,
    actor: Actor,
    product_id: int,
    commitment_rule_id: int,
    unit_price: Decimal,
    unit_cost: Decimal = ZERO,
    vendor_id: int | None = None,
    vendor_sku: str = "",
    on: date,
    effective_from: date | None = None,
) -> list[Offer]:
    """Make the usual offers of a product: one for every term and billing that a commitment rule knows (WE-16).

    An offer of the same term, billing, vendor and SKU that is there gets the new price and cost; with
    ``effective_from`` it ends the day before and a new one follows it.

    Args:
        actor: who makes them.
        product_id: an agreement product.
        commitment_rule_id: whose uplifts are added.
        unit_price: a month, at the term without uplift.
        unit_cost: a month, at the term without uplift; it is uplifted as the price is.
        vendor_id: whom it is bought from; empty: the product's vendor.
        vendor_sku: the vendor's key of it.
        on: the day whose uplifts count, unless ``effective_from`` is given.
        effective_from: first day the offers hold; empty: always.

    Returns:
        The offers, in the order of the rule's uplifts.

    Raises:
        DomainError: ``not_found``, ``invalid``; ``required`` when the rule has no uplifts.
    """
    product = fetch(Product, product_id, field="product_id", lock=True)
    rule = fetch(CommitmentRule, commitment_rule_id, field="commitment_rule_id")
    refuse_negative({"unit_price": unit_price, "unit_cost": unit_cost})
    rows = [UpliftRow(row.term, row.billing_cycle, row.percent, row.effective_from) for row in rule.uplifts.all()]
    if not (rows := in_effect(rows, effective_from or on)):
        raise DomainError(
            "required",
            f"{rule.name} names no term and billing.",
            field="commitment_rule_id",
            hint="Enter its uplifts first; 0 % for the term that costs the base price.",
        )
    made, said = [], []
    for row in rows:
        price, cost = uplifted_price(unit_price, row), uplifted_price(unit_cost, row)
        wanted = Offer(
            product=product,
            term=row.term,
            billing_cycle=row.billing_cycle,
            price=price.price,
            cost=cost.price,
            vendor_id=vendor_id,
            vendor_sku=vendor_sku.strip(),
            commitment_rule=rule,
            effective_from=effective_from,
        )
        _check_offer(wanted)
        made.append(_put_in_place(wanted))
        said.append(f"{term_words(row.term, row.billing_cycle)} {price.words}")
    audit.record(
        actor,
        "catalog.offers.made",
        f"made the offers of {product.identifier} by {rule.name}: {'; '.join(said)}",
        product,
    )
    return made


def succeed(former: Offer, first_day: date) -> None:
    """End an offer the day before another follows it. Its fields are set, not saved."""
    former.effective_to = first_day - timedelta(days=1)


def follows(wanted: Offer, former: Offer) -> bool:
    """Whether the wanted offer begins later than the former, so that it follows it instead of changing it."""
    first = wanted.effective_from
    return first is not None and (former.effective_from is None or first > former.effective_from)


# -- checking and writing ----------------------------------------------------------------------------------------------


def _check_offer(offer: Offer) -> None:
    """Refuse an offer whose term, billing, price and dates do not go together, or that names what is not there."""
    offer.term = policies.optional_cycle(offer.term, "term")
    offer.billing_cycle = policies.optional_cycle(offer.billing_cycle)
    refuse_negative({"price": offer.price, "cost": offer.cost})
    ensure_sellable(offer)
    if offer.vendor_id is not None:
        ensure_vendor(fetch(Company, offer.vendor_id, field="vendor_id"))
    if offer.price_model_id is not None:
        fetch(PriceModel, offer.price_model_id, field="price_model_id")
    if offer.commitment_rule_id is not None:
        fetch(CommitmentRule, offer.commitment_rule_id, field="commitment_rule_id")


def ensure_sellable(offer: Offer) -> None:
    """Refuse an offer whose term, billing and dates do not go together or with its product's class. No query is made.

    Raises:
        DomainError: ``invalid`` or ``required``, with the field.
    """
    ensure_whole_cycles(offer.term, offer.billing_cycle)
    product = offer.product
    if offer.billing_cycle and product.product_class not in RECURRING:
        raise DomainError(
            "invalid",
            f"{product.identifier} is of class {product.product_class}; only agreement products and bundles are billed"
            " again and again.",
            field="billing_cycle",
        )
    if product.product_class == ProductClass.AGREEMENT and not offer.billing_cycle:
        raise DomainError(
            "required",
            f"{product.identifier} is an agreement product: how often is it billed?",
            field="billing_cycle",
            hint="Choose a billing cycle; the term itself is prepaid.",
        )
    if offer.commitment_rule_id is not None and not offer.term:
        raise DomainError(
            "required", "A commitment needs a term.", field="term", hint="Choose a term, or no commitment rule."
        )
    if offer.effective_from and offer.effective_to and offer.effective_to < offer.effective_from:
        raise DomainError(
            "invalid",
            f"The offer would end on {format_date(offer.effective_to)}, before it begins.",
            field="effective_to",
        )


def _refuse_retermed(offer: Offer, changes: Mapping[str, object]) -> None:
    for field in ("term", "billing_cycle"):
        if field in changes and policies.is_used(offer):
            raise DomainError(
                "conflict",
                f"The offer is on documents already, so its {field.replace('_', ' ')} stays.",
                field=field,
                hint="Make a new offer and deactivate this one.",
            )


def _put_in_place(wanted: Offer) -> Offer:
    """Save the wanted offer: over the one that is there, after it, or new."""
    same = Offer.objects.filter(
        product=wanted.product,
        term=wanted.term,
        billing_cycle=wanted.billing_cycle,
        vendor_id=wanted.vendor_id,
        vendor_sku=wanted.vendor_sku,
        active=True,
    )
    former = same.order_by(F("effective_from").desc(nulls_last=True)).first()
    if former is not None and not follows(wanted, former):
        change(
            former,
            price=wanted.price,
            cost=wanted.cost,
            price_model_id=None,
            commitment_rule_id=wanted.commitment_rule_id,
        )
        former.save()
        return former
    first_day = wanted.effective_from
    if former is not None and first_day and (former.effective_to is None or former.effective_to >= first_day):
        succeed(former, first_day)
        former.save(update_fields=["effective_to"])
    check_fields(wanted)
    wanted.save()
    return wanted


def _set_active(actor: Actor, offer_id: int, *, active: bool) -> Offer:
    offer = fetch(Offer, offer_id, lock=True)
    offer.active = active
    offer.save(update_fields=["active"])
    deed = "reactivated" if active else "deactivated"
    said = f"{deed} the offer {offer_name(offer)} of {offer.product.identifier}"
    audit.record(actor, f"catalog.offer.{deed}", said, offer)
    return offer


def _in_words(offer: Offer) -> str:
    return f"{offer_name(offer)} at {plain_number(offer.price)}, cost {plain_number(offer.cost)}"
