"""Work that is entered at the same moment: an agreement never covers more than it grants."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D

import pytest
from tests.racing import at_once, refusals
from tests.usage.world import bill, covering, engineer, time
from tests.world import FINANCE, SALES, World, build_world

from counterfoil.usage import queries
from counterfoil.usage.commands import delete_charge, reallocate_agreement, update_charge
from counterfoil.usage.models import Allocation, Charge

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def msp() -> World:
    engineer()
    return build_world()


def test_ten_people_enter_eight_hours_each_on_a_block_of_twenty(msp: World) -> None:
    agreement = covering(msp)
    results = at_once(*(lambda n=n: time(msp.acme, date(2026, 1, n + 1), "8", agreement) for n in range(10)))
    assert refusals(results) == []
    assert sum(Allocation.objects.values_list("covered_quantity", flat=True)) == 20
    by_date = Allocation.objects.order_by("charge__date").values_list("covered_quantity", flat=True)
    assert list(by_date) == [8, 8, 4, 0, 0, 0, 0, 0, 0, 0]


def test_entering_changing_deleting_and_deciding_anew_at_once(msp: World) -> None:
    one, two = covering(msp), covering(msp)
    charges = [time(msp.acme, date(2026, 1, n + 1), "8", one if n % 2 else two) for n in range(8)]
    results = at_once(
        *(
            lambda c=c: update_charge(actor=SALES, charge_id=c.pk, agreement_id=one.pk, quantity=D(3))
            for c in charges[:4]
        ),
        lambda: delete_charge(actor=SALES, charge_id=charges[4].pk),
        lambda: delete_charge(actor=SALES, charge_id=charges[5].pk),
        lambda: reallocate_agreement(actor=FINANCE, agreement_id=one.pk, update_rates=True),
        lambda: reallocate_agreement(actor=FINANCE, agreement_id=two.pk),
        lambda: time(msp.acme, date(2026, 1, 1), "8", one),
    )
    assert {refusal.code for refusal in refusals(results)} <= {"conflict"}
    for agreement in (one, two):
        rows = queries.preview_reallocation(agreement_id=agreement.pk)
        assert [row for row in rows if row.changes] == []
        assert sum(row.new_covered_quantity for row in rows) <= 20


def test_what_is_billed_meanwhile_keeps_its_coverage(msp: World) -> None:
    agreement = covering(msp)
    charge = time(msp.acme, date(2026, 1, 20), "20", agreement)
    at_once(
        lambda: bill(charge),
        lambda: time(msp.acme, date(2026, 1, 1), "8", agreement),
        lambda: reallocate_agreement(actor=FINANCE, agreement_id=agreement.pk),
    )
    assert Charge.objects.get(pk=charge.pk).billed
    assert sum(Allocation.objects.values_list("covered_quantity", flat=True)) == 20
    assert [row for row in queries.preview_reallocation(agreement_id=agreement.pk) if row.changes] == []
