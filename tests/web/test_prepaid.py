"""What was paid ahead for work: what is deferred, what lapsed, and earning it from the page."""

from __future__ import annotations

from decimal import Decimal

from django.test import Client
from django.utils import timezone
from tests.trade import NOW
from tests.web.pages import done, post, sign_in, text_of
from tests.world import FINANCE, SALES, World

from counterfoil.agreements.commands import create_agreement, create_agreement_type
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
