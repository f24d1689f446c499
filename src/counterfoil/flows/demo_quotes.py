"""The demo's selling: offers of Microsoft 365, quotes in every state, a deal that leaks, and a renewal that is due.

The deal is sold for three years, prepaid. Procurement buys one year, and somebody sets the agreement to monthly: the
match names both in dollars, and holds the order and the invoice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from counterfoil.agreements.commands import AdditionInput, create_agreement, update_addition, update_agreement
from counterfoil.agreements.models import Agreement, AgreementType
from counterfoil.billing.commands import invoice_agreements_through
from counterfoil.catalog.commands import make_offers
from counterfoil.catalog.models import CommitmentRule, Offer, Product
from counterfoil.companies.models import Company
from counterfoil.core.calendar import add_months, month_start
from counterfoil.flows.acceptance import accept_quote
from counterfoil.flows.haas_lease import People
from counterfoil.matching.commands import match_everything
from counterfoil.procurement.commands import PurchaseLine, create_purchase_order
from counterfoil.procurement.queries import demand
from counterfoil.quotes.acceptance import Seen, Signature
from counterfoil.quotes.commands import (
    NewLine,
    add_section,
    add_version_lines,
    create_quote,
    send_quote,
    update_version,
)
from counterfoil.quotes.customer import customer_view
from counterfoil.quotes.links import Visitor, create_link, customer_of
from counterfoil.quotes.models import QuoteVersion
from counterfoil.quotes.pricing import Picks

#: The base price and cost of a licence for a month.
PRICE, COST = Decimal("22.00"), Decimal("18.70")
#: How many days ahead the renewal is due.
RENEWAL_IN = 45
RULE = "Microsoft new commerce"

Products = Mapping[str, Product]
Companies = Mapping[str, Company]


def sell(people: People, companies: Companies, products: Products, *, on: date, now: datetime) -> None:
    """Offers, quotes, the deal that leaks, and the renewal."""
    offers = _offers(people, companies, products["M365-BP"], on)
    _draft(people, companies["Initech"], products, offers, on)
    _sent(people, companies["Globex"], products, on, now)
    _leaking_deal(people, companies, offers["year:3", "year:3"], on, now)
    _due_renewal(people, companies["AcmeCorp"], offers["year:1", "month:1"], on)


def _offers(people: People, companies: Companies, product: Product, on: date) -> dict[tuple[str, str], Offer]:
    """By the month, for a year and for three, each billed in the ways there are (WE-16, WE-31)."""
    made = make_offers(
        actor=people.procurement,
        product_id=product.pk,
        commitment_rule_id=CommitmentRule.objects.get(name=RULE).pk,
        unit_price=PRICE,
        unit_cost=COST,
        vendor_id=companies["Pax8"].pk,
        vendor_sku=product.vendor_sku,
        on=on,
    )
    return {(offer.term, offer.billing_cycle): offer for offer in made}


def _quote(people: People, company: Company, name: str, on: date) -> QuoteVersion:
    contact = company.contacts.order_by("pk").first()
    quote = create_quote(
        actor=people.sales, name=name, on=on, company_id=company.pk, contact_id=contact.pk if contact else None
    )
    return quote.versions.get()


def _add(people: People, version: QuoteVersion, lines: Sequence[NewLine], on: date) -> None:
    add_version_lines(actor=people.sales, version_id=version.pk, lines=lines, on=on)


def _draft(
    people: People, company: Company, products: Products, offers: Mapping[tuple[str, str], Offer], on: date
) -> None:
    """A draft with sections, an option, and a choice of two terms."""
    version = _quote(people, company, "New office", on)
    network = add_section(actor=people.sales, version_id=version.pk, title="Network")
    monthly = add_section(actor=people.sales, version_id=version.pk, title="Every month")
    licence = products["M365-BP"].pk
    seats = {"quantity": Decimal(12), "choice_group": "Microsoft 365", "section_id": monthly.pk}
    lines = [
        NewLine(products["SW-48P"].pk, Decimal(1), section_id=network.pk),
        NewLine(products["AP-WIFI7"].pk, Decimal(4), section_id=network.pk, quantity_max=Decimal(8)),
        NewLine(products["LAB-ENG"].pk, Decimal(10), section_id=network.pk),
        NewLine(licence, offer_id=offers["year:1", "month:1"].pk, **seats),  # type: ignore[arg-type]
        NewLine(licence, offer_id=offers["year:3", "month:1"].pk, selected=False, **seats),  # type: ignore[arg-type]
        NewLine(products["BKP-TB"].pk, Decimal(2), section_id=monthly.pk, optional=True, selected=False),
    ]
    _add(people, version, lines, on)
    update_version(
        actor=people.sales,
        version_id=version.pk,
        introduction="Thank you for your visit. This is what we talked about.",
        deposit_kind="percent",
        deposit_value=Decimal(50),
    )


def _sent(people: People, company: Company, products: Products, on: date, now: datetime) -> None:
    """One that is with its customer."""
    version = _quote(people, company, "Backup for the plant", on)
    _add(people, version, [NewLine(products["BKP-TB"].pk, Decimal(6), quantity_min=Decimal(4))], on)
    send_quote(actor=people.sales, version_id=version.pk, on=on, now=now)
    create_link(actor=people.sales, quote_id=version.quote_id, now=now)


def _leaking_deal(people: People, companies: Companies, offer: Offer, on: date, now: datetime) -> None:
    """Accepted for three years, prepaid; bought for one; billed monthly. The match says so."""
    version = _quote(people, companies["Umbra"], "Microsoft 365 for three years", on)
    _add(people, version, [NewLine(offer.product_id, Decimal(25), offer_id=offer.pk)], on)
    send_quote(actor=people.sales, version_id=version.pk, on=on, now=now)
    _accept(people, version, on, now)
    agreement = Agreement.objects.get(opportunity=version.quote.opportunity)
    addition = agreement.additions.get()
    (wanted,) = [row for row in demand() if row.addition_id == addition.pk]
    create_purchase_order(
        actor=people.procurement,
        vendor_id=companies["Pax8"].pk,
        order_date=on,
        lines=[
            PurchaseLine(
                addition_id=addition.pk,
                origin_id=wanted.origin_id,
                term="year:1",
                billing_cycle="year:1",
                unit_cost=COST * 12,
            )
        ],
    )
    update_agreement(actor=people.finance, agreement_id=agreement.pk, billing_cycle="month:1")
    update_addition(actor=people.finance, addition_id=addition.pk, unit_price=PRICE, unit_cost=COST)
    invoice_agreements_through(actor=people.finance, through=on, agreement_ids=[agreement.pk])
    match_everything(actor=people.finance, now=now)


def _accept(people: People, version: QuoteVersion, on: date, now: datetime) -> None:
    """The customer signs by the link, as it was quoted."""
    link = create_link(actor=people.sales, quote_id=version.quote_id, now=now)
    picks = Picks()
    accept_quote(
        actor=customer_of(link),
        link_id=link.pk,
        version_id=version.pk,
        picks=picks,
        seen=Seen.of(customer_view(QuoteVersion.objects.get(pk=version.pk), picks, on=on).totals),
        signature=Signature(
            name=link.name, title="Practice manager", email=link.email, consent=True, kind="typed", value=link.name,
            customer_po="UDG-2291",
        ),
        visitor=Visitor("203.0.113.24", "Mozilla/5.0 (demo)"),
        now=now,
        on=on,
    )  # fmt: skip


def _due_renewal(people: People, company: Company, offer: Offer, on: date) -> None:
    """Licences whose year was billed elsewhere; they are billed here from their renewal on."""
    renewal = on + timedelta(days=RENEWAL_IN)
    start = add_months(renewal, -12)
    create_agreement(
        actor=people.sales,
        company_id=company.pk,
        agreement_type_id=AgreementType.objects.get(name="SaaS").pk,
        name="Microsoft 365, taken over",
        start_date=start,
        first_billing_date=month_start(add_months(renewal, 1)),
        billing_cycle="month:1",
        additions=[
            AdditionInput(
                product_id=offer.product_id,
                quantity=Decimal(18),
                unit_price=offer.price,
                unit_cost=offer.cost,
                effective_date=start,
                offer_id=offer.pk,
                term=offer.term,
                committed_through=renewal - timedelta(days=1),
            )
        ],
    )
