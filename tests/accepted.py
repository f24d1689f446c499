"""Accepted versions of quotes for tests of what follows, and the products that are quoted on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from tests.world import World

from counterfoil.agreements.models import Agreement
from counterfoil.catalog.models import BundleComponent, Category, CommitmentRule, Offer, Product
from counterfoil.companies.models import Company
from counterfoil.core.money import extend
from counterfoil.core.states import allowed
from counterfoil.flows.accepted import Converted, convert_accepted
from counterfoil.platform.identity import Actor
from counterfoil.quotes.models import Opportunity, Quote, QuoteLine, QuoteVersion, VersionStatus

D = Decimal
TODAY = date(2026, 1, 5)
CUSTOMER = Actor(user_id=None, name="Ann Acme", roles=frozenset(), channel="page")


def m365(world: World) -> dict[str, Offer]:
    """Microsoft 365 Business Premium with its offers by name: monthly, yearly, billed monthly, three, three prepaid."""
    rule = CommitmentRule.objects.create(name="Test NCE", cancellation_hours=168)
    product = Product.objects.create(
        identifier="M365-BP", description="Microsoft 365 Business Premium", product_class="Agreement",
        accounting_type="Service", category=Category.objects.get(name="Software"), price=D(22), cost=D(18),
        billing_cycle="month:1", vendor=world.ingram, vendor_sku="CFQ7TTC0LCHC",
    )  # fmt: skip
    terms = {
        "monthly": ("month:1", "month:1", "26.40", "21.60"),
        "yearly": ("year:1", "year:1", "264.00", "216.00"),
        "billed monthly": ("year:1", "month:1", "23.10", "18.90"),
        "three": ("year:3", "month:1", "22.00", "18.00"),
        "three prepaid": ("year:3", "year:3", "792.00", "648.00"),
    }
    return {
        name: Offer.objects.create(
            product=product, term=term, billing_cycle=cycle, price=D(price), cost=D(cost), vendor=world.ingram,
            vendor_sku=f"CFQ7TTC0LCHC:{name}"[:80], commitment_rule=rule,
        )
        for name, (term, cycle, price, cost) in terms.items()
    }  # fmt: skip


def monthly_m365(world: World) -> Offer:
    """Billed monthly for a year, which the customer may leave at any time."""
    offer = m365(world)["billed monthly"]
    CommitmentRule.objects.filter(pk=offer.commitment_rule_id).update(seats_down="any_time")
    offer.refresh_from_db()
    return offer


def by(offer: Offer, quantity: int | str = 1, **more: Any) -> dict[str, Any]:
    """A line of an offer."""
    return {
        "product": offer.product, "offer": offer, "description": offer.product.description, "quantity": D(quantity),
        "unit_price": offer.price, "list_price": offer.price, "unit_cost": offer.cost, "term": offer.term,
        "billing_cycle": offer.billing_cycle, **more,
    }  # fmt: skip


def of(product: Product, quantity: int | str = 1, price: str = "0", **more: Any) -> dict[str, Any]:
    """A line of a product."""
    return {
        "product": product, "description": product.description, "quantity": D(quantity), "unit_price": D(price),
        "list_price": D(price), "unit_cost": product.cost, **more,
    }  # fmt: skip


def accepted(
    world: World,
    lines: Sequence[dict[str, Any]],
    *,
    company: Company | None = None,
    agreement: Agreement | None = None,
    left: Sequence[int] = (),
    components: Sequence[tuple[int, int]] = (),
    **version: Any,
) -> QuoteVersion:
    """A version of a quote as the acceptance leaves it: what was taken stands on the opportunity.

    ``left`` are the positions (from 0) the customer left; ``components`` are pairs of positions, bundle and component.
    """
    buyer = company or world.acme
    count = Quote.objects.count() + 1
    opportunity = Opportunity.objects.create(
        number=f"TO-{count}", name="Office move", company=buyer, customer_po="4711"
    )
    quote = Quote.objects.create(number=f"TQ-{count}", name="Office move", opportunity=opportunity, agreement=agreement)
    made = QuoteVersion.objects.create(quote=quote, **version)
    rows = [
        QuoteLine.objects.create(version=made, position=position, **{"optional": position - 1 in left, **line})
        for position, line in enumerate(lines, start=1)
    ]
    for head, component in components:
        QuoteLine.objects.filter(pk=rows[component].pk).update(bundle=rows[head])
    QuoteVersion.objects.filter(pk=made.pk).update(status=VersionStatus.SENT, sent_at=datetime(2026, 1, 2, tzinfo=UTC))
    for position, row in enumerate(rows):
        taken = position not in left
        QuoteLine.objects.filter(pk=row.pk).update(selected=taken, opportunity=opportunity if taken else None)
    QuoteVersion.objects.filter(pk=made.pk).update(status=VersionStatus.ACCEPTED)
    assert ("sent", "accepted") in allowed("quote_version")
    return QuoteVersion.objects.get(pk=made.pk)


def convert(version: QuoteVersion, on: date = TODAY) -> Converted:
    """What follows from its acceptance by Ann."""
    return convert_accepted(actor=CUSTOMER, version_id=version.pk, on=on)


def bundle(world: World, *products: Product) -> Product:
    """A bundle of the products, one of each."""
    made = Product.objects.create(
        identifier="BUN-1", description="Starter kit", product_class="Bundle", accounting_type="OtherCharge",
        category=world.server_inventory.category,
    )  # fmt: skip
    for position, product in enumerate(products, start=1):
        BundleComponent.objects.create(bundle=made, position=position, product=product)
    return made


def amount(line: QuoteLine) -> Decimal:
    """What a line was signed for: once, or each billing cycle."""
    return extend(line.quantity, line.unit_price)
