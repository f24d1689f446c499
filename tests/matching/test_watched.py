"""What notes a thread that is to be matched again: drafts, billing runs, and what agreements are billed by."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.db.models import F
from tests.accepted import accepted, by, convert, m365
from tests.world import FINANCE, World

from counterfoil.agreements.models import Addition, Agreement
from counterfoil.billing.agreement_invoices import invoice_agreement
from counterfoil.billing.closing import close_invoice
from counterfoil.billing.commands import delete_draft_invoice
from counterfoil.billing.models import Invoice, RunMode
from counterfoil.catalog.models import Offer
from counterfoil.flows.billing_run import start_billing_run
from counterfoil.flows.billing_work import work
from counterfoil.matching.models import ThreadToMatch

pytestmark = pytest.mark.django_db
JAN_1, JAN_31, MARCH_1 = date(2026, 1, 1), date(2026, 1, 31), date(2026, 3, 1)
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def offer(world: World) -> Offer:
    """A year at 23.10 a month."""
    return m365(world)["billed monthly"]


@pytest.fixture
def running(world: World, offer: Offer) -> Addition:
    """Ten for the year 2026, as quoted, and nothing to be matched."""
    (agreement,) = convert(accepted(world, [by(offer, 10)]), JAN_1).agreements
    noted()
    return agreement.additions.get()


def noted() -> list[int]:
    """The quoted lines that are to be matched; then they are not any more."""
    rows = list(ThreadToMatch.objects.values_list("origin_id", flat=True))
    ThreadToMatch.objects.all().delete()
    return [origin_id for origin_id in rows if origin_id is not None]


def test_a_draft_of_an_agreement_notes_what_it_bills_once(running: Addition) -> None:
    draft = invoice_agreement(actor=FINANCE, agreement_id=running.agreement_id)
    assert draft.lines.get().origin_id == running.origin_id
    assert noted() == [running.origin_id]


def test_a_draft_that_is_closed_notes_what_it_bills_again(running: Addition) -> None:
    run = start_billing_run(actor=FINANCE, through=JAN_31, mode=RunMode.DRAFT, now=NOW)
    work(run.pk)
    drafts = [Invoice.objects.get(run_id=run.pk), invoice_agreement(actor=FINANCE, agreement_id=running.agreement_id)]
    noted()
    for draft in drafts:
        Invoice.objects.filter(pk=draft.pk).update(customer_po="4711")
        assert noted() == []
        close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)
        assert noted() == [running.origin_id]


def test_a_billing_run_notes_what_it_billed_once(running: Addition) -> None:
    run = start_billing_run(actor=FINANCE, through=JAN_31, mode=RunMode.DRAFT, now=NOW)
    assert noted() == []
    work(run.pk)
    assert Invoice.objects.get(run_id=run.pk).lines.get().origin_id == running.origin_id
    assert noted() == [running.origin_id]


def test_a_draft_of_a_billing_run_that_is_changed_or_deleted_is_noted_as_any_other(running: Addition) -> None:
    run = start_billing_run(actor=FINANCE, through=JAN_31, mode=RunMode.DRAFT, now=NOW)
    work(run.pk)
    draft = Invoice.objects.get(run_id=run.pk)
    noted()
    draft.lines.update(unit_price=1)
    assert noted() == [running.origin_id]
    delete_draft_invoice(actor=FINANCE, invoice_id=draft.pk)
    assert noted() == [running.origin_id]


@pytest.mark.parametrize(
    ("change", "matters"),
    [
        ({"billing_cycle": "year:1"}, True),
        ({"billing_timing": "arrears"}, True),
        ({"bill_one_time": True}, True),
        ({"prorate": False}, True),
        ({"end_date": MARCH_1}, True),
        ({"end_date": None}, True),
        ({"cancelled_on": MARCH_1}, True),
        ({"status": "ended"}, True),
        ({"end_date": F("end_date"), "status": F("status")}, False),
        ({"internal_notes": "Nothing that matters."}, False),
    ],
)
def test_what_an_agreement_is_billed_by(world: World, running: Addition, change: dict[str, Any], matters: bool) -> None:
    """It is what its own additions and those of its children are billed by, and what change quotes are held against."""
    change_line = by(running.offer, 2, action="increase", addition=running, start_date=MARCH_1)  # type: ignore[arg-type]
    quote = accepted(world, [change_line], agreement=running.agreement)
    parent = Agreement.objects.get(pk=running.agreement_id)
    child = Agreement.objects.get(pk=running.agreement_id)
    child.pk, child.number, child.parent = None, "AGR-9001", parent
    child.save(force_insert=True)
    theirs = Addition.objects.create(
        agreement=child, position=1, product=running.product, description="Theirs", effective_date=JAN_1,
        origin=accepted(world, [by(running.offer)]).lines.get(),  # type: ignore[arg-type]
    )  # fmt: skip
    Agreement.objects.filter(pk=parent.pk).update(end_date=date(2026, 12, 31))
    noted()
    Agreement.objects.filter(pk=parent.pk).update(**change)
    threads = {running.origin_id, quote.lines.get().pk, theirs.origin_id}
    assert set(noted()) == (threads if matters else set())


def test_an_agreement_that_gets_another_parent_is_billed_by_that(world: World, running: Addition) -> None:
    other = Agreement.objects.get(pk=running.agreement_id)
    other.pk, other.number = None, "AGR-9001"
    other.save(force_insert=True)
    noted()
    Agreement.objects.filter(pk=running.agreement_id).update(parent=other)
    assert noted() == [running.origin_id]
