"""Pages of billing runs: what a run would make, how it goes, what it left out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest
from django.test import Client
from tests.web.pages import done, post, refused, sign_in, text_of
from tests.world import OWNER, World, build_world

from counterfoil.agreements.commands import AdditionInput, create_agreement
from counterfoil.agreements.models import Agreement, BillingState
from counterfoil.billing.models import BillingRun, Invoice
from counterfoil.companies.models import Company
from counterfoil.flows.billing_preview import preview_billing_run
from counterfoil.flows.billing_work import work
from counterfoil.platform.identity import Role

pytestmark = pytest.mark.django_db
THROUGH = {"through": "2026-01-01", "invoice_date": "2026-01-01", "mode": "close", "agreement_type": "", "company": ""}


@pytest.fixture
def world(client: Client) -> World:
    world = build_world()
    sign_in(client, Role.FINANCE)
    return world


@pytest.fixture
def agree(world: World) -> Callable[[str, int], Agreement]:
    def make(price: str, company_id: int) -> Agreement:
        return create_agreement(
            actor=OWNER,
            company_id=company_id,
            agreement_type_id=world.haas.pk,
            name="Server as a service",
            start_date=date(2026, 1, 1),
            additions=[AdditionInput(product_id=world.lease.pk, unit_price=Decimal(price))],
        )

    return make


def test_the_preview_shows_the_largest_change_first_and_is_what_the_run_makes(
    client: Client, world: World, agree: Callable[[str, int], Agreement]
) -> None:
    small, large = agree("75", world.acme.pk), agree("900", world.globex.pk)
    said = text_of(client.get("/billing-runs/preview/", THROUGH))
    assert said.index(large.number) < said.index(small.number)
    assert "First invoice, from 1 Jan 2026" in said
    foreseen = preview_billing_run(through=date(2026, 1, 1), invoice_date=date(2026, 1, 1))

    done(post(client, "/billing-runs/new/", **THROUGH))
    run = BillingRun.objects.get()
    assert "Rating" in text_of(client.get(f"/billing-runs/{run.pk}/"))
    work(run.pk)

    said = text_of(client.get(f"/billing-runs/{run.pk}/progress/"))
    assert "Done: 100 %" in said
    assert "every 1s" not in client.get(f"/billing-runs/{run.pk}/progress/").content.decode()
    assert [invoice.number for invoice in Invoice.objects.order_by("pk")] == ["INV-0001", "INV-0002"]
    assert sum(invoice.total for invoice in Invoice.objects.all()) == foreseen.total == run_total(run)
    assert "Nothing is due" in text_of(client.get("/billing-runs/preview/", THROUGH))


def run_total(run: BillingRun) -> Decimal:
    run.refresh_from_db()
    return run.total


def test_what_cannot_be_billed_is_named_mended_and_taken_by_the_next_run(
    client: Client, world: World, agree: Callable[[str, int], Agreement]
) -> None:
    bad, good = agree("75", world.acme.pk), agree("90", world.globex.pk)
    Company.objects.filter(pk=world.acme.pk).update(active=False)
    assert bad.number in text_of(client.get("/billing-runs/preview/", THROUGH))
    assert not BillingState.objects.exclude(parked_at=None).exists()  # a preview parks nothing

    done(post(client, "/billing-runs/new/", **THROUGH))
    run = BillingRun.objects.get()
    work(run.pk)
    said = text_of(client.get(f"/billing-runs/{run.pk}/"))
    assert bad.number in said
    assert "It is mended" in said
    assert [invoice.agreement for invoice in Invoice.objects.all()] == [good]

    Company.objects.filter(pk=world.acme.pk).update(active=True)
    done(post(client, f"/billing-runs/{run.pk}/unpark/{bad.pk}/"))
    assert "Mended" in text_of(client.get(f"/billing-runs/{run.pk}/"))
    done(post(client, "/billing-runs/new/", **THROUGH))
    work(BillingRun.objects.latest("pk").pk)
    assert Invoice.objects.filter(agreement=bad).count() == 1


def test_a_run_is_paused_resumed_and_cancelled(
    client: Client, world: World, agree: Callable[[str, int], Agreement]
) -> None:
    agree("75", world.acme.pk)
    done(post(client, "/billing-runs/new/", **THROUGH))
    run = BillingRun.objects.get()
    done(post(client, f"/billing-runs/{run.pk}/pause/"))
    said = text_of(client.get(f"/billing-runs/{run.pk}/"))
    assert "Resume" in said
    assert "One run is made at a time" in text_of(client.get("/billing-runs/new/"))
    refused(post(client, "/billing-runs/new/", **THROUGH), "one run is made at a time")
    done(post(client, f"/billing-runs/{run.pk}/resume/"))
    done(post(client, f"/billing-runs/{run.pk}/cancel/"))
    assert "Cancelled" in text_of(client.get("/billing-runs/"))
    assert not Invoice.objects.exists()


def test_an_invoice_of_a_run_tells_which_run_made_it(
    client: Client, world: World, agree: Callable[[str, int], Agreement]
) -> None:
    agree("100", world.acme.pk)
    done(post(client, "/billing-runs/new/", **THROUGH))
    run = BillingRun.objects.get()
    work(run.pk)
    invoice = Invoice.objects.get()
    said = text_of(client.get(f"/invoices/{invoice.pk}/"))
    assert f"closed {invoice.number} to {invoice.number} in {run.number}" in said
    assert "Nothing has been done to it yet" not in said


def test_the_page_of_a_drafts_line_says_how_long_a_price_holds(
    client: Client, world: World, agree: Callable[[str, int], Agreement]
) -> None:
    agree("100", world.acme.pk)
    done(post(client, "/billing-runs/new/", **(THROUGH | {"mode": "draft"})))
    work(BillingRun.objects.get().pk)
    draft = Invoice.objects.get()
    said = text_of(client.get(f"/invoices/{draft.pk}/lines/{draft.lines.get().pk}/"))
    assert "A price you enter holds until something of this period changes" in said


def test_a_year_that_the_books_do_not_reach_is_refused_beside_the_date(client: Client, world: World) -> None:
    answer = client.get("/billing-runs/preview/", THROUGH | {"through": "2062-01-01"})
    assert answer.status_code == 422
    assert "The books do not reach 1 Jan 2062" in text_of(answer)


def test_only_finance_may_bill(client: Client, world: World) -> None:
    sign_in(client, Role.SALES)
    assert "Start the run" not in text_of(client.get("/billing-runs/new/"))
    assert post(client, "/billing-runs/new/", **THROUGH).status_code == 403
    assert not BillingRun.objects.exists()
