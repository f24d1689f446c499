"""What is held is not closed, and not billed by a run, until the hold is released."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from django.db import connection, models
from django.test.utils import CaptureQueriesContext
from tests.trade import D
from tests.world import FINANCE, SALES, World, build_world

from counterfoil.agreements.commands import AdditionInput, create_agreement, unpark_agreement
from counterfoil.agreements.lifecycle import attach_child
from counterfoil.agreements.models import Agreement, BillingState
from counterfoil.billing.closing import close_invoice, close_invoices
from counterfoil.billing.commands import invoice_agreement
from counterfoil.billing.models import BillingRun, Invoice, RunMode
from counterfoil.core.errors import DomainError
from counterfoil.flows.billing_run import start_billing_run
from counterfoil.flows.billing_work import work
from counterfoil.platform import holds
from counterfoil.platform.holds import set_holds

pytestmark = pytest.mark.django_db
JAN_1, JAN_31 = date(2026, 1, 1), date(2026, 1, 31)
NOW = datetime(2026, 2, 1, 8, tzinfo=UTC)
WHY = {"reason": "Quoted at 150.00, billed at 160.00.", "hint": "Correct the price of the addition."}


@pytest.fixture
def world() -> World:
    return build_world()


@pytest.fixture(autouse=True)
def nobody_else_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holds, "INSPECTORS", {})


def hold(record: models.Model, **keys: dict[str, str]) -> None:
    """Hold a record for these reasons and no others; none release it."""
    label = record._meta.label_lower
    set_holds("test", {(label, record.pk, key): words for key, words in keys.items()}, {label: [record.pk]})


def lease_of(world: World, name: str) -> Agreement:
    addition = AdditionInput(product_id=world.lease.pk, effective_date=JAN_1, unit_price=D("160"))
    return create_agreement(
        actor=SALES, company_id=world.acme.pk, agreement_type_id=world.haas.pk, name=name, start_date=JAN_1,
        additions=[addition],
    )  # fmt: skip


def drafts(world: World, count: int) -> list[Invoice]:
    leases = [lease_of(world, f"Lease {n}") for n in range(count)]
    return [invoice_agreement(actor=FINANCE, agreement_id=lease.pk, period_start=JAN_1) for lease in leases]


def test_a_held_draft_is_not_closed_until_it_is_released(world: World) -> None:
    (invoice,) = drafts(world, 1)
    hold(invoice, price=WHY)

    with pytest.raises(DomainError) as refused:
        close_invoice(actor=FINANCE, invoice_id=invoice.pk, now=NOW)

    assert (refused.value.code, refused.value.hint) == ("held", "Correct the price of the addition.")
    assert "cannot be closed: Quoted at 150.00, billed at 160.00." in refused.value.message
    hold(invoice)
    assert close_invoice(actor=FINANCE, invoice_id=invoice.pk, now=NOW).status == "closed"


def test_of_many_drafts_the_held_one_is_left_out_and_numbers_have_no_gap(world: World) -> None:
    first, second, third = drafts(world, 3)
    hold(second, price=WHY)

    done = close_invoices(actor=FINANCE, invoice_ids=[first.pk, second.pk, third.pk], now=NOW)

    assert [(left.invoice_id, left.reason.code) for left in done.not_closed] == [(second.pk, "held")]
    assert [invoice.number for invoice in done.invoices] == ["INV-0001", "INV-0002"]


def test_holds_of_many_drafts_are_looked_up_together(world: World) -> None:
    ids = [invoice.pk for invoice in drafts(world, 4)]
    with CaptureQueriesContext(connection) as queries:
        close_invoices(actor=FINANCE, invoice_ids=ids, now=NOW)
    assert sum("platform_hold" in query["sql"] for query in queries) == 1


def run(mode: RunMode = RunMode.CLOSE) -> BillingRun:
    made = start_billing_run(actor=FINANCE, through=JAN_31, mode=mode, now=NOW)
    work(made.pk)
    made.refresh_from_db()
    return made


@pytest.mark.parametrize("mode", RunMode)
def test_a_run_parks_what_is_held_and_bills_it_after_release(world: World, mode: RunMode) -> None:
    free, kept = lease_of(world, "Free"), lease_of(world, "Held")
    hold(kept, price=WHY)

    first = run(mode)

    assert (first.status, first.invoice_count, first.parked_count) == ("finished", 1, 1)
    assert Invoice.objects.get().agreement == free
    state = BillingState.objects.get(agreement=kept)
    assert (state.parked_code, state.parked_hint) == ("held", "Correct the price of the addition.")
    assert "is held and cannot be billed: Quoted at 150.00, billed at 160.00." in state.parked_reason

    assert run(mode).invoice_count == 0  # it is parked
    hold(kept)
    assert run(mode).invoice_count == 1
    state.refresh_from_db()
    assert (state.parked_at, state.parked_code) == (None, "")


def test_let_go_on_by_hand_it_is_parked_again_while_it_is_held(world: World) -> None:
    kept = lease_of(world, "Held")
    hold(kept, price=WHY)
    run()
    unpark_agreement(actor=FINANCE, agreement_id=kept.pk)
    assert run().parked_count == 1
    with pytest.raises(DomainError, match="cannot be billed"):
        invoice_agreement(actor=FINANCE, agreement_id=kept.pk, period_start=JAN_1)


def test_a_held_child_holds_what_it_is_billed_with(world: World) -> None:
    parent, child = lease_of(world, "Parent"), lease_of(world, "Child")
    attach_child(actor=SALES, agreement_id=child.pk, parent_id=parent.pk)
    hold(child, price=WHY)
    assert run().parked_count == 1
    assert BillingState.objects.get(agreement=parent).parked_code == "held"
    assert run().invoice_count == 0
    hold(child)
    assert run().invoice_count == 1


def test_holds_of_a_chunk_are_one_query(world: World) -> None:
    for n in range(5):
        lease_of(world, f"Lease {n}")
    made = start_billing_run(actor=FINANCE, through=JAN_31, mode=RunMode.DRAFT, now=NOW)
    with CaptureQueriesContext(connection) as queries:
        work(made.pk)
    assert sum("platform_hold" in query["sql"] for query in queries) == 1
