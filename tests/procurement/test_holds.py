"""What is held is neither sent nor paid until the hold is released."""

from __future__ import annotations

import pytest
from django.db import models
from tests.trade import JAN_15, D, bought, received
from tests.world import FINANCE, PROCUREMENT, World, build_world

from counterfoil.core.errors import DomainError
from counterfoil.platform import holds
from counterfoil.platform.holds import set_holds
from counterfoil.procurement.commands import (
    BillLine,
    BillPayment,
    PurchaseLine,
    enter_vendor_bill,
    pay_vendor_bill,
    record_vendor_payment,
    send_purchase_order,
)
from counterfoil.procurement.models import PurchaseOrder, VendorBill, VendorPayment

pytestmark = pytest.mark.django_db
WHY = {"reason": "The quote says 3 years, prepaid; this buys 1 year, billed monthly.", "hint": "Change the term."}


@pytest.fixture
def world() -> World:
    return build_world()


@pytest.fixture
def inspectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else looks at what is held here."""
    monkeypatch.setattr(holds, "INSPECTORS", {})


def hold(record: models.Model, **keys: dict[str, str]) -> None:
    label = record._meta.label_lower
    set_holds("test", {(label, record.pk, key): words for key, words in keys.items()}, {label: [record.pk]})


def drafted(world: World) -> PurchaseOrder:
    return bought(world, PurchaseLine(product_id=world.server_noninventory.pk), sent=False)


def billed(world: World) -> VendorBill:
    order = bought(world, PurchaseLine(product_id=world.server_noninventory.pk))
    received(world, order.lines.get())
    return enter_vendor_bill(
        actor=PROCUREMENT, vendor_id=world.ingram.pk, vendor_invoice_number="V-1", date=JAN_15,
        lines=[BillLine(order.lines.get().pk)],
    )  # fmt: skip


def test_a_held_purchase_order_is_not_sent_until_it_is_released(world: World, inspectors: None) -> None:
    order = drafted(world)
    hold(order, term=WHY, cost={"reason": "It costs 1.00 more than quoted."})

    with pytest.raises(DomainError) as refused:
        send_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk)

    assert refused.value.code == "held"
    assert refused.value.message == (
        "PO-0001 is held and cannot be sent: The quote says 3 years, prepaid; this buys 1 year, billed monthly."
        " It costs 1.00 more than quoted."
    )
    assert refused.value.hint == "Change the term."
    order.refresh_from_db()
    assert order.status == "draft"

    hold(order)
    assert send_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk).status == "sent"


def test_a_hold_is_decided_by_how_the_order_is_now(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who inspects is asked in the moment of sending, and finds what has just been changed."""
    order = drafted(world)

    def look(ids: list[int]) -> None:
        for each in PurchaseOrder.objects.filter(pk__in=ids):
            dear = each.lines.get().unit_cost > 3000
            hold(each, **({"line": {"reason": "More than 3,000.00 needs a second look."}} if dear else {}))

    monkeypatch.setattr(holds, "INSPECTORS", {"procurement.purchaseorder": [look]})
    with pytest.raises(DomainError, match="second look"):
        send_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk)
    order.lines.update(unit_cost=D("2999"))
    assert send_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk).status == "sent"


def test_a_held_bill_is_not_paid_alone_nor_among_others(world: World, inspectors: None) -> None:
    bill = billed(world)
    hold(bill, cost={"reason": "Billed at 3,700.00, bought at 3,600.00."})

    with pytest.raises(DomainError) as refused:
        pay_vendor_bill(actor=FINANCE, bill_id=bill.pk, on=JAN_15)
    assert refused.value.code == "held"
    with pytest.raises(DomainError, match=r"Billed at 3,700\.00, bought"):
        record_vendor_payment(
            actor=FINANCE, vendor_id=world.ingram.pk, on=JAN_15, applications=[BillPayment(bill.pk, D("10"))]
        )
    assert not VendorPayment.objects.exists()

    hold(bill)
    assert pay_vendor_bill(actor=FINANCE, bill_id=bill.pk, on=JAN_15).amount == D("3600")
