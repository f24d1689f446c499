"""What was paid ahead for work: what is deferred, what lapsed, and earning it from the page."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from django.test import Client
from django.utils import timezone
from tests.trade import NOW
from tests.usage.world import engineer, time
from tests.web.pages import done, post, sign_in, text_of
from tests.world import FINANCE, SALES, World

from counterfoil.agreements.commands import AdditionInput, add_addition, create_agreement, create_agreement_type
from counterfoil.agreements.models import Agreement
from counterfoil.billing.commands import close_invoice, invoice_agreement
from counterfoil.core.calendar import add_months, month_start
from counterfoil.platform.identity import Role

D = Decimal


def test_what_lapsed_is_shown_and_earned(client: Client, world: World) -> None:
    start = add_months(month_start(timezone.localdate()), -1)
    kind = create_agreement_type(actor=SALES, name="Hours", prepayment=True)
    agreement = create_agreement(
        actor=SALES, company_id=world.acme.pk, agreement_type_id=kind.pk, name="Hours", start_date=start,
        billing_amount=D(900), application_units="hours", application_limit=D(10), covers_time=True,
    )  # fmt: skip
    draft = invoice_agreement(actor=FINANCE, agreement_id=agreement.pk)
    close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)
    sign_in(client, Role.FINANCE)
    page = text_of(client.get("/prepaid/"))
    assert f"{agreement.number} Hours" in page
    assert "10 of 10 not used, 900.00" in page
    here = f"/agreements/{agreement.pk}/"
    assert "10 of 10 lapsed unused" in text_of(client.get(here))
    assert done(post(client, "/prepaid/earn/", agreement=agreement.pk)) == here
    assert "Lapsed unused, earned 900.00 Deferred 0.00" in text_of(client.get(here))
    assert "Nothing has lapsed" in text_of(client.get(done(post(client, "/prepaid/earn/"))))


def once(world: World, **terms: Any) -> Agreement:
    """Ten hours for 900.00, billed once, used month by month."""
    kind = create_agreement_type(actor=SALES, name="Block", prepayment=True)
    given = {
        "billing_amount": D(900), "bill_one_time": True, "application_units": "hours", "application_limit": D(10),
        "covers_time": True,
    } | terms  # fmt: skip
    return create_agreement(
        actor=SALES, company_id=world.acme.pk, agreement_type_id=kind.pk, name="Hours", start_date=date(2026, 1, 1),
        **given,
    )  # type: ignore[arg-type]  # fmt: skip


def bill(agreement: Agreement) -> None:
    draft = invoice_agreement(actor=FINANCE, agreement_id=agreement.pk)
    close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)


def test_a_block_that_is_billed_once_offers_no_further_period(client: Client, world: World) -> None:
    agreement = once(world)
    sign_in(client, Role.FINANCE, Role.SALES)
    here = f"/agreements/{agreement.pk}/"
    page = text_of(client.get(here))
    assert "Invoice 1–31 Jan 2026?" in client.get(here).content.decode()
    assert (
        f"made agreement {agreement.number}, Hours, for Acme Corp: billed once from 1 Jan 2026, no ending date" in page
    )
    assert "900.00 a cycle" not in page
    bill(agreement)
    assert "Invoice next period" not in text_of(client.get(here))
    assert "It is billed once, and all of it has been." in text_of(client.get(f"{here}upcoming/"))
    later = AdditionInput(world.lease.pk, unit_price=D(50), effective_date=date(2026, 4, 10))
    add_addition(actor=SALES, agreement_id=agreement.pk, addition=later)
    assert "Invoice 1–30 Apr 2026?" in client.get(here).content.decode()
    draft = invoice_agreement(actor=FINANCE, agreement_id=agreement.pk, period_start=date(2026, 4, 1))
    assert draft.subtotal == 50
    assert "Invoice next period" not in text_of(client.get(here))


def test_work_beyond_a_block_that_is_billed_once_is_billed_with_the_next_period(client: Client, world: World) -> None:
    engineer()
    agreement = once(world, allow_overruns=True)
    bill(agreement)
    time(world.acme, date(2026, 1, 20), "12", agreement)
    sign_in(client, Role.FINANCE)
    assert "Invoice next period" in text_of(client.get(f"/agreements/{agreement.pk}/"))
    draft = invoice_agreement(actor=FINANCE, agreement_id=agreement.pk)
    assert draft.subtotal == 200
    assert "Invoice next period" not in text_of(client.get(f"/agreements/{agreement.pk}/"))
