"""Month by month: depreciation is posted once, on the last day, in open months, until nothing is left."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.trade import JAN_15, JAN_31, D, cable, journal_of, leased_server, order_of, shipped, stock, transfer
from tests.world import FINANCE, World, build_world

from counterfoil.assets.commands import (
    capitalise_from_stock,
    create_asset_category,
    dispose_asset,
    post_depreciation,
    record_units,
)
from counterfoil.assets.models import Asset
from counterfoil.assets.queries import due_depreciation, preview_schedule, register, schedule_of
from counterfoil.core.errors import DomainError
from counterfoil.ledger.commands import close_period
from counterfoil.ledger.models import Account, AccountingPeriod, AccountType, JournalEntry
from counterfoil.ledger.queries import balance_of_types
from counterfoil.platform.audit import trail_of

pytestmark = pytest.mark.django_db
FEB_28, MAR_31, DEC_2028 = date(2026, 2, 28), date(2026, 3, 31), date(2028, 12, 31)


@pytest.fixture
def world() -> World:
    return build_world()


def asset_of(world: World, serial: str = "SN-1", **fields: object) -> Asset:
    """A leased server, 3,600.00, straight line over 36 months from January unless said otherwise."""
    line = leased_server(world, serial=serial)
    transfer()
    given: dict[str, object] = {"on": JAN_15, "category_id": world.leased_hardware.pk, **fields}
    return capitalise_from_stock(actor=FINANCE, order_line_id=line.pk, **given)  # type: ignore[arg-type]


def post(through: date, **fields: object) -> list[JournalEntry]:
    return list(post_depreciation(actor=FINANCE, through=through, **fields))  # type: ignore[arg-type]


def test_each_month_is_posted_on_its_last_day(world: World) -> None:
    asset = asset_of(world)
    assert [(row.periods, row.first, row.amount) for row in due_depreciation(through=MAR_31)] == [
        (3, date(2026, 1, 1), D("300.00"))
    ]

    entries = post(MAR_31)

    assert [(entry.date, entry.step, entry.source_label) for entry in entries] == [
        (JAN_31, "depreciation:2026-01", "FA-0001"),
        (FEB_28, "depreciation:2026-02", "FA-0001"),
        (MAR_31, "depreciation:2026-03", "FA-0001"),
    ]
    assert journal_of("asset", asset.pk)[2:4] == [
        ("31 Jan", "5200", "100.00", "0.00"),
        ("31 Jan", "1590", "0.00", "100.00"),
    ]
    assert [(row.accumulated, row.net_book_value) for row in register(as_of=FEB_28)] == [(D("200.00"), D("3400.00"))]
    assert trail_of(asset)[0].sentence == "posted depreciation of FA-0001 for Jan 2026 to Mar 2026, 300.00"
    assert due_depreciation(through=MAR_31) == []


def test_a_month_that_is_not_over_is_not_due(world: World) -> None:
    asset_of(world)
    assert post(date(2026, 1, 30)) == []
    assert len(post(JAN_31)) == 1


def test_running_it_again_posts_nothing_twice(world: World) -> None:
    asset_of(world)
    post(MAR_31)

    assert post(MAR_31) == []
    assert len(post(date(2026, 4, 30))) == 1
    assert balance_of_types(AccountType.ACCUMULATED_DEPRECIATION) == D("-400.00")


def test_at_the_end_nothing_is_left_and_the_asset_is_fully_depreciated(world: World) -> None:
    asset = asset_of(world)

    assert len(post(DEC_2028)) == 36

    asset.refresh_from_db()
    assert asset.status == "fully_depreciated"
    assert balance_of_types(AccountType.FIXED_ASSET, AccountType.ACCUMULATED_DEPRECIATION) == D("0")
    assert post(date(2029, 12, 31)) == []


def test_it_ends_at_the_salvage(world: World) -> None:
    asset = asset_of(world, salvage=D("360"), method="declining_balance_200", life_months=24)
    post(date(2027, 12, 31))
    asset.refresh_from_db()
    assert (asset.status, [row.net_book_value for row in register(as_of=DEC_2028)]) == (
        "fully_depreciated",
        [D("360.00")],
    )


def test_a_closed_month_refuses_the_whole_run_by_name(world: World) -> None:
    asset_of(world)
    close_period(actor=FINANCE, period_id=AccountingPeriod.objects.get(start=date(2026, 1, 1)).pk)

    with pytest.raises(DomainError) as refused:
        post(MAR_31)

    assert (refused.value.code, refused.value.message) == (
        "period_closed",
        "January 2026 is closed; nothing can be posted on 31 Jan 2026.",
    )
    assert balance_of_types(AccountType.ACCUMULATED_DEPRECIATION) == D("0")


def test_some_assets_only(world: World) -> None:
    first, second = asset_of(world, "SN-1"), asset_of(world, "SN-2")
    assert [entry.source_id for entry in post(JAN_31, asset_ids=[second.pk])] == [second.pk]
    assert [entry.source_id for entry in post(JAN_31)] == [first.pk]
    with pytest.raises(DomainError) as refused:
        post(JAN_31, asset_ids=[999_999])
    assert refused.value.code == "not_found"


def test_a_hundred_assets_take_as_many_statements_as_one(world: World) -> None:
    product = cable(world)
    stock(world, product, "120", "36")
    line = order_of(world, product, "120")
    shipped(line)
    transfer()

    def capitalise() -> None:
        capitalise_from_stock(
            actor=FINANCE,
            order_line_id=line.pk,
            category_id=world.leased_hardware.pk,
            on=JAN_15,
            quantity=Decimal(1),
        )

    capitalise()
    with CaptureQueriesContext(
        connection,
    ) as one:
        assert len(post(JAN_31)) == 1
    for _ in range(100):
        capitalise()
    with CaptureQueriesContext(connection) as many:
        assert len(post(FEB_28)) == 201
    assert len(many) == len(one)


def test_units_of_use_follow_the_use(world: World) -> None:
    asset = asset_of(world, method="units_of_use", total_units=D("12000"))
    assert list(schedule_of(asset.pk)) == []

    amounts = [
        record_units(actor=FINANCE, asset_id=asset.pk, month=date(2026, month, 15), units=D(units)).amount
        for month, units in ((1, "3000"), (2, "5000"), (4, "4000"))
    ]

    assert amounts == [D("900.00"), D("1500.00"), D("1200.00")]
    assert [entry.total for entry in post(DEC_2028)] == amounts
    asset.refresh_from_db()
    assert asset.status == "fully_depreciated"


def test_use_is_recorded_month_after_month(world: World) -> None:
    asset = asset_of(world, method="units_of_use", total_units=D("12000"))
    for month, message in (
        (date(2025, 12, 1), "Use of FA-0001 can be recorded from Jan 2026 on."),
        (date(2026, 2, 1), None),
        (date(2026, 2, 28), "Use of FA-0001 can be recorded from Mar 2026 on."),
    ):
        if message is None:
            record_units(actor=FINANCE, asset_id=asset.pk, month=month, units=D("10"))
            continue
        with pytest.raises(DomainError) as refused:
            record_units(actor=FINANCE, asset_id=asset.pk, month=month, units=D("10"))
        assert refused.value.message == message

    with pytest.raises(DomainError) as refused:
        record_units(actor=FINANCE, asset_id=asset_of(world, "SN-2").pk, month=MAR_31, units=D("1"))
    assert refused.value.message == "FA-0002 is depreciated by straight line, not by units of use."


@pytest.mark.parametrize(
    ("proceeds", "last_line", "result"),
    [
        ("3500.00", ("7900", "0.00", "100.00"), "gain 100.00"),
        ("1000.00", ("7900", "2400.00", "0.00"), "loss 2,400.00"),
        ("0.00", ("7900", "3400.00", "0.00"), "loss 3,400.00"),
    ],
)
def test_a_sold_or_scrapped_asset_leaves_with_its_depreciation(
    world: World, proceeds: str, last_line: tuple[str, str, str], result: str
) -> None:
    asset = asset_of(world)
    post(FEB_28)

    dispose_asset(actor=FINANCE, asset_id=asset.pk, on=date(2026, 3, 15), proceeds=D(proceeds), reason="Fire")

    entry = JournalEntry.objects.get(step="disposal")
    lines = [(line.account.code, f"{line.debit:.2f}", f"{line.credit:.2f}") for line in entry.lines.all()]
    bank = [("1000", proceeds, "0.00")] if D(proceeds) else []
    assert lines == [*bank, ("1590", "200.00", "0.00"), ("1500", "0.00", "3600.00"), last_line]
    assert trail_of(asset)[0].sentence.endswith(f"net book value 3,400.00, {result}: Fire")
    assert post(DEC_2028) == []
    assert register(as_of=date(2026, 3, 15)) == []
    assert [row.net_book_value for row in register(as_of=date(2026, 3, 14))] == [D("3400.00")]


def test_depreciation_is_posted_up_to_the_disposal_first_and_not_beyond(world: World) -> None:
    asset = asset_of(world)
    with pytest.raises(DomainError) as refused:
        dispose_asset(actor=FINANCE, asset_id=asset.pk, on=date(2026, 3, 15))
    assert refused.value.hint == "Post depreciation through 28 Feb 2026 first."

    post(MAR_31)
    with pytest.raises(DomainError) as refused:
        dispose_asset(actor=FINANCE, asset_id=asset.pk, on=date(2026, 3, 15))
    assert refused.value.message == ("Depreciation of FA-0001 is posted on 31 Mar 2026; it cannot leave before that.")

    dispose_asset(actor=FINANCE, asset_id=asset.pk, on=MAR_31)
    with pytest.raises(DomainError) as refused:
        dispose_asset(actor=FINANCE, asset_id=asset.pk, on=MAR_31)
    assert refused.value.code == "wrong_state"


def test_a_category_has_accounts_of_the_right_kind(world: World) -> None:
    account = {row.code: row.pk for row in Account.objects.all()}
    given = {
        "actor": FINANCE, "asset_account_id": account["1500"], "accumulated_account_id": account["1590"],
        "expense_account_id": account["5200"], "disposal_account_id": account["7900"],
    }  # fmt: skip
    category = create_asset_category(name="Vans", life_months=60, **given)
    assert (category.method, category.convention, category.life_months) == ("straight_line", "full_month", 60)

    with pytest.raises(DomainError) as refused:
        create_asset_category(name="Vans", **given)
    assert refused.value.code == "duplicate"


def test_a_wrong_account_is_named(world: World) -> None:
    account = {row.code: row.pk for row in Account.objects.all()}
    with pytest.raises(DomainError) as refused:
        create_asset_category(
            actor=FINANCE,
            name="Vans",
            asset_account_id=account["1300"],
            accumulated_account_id=account["1590"],
            expense_account_id=account["5200"],
            disposal_account_id=account["7900"],
        )
    assert refused.value.message == "1300 Inventory is of type Inventory, not Fixed asset."


def test_a_preview_writes_nothing(world: World) -> None:
    lines = preview_schedule(cost=D("3600"), in_service_date=JAN_15)
    assert (len(lines), lines[0].amount, lines[-1].net_book_value) == (36, D("100.00"), D("0.00"))

    use = preview_schedule(
        cost=D("3600"), in_service_date=JAN_15, method="units_of_use", total_units=D("12000"), usage=[D("3000")] * 4
    )
    assert [(line.start.month, line.amount) for line in use] == [
        (1, D("900.00")),
        (2, D("900.00")),
        (3, D("900.00")),
        (4, D("900.00")),
    ]
    assert not Asset.objects.exists()
