"""A small real ledger: three leases of a server at 3,600.00, one by each way of booking it, through March 2026."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from tests.world import FINANCE, PROCUREMENT, SALES, World

from counterfoil.flows.haas_lease import Lease, LeaseOption, LeasePlan, People, run_lease

PEOPLE = People(sales=SALES, procurement=PROCUREMENT, finance=FINANCE)
NOW = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)
MARCH = date(2026, 3, 31)


def lease(
    world: World,
    option: LeaseOption,
    *,
    cost: str = "3600",
    price: str = "150",
    through: date = MARCH,
    bill: str | None = None,
) -> Lease:
    product = world.server_inventory if option.keeps_stock else world.server_noninventory
    plan = LeasePlan(
        name=f"Server {option.value}",
        option=option,
        customer_id=world.acme.pk,
        vendor_id=world.ingram.pk,
        purchasing_product_id=product.pk,
        agreement_product_id=world.lease.pk,
        agreement_type_id=world.haas.pk,
        cost=Decimal(cost),
        price=Decimal(price),
        months=36,
        start=date(2026, 1, 1),
        vendor_invoice_number=bill or f"V-{option.value}",
        internal_id=world.internal.pk,
        asset_category_id=world.leased_hardware.pk,
        bin_id=world.acme_bin.pk if option.keeps_stock else None,
        serials=(f"SN-{option.value}",) if product.serialized else (),
    )
    return run_lease(plan, PEOPLE, through=through, now=NOW)


def three_leases(world: World) -> list[Lease]:
    return [lease(world, option) for option in LeaseOption]
