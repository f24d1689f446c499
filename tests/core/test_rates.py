"""What an hour is billed at, and how many of them."""

from datetime import date
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.errors import DomainError
from counterfoil.core.rates import (
    HoursRule,
    RateLevel,
    RateRow,
    RateType,
    apply_rate,
    bill_hours,
    resolve_rate,
)

CUSTOM, ADJUSTMENT, MULTIPLIER = RateType.CUSTOM, RateType.ADJUSTMENT, RateType.MULTIPLIER
MARCH = date(2026, 3, 15)
ENGINEER = RateRow(RateLevel.WORK_ROLE, D(100), name="Engineer")
AFTER_HOURS = RateRow(RateLevel.WORK_TYPE, D("1.5"), MULTIPLIER, name="After hours")


@pytest.mark.parametrize(
    ("type", "rate", "gives"),
    [(CUSTOM, "200", "200"), (ADJUSTMENT, "25", "125"), (MULTIPLIER, "1.5", "150"), (MULTIPLIER, "0.9", "90")],
)
def test_rate_types_of_a_base_of_100(type: RateType, rate: str, gives: str) -> None:
    """WE-3: custom replaces, an adjustment is added, 0.9 is a discount of 10 %."""
    assert apply_rate(D(100), type, D(rate)) == D(gives)
    row = RateRow(RateLevel.AGREEMENT_WORK_ROLE, D(rate), type)
    assert resolve_rate([ENGINEER, row], on=MARCH).rate == D(gives)


def test_an_adjustment_does_not_pay_the_customer_for_work() -> None:
    assert apply_rate(D(20), ADJUSTMENT, D(-25)) == 0


LADDER = [
    RateRow(RateLevel.WORK_ROLE, D(100)),
    RateRow(RateLevel.WORK_TYPE, D(110)),
    RateRow(RateLevel.MEMBER, D(120)),
    RateRow(RateLevel.COMPANY, D(130)),
    RateRow(RateLevel.AGREEMENT, D(140)),
    RateRow(RateLevel.AGREEMENT_WORK_ROLE, D(150)),
    RateRow(RateLevel.AGREEMENT_WORK_TYPE, D(160)),
    RateRow(RateLevel.TICKET, D(170)),
    RateRow(RateLevel.ENTRY, D(180)),
]


@pytest.mark.parametrize("said", range(1, len(LADDER) + 1))
def test_the_highest_level_that_names_a_rate_decides(said: int) -> None:
    assert resolve_rate(LADDER[:said], on=MARCH).rate == D(90 + 10 * said)
    assert resolve_rate(LADDER[:said][::-1], on=MARCH).level is LADDER[said - 1].level


@pytest.mark.parametrize(
    ("rows", "rate"),
    [
        pytest.param([ENGINEER, AFTER_HOURS], "150", id="the work type multiplies the work role's rate"),
        pytest.param(
            [ENGINEER, AFTER_HOURS, RateRow(RateLevel.AGREEMENT_WORK_ROLE, D(120))],
            "180",
            id="and the agreement's role's",
        ),
        pytest.param(
            [ENGINEER, AFTER_HOURS, RateRow(RateLevel.AGREEMENT_WORK_TYPE, D(2), MULTIPLIER)],
            "200",
            id="the agreement's work type stands instead of the set-up's",
        ),
        pytest.param(
            [ENGINEER, AFTER_HOURS, RateRow(RateLevel.COMPANY, D("0.9"), MULTIPLIER)],
            "135",
            id="a company's discount and the work type's surcharge",
        ),
        pytest.param(
            [ENGINEER, AFTER_HOURS, RateRow(RateLevel.COMPANY, D(-10), ADJUSTMENT)],
            "135",
            id="the surcharge is reckoned of the discounted rate",
        ),
        pytest.param(
            [ENGINEER, RateRow(RateLevel.WORK_TYPE, D(60)), RateRow(RateLevel.COMPANY, D(130))],
            "130",
            id="a work type's own rate yields to the company's",
        ),
        pytest.param(
            [ENGINEER, RateRow(RateLevel.WORK_TYPE, D(60)), RateRow(RateLevel.AGREEMENT_WORK_ROLE, D(10), ADJUSTMENT)],
            "70",
            id="the agreement adds to a work type's own rate",
        ),
        pytest.param(
            [ENGINEER, AFTER_HOURS, RateRow(RateLevel.TICKET, D(80))], "80", id="a ticket's rate is what it says"
        ),
        pytest.param(
            [ENGINEER, AFTER_HOURS, RateRow(RateLevel.TICKET, D(-50), ADJUSTMENT)],
            "100",
            id="a ticket's rebate comes after the surcharge",
        ),
        pytest.param(
            [ENGINEER, RateRow(RateLevel.AGREEMENT, None, minimum=D(1))], "100", id="a row that speaks of hours alone"
        ),
    ],
)
def test_rows_together(rows: list[RateRow], rate: str) -> None:
    assert resolve_rate(rows, on=MARCH).rate == D(rate)


