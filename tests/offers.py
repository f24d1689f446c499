"""A quote that is with its customer: seats to choose a number of, an option, a choice, something sold once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from tests.world import SALES, World

from counterfoil.catalog.models import Product
from counterfoil.companies.models import Contact
from counterfoil.quotes.acceptance import Seen, Signature
from counterfoil.quotes.customer import customer_view
from counterfoil.quotes.links import Visitor, create_link, customer_of
from counterfoil.quotes.models import QuoteLine, QuoteLink, QuoteSection, QuoteVersion
from counterfoil.quotes.pricing import Picks, recalculate
from counterfoil.quotes.versions import create_quote, send_quote

TODAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)
VISITOR = Visitor("203.0.113.7", "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0)")


@dataclass(slots=True)
class Offer:
    """A version that was sent, its link, and its lines by name."""

    version: QuoteVersion
    link: QuoteLink
    lines: dict[str, QuoteLine] = field(default_factory=dict)

    def picks(self, *names: str, **quantities: int) -> Picks:
        """Options by the names of their lines, and quantities."""
        wanted = {self.lines[name].pk: Decimal(many) for name, many in quantities.items()}
        return Picks(frozenset(self.lines[name].pk for name in names), wanted)

    def seen(self, picks: Picks | None = None) -> Seen:
        """The totals that the page shows for picks."""
        version = QuoteVersion.objects.get(pk=self.version.pk)
        return Seen.of(customer_view(version, picks, on=TODAY).totals)

    def asked(self, picks: Picks, **changes: Any) -> dict[str, Any]:
        """The arguments of accepting it."""
        return {
            "actor": customer_of(self.link),
            "link_id": self.link.pk,
            "version_id": self.version.pk,
            "picks": picks,
            "seen": self.seen(picks),
            "signature": signature(),
            "visitor": VISITOR,
            "now": NOW,
            "on": TODAY,
        } | changes


def signature(**changes: Any) -> Signature:
    """Jane Doe, who types her name."""
    given: dict[str, Any] = {
        "name": "Jane Doe", "title": "CFO", "email": "jane@acme.example", "consent": True, "kind": "typed",
        "value": "Jane Doe", "customer_po": "PO-77",
    }  # fmt: skip
    return Signature(**given | changes)


def make_draft(world: World, *, name: str = "Office for Acme") -> tuple[QuoteVersion, dict[str, QuoteLine]]:
    """A draft: a server once, seats by the month (5 to 20), backup as an option, one of two supports."""
    contact, _ = Contact.objects.get_or_create(
        company=world.acme, name="Jane Doe", defaults={"email": "jane@acme.example", "title": "CFO"}
    )
    quote = create_quote(actor=SALES, name=name, on=TODAY, company_id=world.acme.pk, contact_id=contact.pk)
    version = quote.versions.get()
    first = QuoteSection.objects.create(version=version, position=1, title="Equipment")
    second = QuoteSection.objects.create(version=version, position=2, title="Every month", text="Billed in advance.")
    lines: dict[str, QuoteLine] = {}

    def add(key: str, product: Product, price: int, **more: Any) -> None:
        fields = {"description": key.title(), "list_price": Decimal(price), "unit_price": Decimal(price)} | more
        lines[key] = QuoteLine.objects.create(version=version, product=product, position=len(lines) + 1, **fields)

    monthly = {"section": second, "billing_cycle": "month:1"}
    add(
        "server",
        world.server_noninventory,
        3600,
        section=first,
        unit_cost=Decimal("2711.17"),
        description="Rack server",
    )
    add("seats", world.lease, 20, quantity=10, quantity_min=5, quantity_max=20, unit_cost=Decimal("13.37"), **monthly)
    add("backup", world.lease, 150, optional=True, selected=False, customer_text="Nightly, kept 30 days.", **monthly)
    add("basic", world.lease, 100, choice_group="Support", selected=True, description="Basic support", **monthly)
    add("premium", world.lease, 250, choice_group="Support", selected=False, description="Premium support", **monthly)
    recalculate(version)
    return version, lines


def make_offer(world: World, **fields: Any) -> Offer:
    """The draft, sent, with a link for Jane Doe. ``fields`` are those of the version."""
    version, lines = make_draft(world)
    QuoteVersion.objects.filter(pk=version.pk).update(**fields)
    sent = send_quote(actor=SALES, version_id=version.pk, on=TODAY, now=NOW)
    return Offer(sent, create_link(actor=SALES, quote_id=sent.quote_id, now=NOW), lines)
