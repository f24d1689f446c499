"""Short calls for tests of quotes: everything runs the real commands."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from tests.world import SALES, World

from counterfoil.catalog.models import BundleComponent, Product
from counterfoil.quotes.commands import NewLine, add_version_lines, create_quote, send_quote
from counterfoil.quotes.models import Quote, QuoteLine, QuoteVersion

TODAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)


def D(text: str) -> Decimal:
    return Decimal(text)


def quote_of(world: World, name: str = "Office move", **more: Any) -> Quote:
    """A quote for Acme without lines."""
    return create_quote(actor=SALES, name=name, on=TODAY, company_id=world.acme.pk, **more)


def draft_of(world: World, **more: Any) -> QuoteVersion:
    """Its first version."""
    return quote_of(world, **more).versions.get()


def add(version: QuoteVersion, product: Any, quantity: str = "1", price: str | None = None, **more: Any) -> QuoteLine:
    """A line on a version."""
    line = NewLine(product.pk, D(quantity), list_price=None if price is None else D(price), **more)
    return add_version_lines(actor=SALES, version_id=version.pk, lines=[line], on=TODAY)[0]


def sent(version: QuoteVersion) -> QuoteVersion:
    return send_quote(actor=SALES, version_id=version.pk, on=TODAY, now=NOW)


def starter_kit(world: World, **more: Any) -> Product:
    """A bundle: two servers for each, one lease whatever number, hidden."""
    bundle = Product.objects.create(
        identifier="KIT", description="Starter kit", product_class="Bundle", accounting_type="OtherCharge",
        category=world.lease.category, price=D("999"), **more,
    )  # fmt: skip
    common = {"bundle": bundle}
    BundleComponent.objects.create(
        **common, position=1, product=world.server_noninventory, quantity=2, unit_price=D("4000")
    )
    BundleComponent.objects.create(
        **common, position=2, product=world.server_inventory, quantity=1, fixed_quantity=True, shown=False,
        unit_price=D("100"),
    )  # fmt: skip
    return bundle
