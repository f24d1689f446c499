"""Documents as rows, made directly: what tests of the accounting interface transfer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django.db import transaction
from tests.world import World

from counterfoil.agreements.models import Addition, Agreement
from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceTax
from counterfoil.catalog.models import Product
from counterfoil.companies.models import Company
from counterfoil.core.money import extend
from counterfoil.inventory.models import MovementKind, Receipt, ReceiptLine, SerialNumber, StockBalance, StockMovement
from counterfoil.platform.numbering import take_number
from counterfoil.procurement.models import PurchaseOrder, PurchaseOrderLine, VendorBill, VendorBillLine

#: A number outside a command, in a transaction of its own.
next_number = transaction.atomic()(take_number)

NOW = datetime(2026, 2, 1, 9, 0, tzinfo=UTC)
JAN = date(2026, 1, 10)


def make_order(
    world: World, product: Product, *, quantity: str = "1", unit_cost: str = "3600", on: date = JAN
) -> PurchaseOrderLine:
    order = PurchaseOrder.objects.create(
        number=next_number("purchase_order"), vendor=world.ingram, order_date=on, status="sent"
    )
    return PurchaseOrderLine.objects.create(
        purchase_order=order,
        position=1,
        product=product,
        description=product.description,
        quantity=Decimal(quantity),
        unit_cost=Decimal(unit_cost),
        bin=world.acme_bin if product.is_stocked else None,
    )


def make_receipt(line: PurchaseOrderLine, *, quantity: str | None = None, cost: str | None = None, on: date) -> Receipt:
    amount = line.quantity if quantity is None else Decimal(quantity)
    receipt = Receipt.objects.create(
        number=next_number("receipt"), purchase_order=line.purchase_order, date=on, received_by="Petra"
    )
    worth = extend(amount, line.unit_cost) if cost is None else Decimal(cost)
    row = ReceiptLine.objects.create(
        receipt=receipt,
        position=1,
        purchase_order_line=line,
        product=line.product,
        quantity=amount,
        unit_cost=line.unit_cost,
        cost=worth,
        bin=line.bin,
        is_stocked=line.product.is_stocked,
    )
    if row.is_stocked:
        balance, _ = StockBalance.objects.get_or_create(product=line.product, bin=line.bin)
        balance.quantity += amount
        balance.value += worth
        balance.save()
        StockMovement.objects.create(
            kind=MovementKind.RECEIPT,
            product=line.product,
            bin=line.bin,
            date=on,
            quantity=amount,
            value=worth,
            receipt_line=row,
        )
    if row.is_stocked and line.product.serialized:
        SerialNumber.objects.bulk_create(
            SerialNumber(
                product=line.product,
                serial=f"{receipt.number}-{unit}",
                status="in_stock",
                bin=line.bin,
                receipt_line=row,
            )
            for unit in range(int(amount))
        )
    return receipt


def make_bill(
    lines: Sequence[tuple[PurchaseOrderLine, str, str]], *, on: date, freight: str = "0", tax: str = "0"
) -> VendorBill:
    """``lines``: (purchase order line, quantity, amount)."""
    vendor = lines[0][0].purchase_order.vendor
    number = next_number("vendor_bill")
    total = sum((Decimal(amount) for _, _, amount in lines), Decimal(freight) + Decimal(tax))
    bill = VendorBill.objects.create(
        number=number,
        vendor=vendor,
        vendor_invoice_number=f"V-{number}",
        date=on,
        due_date=on + timedelta(days=30),
        freight=Decimal(freight),
        tax=Decimal(tax),
        total=total,
    )
    VendorBillLine.objects.bulk_create(
        VendorBillLine(
            bill=bill,
            position=position,
            purchase_order_line=line,
            quantity=Decimal(quantity),
            unit_cost=line.unit_cost,
            amount=Decimal(amount),
        )
        for position, (line, quantity, amount) in enumerate(lines, 1)
    )
    return bill


def make_agreement(world: World, *, price: str = "150") -> Addition:
    agreement = Agreement.objects.create(
        number=next_number("agreement"),
        name="Server lease",
        type=world.haas,
        company=world.acme,
        bill_to=world.acme,
        start_date=date(2026, 1, 1),
        bill_start_date=date(2026, 1, 1),
        tax_code=world.tax6,
    )
    return Addition.objects.create(
        agreement=agreement,
        position=1,
        product=world.lease,
        description="Server as a service",
        unit_price=Decimal(price),
        effective_date=date(2026, 1, 1),
    )


def make_invoice(
    world: World,
    *,
    on: date,
    product: Product | None = None,
    amount: str = "150",
    tax: str = "9",
    cost: str = "0",
    relieves_stock: bool = False,
    addition: Addition | None = None,
    bill_to: Company | None = None,
    closed: bool = True,
) -> Invoice:
    customer = bill_to or world.acme
    invoice = Invoice.objects.create(
        type="agreement" if addition else "standard",
        company=world.acme,
        bill_to=customer,
        bill_to_kind=customer.kind,
        bill_to_name=customer.name,
        date=on,
        due_date=on + timedelta(days=30),
        agreement=addition.agreement if addition else None,
        period_start=on.replace(day=1) if addition else None,
        tax_code=world.tax6,
        subtotal=Decimal(amount),
        tax_total=Decimal(tax),
        total=Decimal(amount) + Decimal(tax),
        cost_total=Decimal(cost),
    )
    InvoiceLine.objects.create(
        invoice=invoice,
        position=1,
        product=product,
        description=product.description if product else "Billing amount",
        quantity=1,
        unit_price=Decimal(amount),
        amount=Decimal(amount),
        cost=Decimal(cost),
        relieves_stock=relieves_stock,
        tax_amount=Decimal(tax),
        addition=addition,
    )
    if Decimal(tax):
        InvoiceTax.objects.create(
            invoice=invoice,
            position=1,
            level="Michigan",
            agency="MI Dept of Treasury",
            rate=Decimal("0.06"),
            taxable_amount=Decimal(amount),
            amount=Decimal(tax),
        )
    if closed:
        invoice.status, invoice.number, invoice.closed_at = "closed", next_number("invoice"), NOW
        invoice.line_count, invoice.tax_count, invoice.balance = 1, invoice.taxes.count(), invoice.total
        invoice.save()
    return invoice
