"""The lease story: hardware as a service in twelve steps, the ways accounting allows.

A server is bought and leased to a customer on an agreement. *Option 1* (non-inventory) expenses it in the month of the
purchase order. *Option 2* (inventory) takes it through stock and a cost-only invoice to an internal company into COGS,
and from there into fixed assets, where it depreciates. *Direct* is option 2 without the detour: from stock into fixed
assets, with neither the cost-only invoice nor the internal company.

Each function is a step and runs the same commands as the pages and the API, as the person whose work it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from counterfoil.accounting.commands import create_batch, transfer_batch
from counterfoil.accounting.models import Batch
from counterfoil.agreements.models import Agreement
from counterfoil.assets.commands import capitalise_from_invoice_line, capitalise_from_stock, post_depreciation
from counterfoil.assets.models import Asset
from counterfoil.billing.commands import (
    InvoicePayment,
    change_bill_to,
    close_invoice,
    invoice_agreement,
    invoice_sales_order,
    record_payment,
)
from counterfoil.billing.models import Invoice
from counterfoil.billing.remittances import remit_sales_tax
from counterfoil.core.calendar import add_months, month_end
from counterfoil.core.money import ZERO
from counterfoil.flows.conversion import convert_to_agreement, convert_to_sales_order
from counterfoil.inventory.commands import ReceiveLine, ShipLine, receive_purchase_order, ship_order
from counterfoil.inventory.models import Receipt
from counterfoil.orders.models import SalesOrder
from counterfoil.platform.identity import Actor
from counterfoil.procurement.commands import (
    BillLine,
    PurchaseLine,
    create_purchase_order,
    enter_vendor_bill,
    pay_vendor_bill,
    send_purchase_order,
)
from counterfoil.procurement.models import PurchaseOrder, VendorBill
from counterfoil.quotes.commands import QuoteLineInput, create_opportunity
from counterfoil.quotes.models import Opportunity


class LeaseOption(StrEnum):
    """How the cost of the leased hardware is booked."""

    NON_INVENTORY = "non_inventory"
    INVENTORY = "inventory"
    DIRECT = "direct"

    @property
    def keeps_stock(self) -> bool:
        """Whether the hardware goes through stock and becomes a fixed asset."""
        return self is not LeaseOption.NON_INVENTORY


@dataclass(frozen=True, slots=True)
class People:
    """Who does which part of the work."""

    sales: Actor
    procurement: Actor
    finance: Actor


@dataclass(frozen=True, slots=True)
class LeasePlan:
    """One lease, by the records it is about.

    Attributes:
        name: of the opportunity and the agreement.
        option: how the cost is booked.
        customer_id: who leases; ``internal_id`` gets the cost-only invoice of option 2; ``vendor_id`` sells.
        purchasing_product_id: what is bought: cost, no price. Its class must fit the option.
        agreement_product_id: what is billed: a price a month, no cost.
        agreement_type_id: the template of the agreement.
        cost: what the vendor charges, before tax.
        price: billed each month, before sales tax.
        months: length of the lease.
        start: first day of the lease, the first of a month; the goods are bought in that month.
        asset_category_id: for the options that capitalise, with method, convention, life and salvage value.
        bin_id: where the goods are received (options that keep stock).
        serials: of the units received, for a serialized product.
        vendor_invoice_number: on the vendor's bill.
    """

    name: str
    option: LeaseOption
    customer_id: int
    vendor_id: int
    purchasing_product_id: int
    agreement_product_id: int
    agreement_type_id: int
    cost: Decimal
    price: Decimal
    months: int
    start: date
    vendor_invoice_number: str
    internal_id: int | None = None
    asset_category_id: int | None = None
    bin_id: int | None = None
    serials: tuple[str, ...] = ()
    method: str = "straight_line"
    convention: str = "full_month"
    life_months: int = 36
    salvage: Decimal = ZERO


@dataclass(slots=True)
class Lease:
    """What the story has made so far."""

    plan: LeasePlan
    opportunity: Opportunity
    agreement: Agreement
    order: SalesOrder
    purchase_order: PurchaseOrder
    receipt: Receipt
    bill: VendorBill
    asset: Asset | None = None


def start_lease(plan: LeasePlan, people: People) -> Lease:
    """Steps 4 to 8: quote, convert twice, buy, receive, ship, and enter the vendor's bill.

    The dates follow the lease's first month: purchase order on the 5th, goods and vendor's bill on the 10th.

    Raises:
        DomainError: whatever a step refuses.
    """
    ordered, arrived = plan.start + timedelta(days=4), plan.start + timedelta(days=9)
    opportunity = create_opportunity(
        actor=people.sales,
        company_id=plan.customer_id,
        name=plan.name,
        lines=(
            QuoteLineInput(product_id=plan.purchasing_product_id, unit_cost=plan.cost, unit_price=ZERO),
            QuoteLineInput(
                product_id=plan.agreement_product_id,
                unit_price=plan.price,
                unit_cost=ZERO,
                billing_cycle="month:1",
                cycles=plan.months,
                start_date=plan.start,
            ),
        ),
    )
    purchasing_line, agreement_line = opportunity.lines.order_by("position")
    agreement = convert_to_agreement(
        actor=people.sales,
        opportunity_id=opportunity.pk,
        line_ids=[agreement_line.pk],
        agreement_type_id=plan.agreement_type_id,
        on=plan.start,
        name=plan.name,
    )
    order = convert_to_sales_order(
        actor=people.sales, opportunity_id=opportunity.pk, line_ids=[purchasing_line.pk], on=plan.start
    )
    order_line = order.lines.get()
    purchase_order = create_purchase_order(
        actor=people.procurement,
        vendor_id=plan.vendor_id,
        order_date=ordered,
        lines=(PurchaseLine(order_line_id=order_line.pk, bin_id=plan.bin_id),),
    )
    send_purchase_order(actor=people.procurement, purchase_order_id=purchase_order.pk)
    bought = purchase_order.lines.get()
    receipt = receive_purchase_order(
        actor=people.procurement,
        purchase_order_id=purchase_order.pk,
        on=arrived,
        lines=(ReceiveLine(bought.pk, bin_id=plan.bin_id, serials=plan.serials),),
    )
    if plan.option.keeps_stock:
        ship_order(
            actor=people.procurement,
            order_id=order.pk,
            on=arrived,
            lines=(ShipLine(order_line.pk, bin_id=plan.bin_id, serials=plan.serials),),
        )
    bill = enter_vendor_bill(
        actor=people.procurement,
        vendor_id=plan.vendor_id,
        vendor_invoice_number=plan.vendor_invoice_number,
        date=arrived,
        lines=(BillLine(bought.pk),),
    )
    return Lease(plan, opportunity, agreement, order, purchase_order, receipt, bill)


def transfer_unposted(*, through: date, people: People, now: datetime) -> Batch:
    """Steps 9 and 11: batch everything unposted that is dated through ``through``, and transfer it to the books."""
    batch = create_batch(actor=people.finance, through=through)
    return transfer_batch(actor=people.finance, batch_id=batch.pk, now=now)


def invoice_cost(lease: Lease, people: People, *, on: date, now: datetime) -> Invoice:
    """Step 10: the cost-only invoice of the sales order, billed to the internal company, without tax."""
    assert lease.plan.internal_id is not None, "the cost-only invoice goes to an internal company"
    invoice = invoice_sales_order(actor=people.finance, order_id=lease.order.pk, on=on)
    change_bill_to(actor=people.finance, invoice_id=invoice.pk, company_id=lease.plan.internal_id)
    return close_invoice(actor=people.finance, invoice_id=invoice.pk, now=now)


def capitalise(lease: Lease, people: People, *, on: date, cost_invoice: Invoice | None = None) -> Asset:
    """Step 12: the asset, from COGS after the cost-only invoice was transferred, or from stock directly."""
    plan = lease.plan
    assert plan.asset_category_id is not None, "an asset needs its category"
    if plan.option is LeaseOption.DIRECT:
        lease.asset = capitalise_from_stock(
            actor=people.finance,
            order_line_id=lease.order.lines.get().pk,
            category_id=plan.asset_category_id,
            on=on,
            agreement_id=lease.agreement.pk,
            method=plan.method,
            convention=plan.convention,
            life_months=plan.life_months,
            salvage=plan.salvage,
        )
    else:
        assert cost_invoice is not None, "option 2 capitalises what its cost-only invoice sent to COGS"
        lease.asset = capitalise_from_invoice_line(
            actor=people.finance,
            invoice_line_id=cost_invoice.lines.get().pk,
            category_id=plan.asset_category_id,
            agreement_id=lease.agreement.pk,
            method=plan.method,
            convention=plan.convention,
            life_months=plan.life_months,
            salvage=plan.salvage,
        )
    return lease.asset


def book_purchase(lease: Lease, people: People, *, now: datetime) -> None:
    """Steps 9 to 12 in the first month: the cost into COGS (option 1) or into fixed assets (the others)."""
    on = lease.plan.start + timedelta(days=14)
    transfer_unposted(through=on, people=people, now=now)
    if lease.plan.option is LeaseOption.INVENTORY:
        cost_invoice = invoice_cost(lease, people, on=on, now=now)
        transfer_unposted(through=on, people=people, now=now)
        capitalise(lease, people, on=on, cost_invoice=cost_invoice)
    elif lease.plan.option is LeaseOption.DIRECT:
        capitalise(lease, people, on=on)


def bill_month(lease: Lease, people: People, *, month: date, now: datetime) -> Invoice:
    """The agreement's invoice for the month that begins on ``month``, closed."""
    invoice = invoice_agreement(actor=people.finance, agreement_id=lease.agreement.pk, period_start=month)
    return close_invoice(actor=people.finance, invoice_id=invoice.pk, now=now)