def test_an_override_applies_from_its_effective_date() -> None:
    rows = [
        ENGINEER,
        RateRow(RateLevel.AGREEMENT_WORK_ROLE, D(120), effective=date(2026, 1, 1), ends=date(2027, 1, 1)),
        RateRow(RateLevel.AGREEMENT_WORK_ROLE, D(130), effective=date(2026, 3, 15)),
    ]
    on = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 3, 14), date(2026, 3, 15), date(2027, 1, 1)]
    assert [resolve_rate(rows, on=day).rate for day in on] == [100, 120, 120, 130, 130]


def test_an_override_ends() -> None:
    rows = [ENGINEER, RateRow(RateLevel.COMPANY, D(120), ends=date(2026, 3, 15))]
    assert [resolve_rate(rows, on=date(2026, 3, day)).rate for day in (14, 15)] == [120, 100]


def test_the_rate_says_how_it_came_about() -> None:
    discount = RateRow(RateLevel.COMPANY, D("0.9"), MULTIPLIER)
    assert resolve_rate([ENGINEER, AFTER_HOURS, discount], on=MARCH).explanation == (
        "135.00 an hour: 100.00 of the work role Engineer, times 0.9 by the company, "
        "times 1.5 by the work type After hours."
    )


def test_what_the_agreement_does_not_cover_has_a_rate_of_its_own() -> None:
    row = RateRow(RateLevel.AGREEMENT_WORK_TYPE, None, overage_rate=D("0.8"), overage_type=MULTIPLIER)
    resolved = resolve_rate([ENGINEER, row], on=MARCH)
    assert (resolved.rate, resolved.overage_rate) == (100, 80)
    assert resolved.explanation.endswith("80.00 for what the agreement does not cover, by the agreement's work type.")
    assert resolve_rate([ENGINEER], on=MARCH).overage_rate == 100


def test_hours_are_ruled_by_the_highest_row_that_speaks_of_them() -> None:
    rows = [
        ENGINEER,
        RateRow(RateLevel.WORK_TYPE, D(1), MULTIPLIER, minimum=D("0.5"), increment=D("0.25")),
        RateRow(RateLevel.AGREEMENT_WORK_TYPE, D(1), MULTIPLIER, minimum=D(1), maximum=D(8)),
    ]
    assert resolve_rate(rows, on=MARCH, rounding="up").hours == HoursRule(D(1), D(8), D("0.25"), "up")


@pytest.mark.parametrize(
    ("rule", "worked", "billed", "why"),
    [
        (HoursRule(), "1.1", "1.1", ""),
        (HoursRule(increment=D("0.25")), "1.1", "1", "1 hour for 1.1 hours worked: rounded to the nearest 0.25 hours."),
        (HoursRule(increment=D("0.25")), "1.125", "1.25", None),
        (HoursRule(increment=D("0.25"), rounding="up"), "1.01", "1.25", None),
        (HoursRule(increment=D("0.25"), rounding="up"), "1.25", "1.25", ""),
        (HoursRule(minimum=D(1)), "0.2", "1", "1 hour for 0.2 hours worked: at least 1 hour."),
        (HoursRule(minimum=D(1)), "0", "0", ""),
        (HoursRule(maximum=D(8)), "9", "8", "8 hours for 9 hours worked: at most 8 hours."),
        (HoursRule(minimum=D(1), increment=D("0.5")), "0.2", "1", None),
    ],
)
def test_hours_worked_become_hours_billed(rule: HoursRule, worked: str, billed: str | None, why: str | None) -> None:
    result = bill_hours(D(worked), rule)
    if billed is not None:
        assert result.hours == D(billed)
    if why is not None:
        assert result.explanation == why


@given(
    worked=st.decimals(D("0.01"), D(24), places=2),
    increment=st.sampled_from([D("0.05"), D("0.1"), D("0.25"), D("0.5"), D(1)]),
)
def test_rounding_stays_within_one_increment(worked: D, increment: D) -> None:
    up = bill_hours(worked, HoursRule(increment=increment, rounding="up")).hours
    near = bill_hours(worked, HoursRule(increment=increment)).hours
    assert 0 <= up - worked < increment
    assert abs(near - worked) <= increment / 2
    assert up % increment == near % increment == 0


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: resolve_rate([], on=MARCH), "required"),
        (lambda: resolve_rate([AFTER_HOURS], on=MARCH), "required"),
        (lambda: RateRow(RateLevel.ENTRY, D(-1)), "invalid"),
        (lambda: RateRow(RateLevel.COMPANY, D(-1), MULTIPLIER), "invalid"),
        (lambda: HoursRule(increment=D(0)), "invalid"),
        (lambda: HoursRule(minimum=D(2), maximum=D(1)), "invalid"),
        (lambda: bill_hours(D(-1), HoursRule()), "invalid"),
    ],
)
def test_what_makes_no_rate_is_refused(make, code: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DomainError) as refusal:
        make()
    assert refusal.value.code == code
