"""How long a quote of 200 lines takes to be priced anew, as after every change in the editor.

Ten lines each in 20 sections, with discounts of line, section and quote, options, choice groups, tiers and bundles;
half of them recur. Measured are the pure reckoning, pricing out of the database, a change of the quote's discount
that gives every line another net price, and the command a keystroke runs (one line's quantity, with its trail); CPU
counts this process and the whole database server. The alternative writes the same net prices by saving line by line, in
the same run.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import cycle
from typing import Any

from common import cpu_seconds, installation, median_seconds, report

LINES = 200
RUNS = 15
TODAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def main(lines: int = LINES) -> None:
    with installation():
        version_id = prepare(lines)
        reckoned = median_seconds(pure(version_id), runs=RUNS)
        priced = median_seconds(lambda: price(version_id), runs=RUNS)
        percents = cycle((Decimal(5), Decimal(6)))
        recalculated = median_seconds(lambda: with_discount(version_id, next(percents), recalculate_all), runs=RUNS)
        saved_one_by_one = median_seconds(lambda: with_discount(version_id, next(percents), save_each), runs=5)
        quantities = cycle((Decimal(3), Decimal(4)))
        changed = median_seconds(lambda: change_a_line(version_id, next(quantities)), runs=RUNS)
        shown = median_seconds(lambda: show(version_id), runs=RUNS)
        report(
            benchmark="quoting",
            lines=lines,
            reckon_ms=ms(reckoned),
            price_out_of_the_database_ms=ms(priced),
            recalculate_every_line_ms=ms(recalculated),
            saved_line_by_line_ms=ms(saved_one_by_one),
            times_line_by_line=round(saved_one_by_one / recalculated, 1),
            change_one_quantity_ms=ms(changed),
            customer_view_ms=ms(shown),
            recalculate_every_line_cpu_ms=ms(cpu(lambda: with_discount(version_id, next(percents), recalculate_all))),
            change_one_quantity_cpu_ms=ms(cpu(lambda: change_a_line(version_id, next(quantities)))),
            statements=statements_of(lambda: with_discount(version_id, next(percents), recalculate_all)),
        )


def cpu(deed: Any) -> float:
    """CPU seconds of a deed, on average."""
    started = cpu_seconds()
    for _ in range(RUNS):
        deed()
    return (cpu_seconds() - started) / RUNS


def ms(seconds: float) -> float:
    return round(1000 * seconds, 1)


def loaded(version_id: int) -> Any:
    from counterfoil.quotes.queries import version

    found = version(version_id)
    assert found is not None
    return found


def pure(version_id: int) -> Any:
    from counterfoil.quotes.pricing import price_version

    found = loaded(version_id)
    return lambda: price_version(found)


def price(version_id: int) -> None:
    from counterfoil.quotes.pricing import price_version

    price_version(loaded(version_id))


def with_discount(version_id: int, percent: Decimal, then: Any) -> None:
    from django.db import transaction

    from counterfoil.quotes.models import QuoteVersion

    with transaction.atomic():
        QuoteVersion.objects.filter(pk=version_id).update(discount_value=percent)
        then(QuoteVersion.objects.select_related("quote").get(pk=version_id))


def recalculate_all(version: Any) -> None:
    from counterfoil.quotes.pricing import recalculate

    recalculate(version)


def save_each(version: Any) -> None:
    from counterfoil.quotes.pricing import lines_of, price_version

    for line, done in zip(lines_of(version), price_version(version).lines, strict=True):
        line.unit_price = done.unit_price
        line.save(update_fields=["unit_price"])


def change_a_line(version_id: int, quantity: Decimal) -> None:
    from counterfoil.platform.identity import SYSTEM
    from counterfoil.quotes.commands import update_version_line
    from counterfoil.quotes.models import QuoteLine

    line = QuoteLine.objects.filter(version=version_id).earliest("position")
    update_version_line(actor=SYSTEM, line_id=line.pk, quantity=quantity, on=TODAY)


def show(version_id: int) -> None:
    from counterfoil.quotes.customer import customer_view

    customer_view(loaded(version_id), on=TODAY)


def statements_of(deed: Any) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as statements:
        deed()
    return len(statements)


def prepare(count: int) -> int:
    """An MSP, a customer, and a quote with so many lines of every kind."""
    from counterfoil.catalog.models import BundleComponent, Category, Offer, PriceModel, PriceTier, Product
    from counterfoil.companies.models import Company
    from counterfoil.flows.setup import set_up_msp
    from counterfoil.platform.identity import SYSTEM
    from counterfoil.quotes import commands
    from counterfoil.quotes.commands import NewLine

    set_up_msp(actor=SYSTEM, name="Northwind IT", identifier="NorthwindIT", on=TODAY)
    acme = Company.objects.create(identifier="Acme", name="Acme Corp", account_number="ACME")
    hardware = Category.objects.get(name="Hardware")
    goods = {"category": hardware, "product_class": "NonInventory", "accounting_type": "NonInventoryPart"}
    server = Product.objects.create(identifier="SRV", description="Rack server", price=4000, cost=3600, **goods)
    cable = Product.objects.create(identifier="CAB", description="Patch cable", price=9, cost=4, **goods)
    seat = Product.objects.create(
        identifier="SEAT", description="Seat", product_class="Agreement", accounting_type="Service", category=hardware,
        price=24, cost=20, billing_cycle="month:1",
    )  # fmt: skip
    kit = Product.objects.create(
        identifier="KIT", description="Kit", product_class="Bundle", accounting_type="OtherCharge", category=hardware,
        price=4200,
    )  # fmt: skip
    BundleComponent.objects.create(bundle=kit, position=1, product=server, shown=False)
    BundleComponent.objects.create(bundle=kit, position=2, product=cable, quantity=4)
    tiers = PriceModel.objects.create(name="Seats", kind="graduated")
    for up_to, each in ((Decimal(10), 24), (Decimal(50), 22), (None, 20)):
        PriceTier.objects.create(model=tiers, up_to=up_to, unit_price=each)
    offer = Offer.objects.create(
        product=seat, term="year:1", billing_cycle="month:1", price=24, cost=20, price_model=tiers
    )

    quote = commands.create_quote(actor=SYSTEM, name="Office", on=TODAY, company_id=acme.pk)
    version = quote.versions.get()
    made = 0
    for index in range(20):
        section = commands.add_section(actor=SYSTEM, version_id=version.pk, title=f"Part {index + 1}")
        wanted = [
            NewLine(server.pk, Decimal(2), section_id=section.pk, discount_kind="percent", discount_value=Decimal(3)),
            NewLine(seat.pk, Decimal(35), section_id=section.pk, offer_id=offer.pk),
            NewLine(cable.pk, Decimal(40), section_id=section.pk, optional=True, selected=index % 2 == 0),
            NewLine(seat.pk, Decimal(5), section_id=section.pk, choice_group=f"Backup {index}"),
            NewLine(seat.pk, Decimal(9), section_id=section.pk, choice_group=f"Backup {index}"),
            NewLine(kit.pk, Decimal(1), section_id=section.pk),  # three lines
            NewLine(seat.pk, Decimal(12), section_id=section.pk, billing_cycle="year:1"),
            NewLine(seat.pk, Decimal(7), section_id=section.pk, billing_cycle="month:3"),
        ]
        commands.add_version_lines(actor=SYSTEM, version_id=version.pk, lines=wanted, on=TODAY)
        made += len(wanted) + 2
    assert made == count, made
    commands.update_section(actor=SYSTEM, section_id=section.pk, discount_kind="amount", discount_value=Decimal(100))
    commands.update_version(actor=SYSTEM, version_id=version.pk, discount_kind="percent", discount_value=Decimal(5))
    return version.pk


if __name__ == "__main__":
    main()
