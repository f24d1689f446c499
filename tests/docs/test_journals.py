"""The table of journals on the posting page, row by row beside what real documents booked."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from tests.accounting.leases import lease
from tests.docs.test_tables import table
from tests.trade import JAN_15, JAN_31, D, bought, cable, received, transfer
from tests.world import FINANCE, PROCUREMENT, World

from counterfoil.assets.commands import dispose_asset
from counterfoil.billing.models import Payment
from counterfoil.flows.haas_lease import LeaseOption
from counterfoil.ledger.models import JournalLine
from counterfoil.procurement.commands import BillLine, PurchaseLine, enter_vendor_bill, pay_vendor_bill
from counterfoil.procurement.models import VendorBill
from counterfoil.tax.models import TaxRemittance

#: What the page calls an account, and its name in the chart.
ACCOUNTS = {
    "Inventory": "Inventory",
    "Inventory at cost": "Inventory",
    "COGS": "COGS - Hardware",
    "COGS at cost": "COGS - Hardware",
    "Goods received, not invoiced": "Goods Received Not Invoiced",
    "Goods received, not invoiced, at the cost received": "Goods Received Not Invoiced",
    "freight": "Freight In",
    "tax": "Tax on Purchases",
    "Accounts payable": "Accounts Payable",
    "Purchase price variance": "Purchase Price Variance",
    "Accounts receivable": "Accounts Receivable",
    "revenue per line": "HaaS Revenue",
    "sales tax payable per level": "Sales Tax Payable",
    "Sales tax payable": "Sales Tax Payable",
    "Fixed asset": "Fixed Assets - HaaS",
    "Depreciation expense": "Depreciation - HaaS",
    "Accumulated depreciation": "Accumulated Depreciation - HaaS",
    "accumulated depreciation": "Accumulated Depreciation - HaaS",
    "Bank": "Operating Bank",
    "loss": "Gain or Loss on Disposal",
    "gain": "Gain or Loss on Disposal",
}

Sides = tuple[set[str], set[str]]


def booked(source_type: str, source_id: int, step: str = "") -> Sides:
    """The accounts a document debits and credits."""
    lines = JournalLine.objects.filter(
        entry__source_type=source_type, entry__source_id=source_id, entry__step__startswith=step
    ).select_related("account")
    return (
        {line.account.name for line in lines if line.debit},
        {line.account.name for line in lines if line.credit},
    )


def bill(world: World, number: str, cost: str, *, freight: str = "0", tax: str = "0") -> tuple[int, VendorBill]:
    """Cables received at 4.00 and billed at ``cost``: the receipt's id and the bill."""
    product = cable(world, identifier=f"CAB-{number}")
    line = bought(world, PurchaseLine(product_id=product.pk, quantity=D("5"), unit_cost=D("4"))).lines.get()
    receipt = received(world, line)
    made = enter_vendor_bill(
        actor=PROCUREMENT,
        vendor_id=world.ingram.pk,
        vendor_invoice_number=number,
        date=JAN_15,
        lines=[BillLine(line.pk, unit_cost=D(cost))],
        freight=D(freight),
        tax=D(tax),
    )
    return receipt.pk, made


@pytest.fixture
def documents(world: World) -> dict[str, Sides]:
    """What each row of the page books in a real ledger: three leases, three bills, two disposals."""
    receipt, plain = bill(world, "V-1", "4", freight="7", tax="2")
    (_, dearer), (_, cheaper) = bill(world, "V-2", "5"), bill(world, "V-3", "3")
    transfer(JAN_31)
    payment = pay_vendor_bill(actor=FINANCE, bill_id=plain.pk, on=JAN_31)
    expensed, detour, direct = (lease(world, option) for option in LeaseOption)
    assert detour.asset is not None
    assert direct.asset is not None
    invoice, cost_invoice = expensed.agreement.invoices.first(), detour.order.invoices.get()
    for asset, proceeds in ((detour.asset, "1"), (direct.asset, "9999")):
        dispose_asset(actor=FINANCE, asset_id=asset.pk, on=date(2026, 4, 1), proceeds=Decimal(proceeds))
    loss, gain = (booked("asset", asset.pk, "disposal") for asset in (detour.asset, direct.asset))
    return {
        "receipt, inventory product": booked("receipt", receipt),
        "receipt, non-inventory product": booked("receipt", expensed.receipt.pk),
        "vendor bill": booked("vendor_bill", plain.pk),
        "... dearer than received": booked("vendor_bill", dearer.pk),
        "... cheaper than received": booked("vendor_bill", cheaper.pk),
        "invoice": booked("invoice", invoice.pk),
        "... per shipped inventory line": booked("invoice", cost_invoice.pk),
        "capitalisation after a cost-only invoice": booked("asset", detour.asset.pk, "capitalisation"),
        "capitalisation from stock": booked("asset", direct.asset.pk, "capitalisation"),
        "depreciation": booked("asset", direct.asset.pk, "depreciation"),
        "customer payment": booked("customer_payment", Payment.objects.earliest("pk").pk),
        "vendor payment": booked("vendor_payment", payment.pk),
        "tax remittance": booked("tax_remittance", TaxRemittance.objects.earliest("pk").pk),
        "disposal": (loss[0] | gain[0], loss[1] | gain[1]),
    }


def test_the_posting_page_says_what_documents_book(documents: dict[str, Sides]) -> None:
    rows = {row["document"]: row for row in table("posting.md", "document | debit")}
    assert set(rows) == set(documents)
    for name, row in rows.items():
        sides = [row["debit"].split(";"), row["credit"].split(";")]
        said = [{ACCOUNTS[part.strip()] for part in side if part.strip()} for side in sides]
        found = list(documents[name])
        if name.startswith(("... dearer", "... cheaper")):  # beside what the bill books anyway
            assert all(each <= has for each, has in zip(said, found, strict=True)), name
        else:
            assert said == found, name
