"""A quoted licence on its way: agreement, purchase order and invoice, made directly, as quoted or mistaken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from tests.world import SALES, World

from counterfoil.agreements.commands import AdditionInput, create_agreement
from counterfoil.agreements.models import Addition, AgreementType
from counterfoil.billing.models import Invoice, InvoiceLine
from counterfoil.catalog.models import Category, Product
from counterfoil.procurement.models import PurchaseOrder, PurchaseOrderLine
from counterfoil.quotes.models import LineConversion, Opportunity, QuoteLine

D = Decimal
MARCH = date(2026, 3, 1)
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def licence(**changes: Any) -> Product:
    """Microsoft 365 Business Premium."""
    fields: dict[str, Any] = {
        "identifier": "M365-BP", "description": "Microsoft 365 Business Premium", "product_class": "NonInventory",
        "accounting_type": "NonInventoryPart", "category": Category.objects.get(name="SaaS"), "price": D("22"),
        "cost": D("20"),
    }  # fmt: skip
    return Product.objects.create(**{**fields, **changes})


@dataclass(slots=True)
class Thread:
    """A quoted line with one of each leg."""

    quote: QuoteLine
    addition: Addition
    purchase: PurchaseOrderLine
    invoice: Invoice

    @property
    def order(self) -> PurchaseOrder:
        """Its purchase order."""
        return self.purchase.purchase_order


def quoted(world: World, product: Product | None = None, **changes: Any) -> QuoteLine:
    """Twenty-five licences for three years, prepaid, at 792 and for a cost of 720 each; won."""
    number = f"OPP-{Opportunity.objects.count() + 1:04}"
    deal = Opportunity.objects.create(number=number, name="Licences", company=world.acme, status="won")
    fields: dict[str, Any] = {
        "position": 1, "product": product or licence(), "description": "Microsoft 365 Business Premium",
        "quantity": D(25), "unit_price": D(792), "unit_cost": D(720), "term": "year:3", "billing_cycle": "year:3",
        "cycles": 1, "start_date": MARCH,
    }  # fmt: skip
    return QuoteLine.objects.create(opportunity=deal, **{**fields, **changes})


def agreed(world: World, line: QuoteLine, *, cycle: str | None = None, **changes: Any) -> Addition:
    """Its agreement, as quoted unless said otherwise."""
    assert line.opportunity is not None
    fields: dict[str, Any] = {
        "product_id": line.product_id, "quantity": line.quantity, "unit_price": line.unit_price,
        "unit_cost": line.unit_cost, "description": line.description, "effective_date": line.start_date,
        "origin_id": line.pk, "term": line.term, "purchase_item": True,
    }  # fmt: skip
    agreement = create_agreement(
        actor=SALES,
        company_id=line.opportunity.company_id,
        agreement_type_id=AgreementType.objects.get(name="SaaS").pk,
        name="Licences",
        start_date=line.start_date or MARCH,
        billing_cycle=cycle or line.billing_cycle,
        opportunity_id=line.opportunity_id,
        additions=[AdditionInput(**{**fields, **changes})],
    )
    LineConversion.objects.create(
        line=line, target="agreement", target_id=agreement.pk, target_number=agreement.number, converted_at=NOW,
        converted_by="Sam Sales",
    )  # fmt: skip
    return agreement.additions.get()


def bought(world: World, line: QuoteLine, addition: Addition | None = None, **changes: Any) -> PurchaseOrderLine:
    """A draft purchase order with it, as quoted unless said otherwise."""
    order = changes.pop("order", None) or PurchaseOrder.objects.create(
        number=f"PO-{PurchaseOrder.objects.count() + 1:04}", vendor=world.ingram, order_date=MARCH
    )
    fields: dict[str, Any] = {
        "product": line.product, "description": line.description, "quantity": line.quantity,
        "unit_cost": line.unit_cost, "term": line.term, "billing_cycle": line.billing_cycle,
        "start_date": line.start_date, "origin": line, "addition": addition,
        "position": order.lines.count() + 1,
    }  # fmt: skip
    return PurchaseOrderLine.objects.create(purchase_order=order, **{**fields, **changes})


def invoiced(world: World, line: QuoteLine, addition: Addition, *, end: date, **changes: Any) -> Invoice:
    """A draft of its agreement's first invoice."""
    fields: dict[str, Any] = {"quantity": line.quantity, "unit_price": line.unit_price, **changes}
    amount = fields["quantity"] * fields["unit_price"]
    invoice = Invoice.objects.create(
        type="agreement", company=world.acme, bill_to=world.acme, bill_to_kind="customer", bill_to_name="Acme Corp",
        date=MARCH, due_date=MARCH, agreement=addition.agreement, period_start=MARCH, period_end=end, subtotal=amount,
        total=amount, line_count=1,
    )  # fmt: skip
    InvoiceLine.objects.create(
        invoice=invoice, position=1, product=line.product, description=line.description, amount=amount,
        agreement=addition.agreement, addition=addition, period_start=MARCH, period_end=end, service_start=MARCH,
        service_end=end, origin=line, **fields,
    )  # fmt: skip
    return invoice


def as_quoted(world: World, **changes: Any) -> Thread:
    """All legs as quoted."""
    line = quoted(world, **changes)
    addition = agreed(world, line)
    return Thread(
        line, addition, bought(world, line, addition), invoiced(world, line, addition, end=date(2029, 3, 1))
    )  # fmt: skip


def the_example(world: World) -> Thread:
    """Quoted for three years and prepaid; bought for a year; billed monthly (WE-29)."""
    line = quoted(world)
    addition = agreed(world, line, cycle="month:1", unit_price=D(22), unit_cost=D(20), term="")
    purchase = bought(world, line, addition, term="year:1", billing_cycle="year:1", unit_cost=D(240))
    return Thread(line, addition, purchase, invoiced(world, line, addition, end=date(2026, 4, 1), unit_price=D(22)))