def collect_and_remit(invoice: Invoice, people: People, *, on: date) -> None:
    """The customer pays an invoice in full, and its sales tax is paid on to the agencies."""
    record_payment(
        actor=people.finance,
        company_id=invoice.bill_to_id,
        on=on,
        amount=invoice.total,
        applications=(InvoicePayment(invoice.pk, invoice.total),),
    )
    for tax in invoice.taxes.filter(amount__gt=0):  # a small rate on a small price rounds to nothing
        remit_sales_tax(actor=people.finance, agency=tax.agency, on=on, amount=tax.amount)


def run_lease(
    plan: LeasePlan,
    people: People,
    *,
    through: date,
    now: datetime,
    progress: Callable[[str], None] = lambda step: None,
) -> Lease:
    """The whole story of one lease through the month of ``through``.

    The customer pays every invoice at its month end, when the tax is remitted as well; the vendor is paid on the 10th
    of the second month; assets depreciate at every month end.

    Args:
        progress: told about each step, in words.
    """
    progress(f"{plan.name}: quote, agreement, order, purchase, receipt")
    lease = start_lease(plan, people)
    book_purchase(lease, people, now=now)
    for index in range(plan.months):
        month = add_months(plan.start, index)
        if month > through:
            break
        progress(f"{plan.name}: {month:%B %Y}")
        run_month(lease, people, month=month, now=now)
    return lease


def run_month(lease: Lease, people: People, *, month: date, now: datetime) -> None:
    """Bill, book, collect and depreciate one month of a lease."""
    last = month_end(month)
    if month == add_months(lease.plan.start, 1):
        pay_vendor_bill(actor=people.finance, bill_id=lease.bill.pk, on=month + timedelta(days=9))
    invoice = bill_month(lease, people, month=month, now=now)
    transfer_unposted(through=last, people=people, now=now)
    collect_and_remit(invoice, people, on=last)
    if lease.plan.option.keeps_stock:
        post_depreciation(actor=people.finance, through=last)
