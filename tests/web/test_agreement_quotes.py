"""More seats, fewer seats, another offer or the end of an addition: quoted from its agreement's page."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from django.test import Client
from django.urls import reverse
from tests.accepted import accepted, by, convert, m365
from tests.web.pages import sign_in, text_of
from tests.world import World

from counterfoil.agreements.models import Addition
from counterfoil.platform.identity import Role
from counterfoil.quotes.models import Quote

pytestmark = pytest.mark.django_db


@pytest.fixture
def licences(world: World) -> Addition:
    """Ten Microsoft 365, monthly."""
    convert(accepted(world, [by(m365(world)["monthly"], 10)]))
    return Addition.objects.get()


def test_two_more_seats_become_a_quote(client: Client, licences: Addition) -> None:
    sign_in(client, Role.SALES)
    url = reverse("web:agreement_quote_change", args=[licences.agreement_id])
    assert url in client.get(reverse("web:agreement", args=[licences.agreement_id])).content.decode()
    assert "Microsoft 365 Business Premium" in text_of(client.get(url))

    answer = client.post(url, {"start_date": "2026-02-05", f"quantity-{licences.pk}": "12"})

    quote = Quote.objects.get(kind="change")
    assert answer.headers["Location"] == reverse("web:quote", args=[quote.pk])
    line = quote.versions.get().lines.get()
    assert (line.action, line.quantity, line.addition) == ("increase", D(2), licences)


def test_nothing_changed_is_said(client: Client, licences: Addition) -> None:
    sign_in(client, Role.SALES)
    url = reverse("web:agreement_quote_change", args=[licences.agreement_id])
    answer = client.post(url, {"start_date": "2026-02-05", f"quantity-{licences.pk}": "10"})
    assert answer.status_code == 422
    assert "Say what is to be changed" in text_of(answer)
    assert not Quote.objects.filter(kind="change").exists()


@pytest.mark.parametrize("then", ["-3", "0"])
def test_then_is_how_many_there_will_be(client: Client, licences: Addition, then: str) -> None:
    sign_in(client, Role.SALES)
    url = reverse("web:agreement_quote_change", args=[licences.agreement_id])
    answer = client.post(url, {"start_date": "2026-02-05", f"quantity-{licences.pk}": then})
    assert answer.status_code == 422
    assert f"there are to be, of 10 now; {then} cannot be" in text_of(answer)
    assert "enter 24; to take all away, tick “End it”" in text_of(answer)
    assert not Quote.objects.filter(kind="change").exists()


def test_an_end_becomes_a_line_that_takes_away(client: Client, licences: Addition) -> None:
    sign_in(client, Role.SALES)
    url = reverse("web:agreement_quote_change", args=[licences.agreement_id])
    client.post(url, {"start_date": "2026-02-05", f"cancel-{licences.pk}": "on"})
    assert Quote.objects.get(kind="change").versions.get().lines.get().action == "cancel"


def test_who_does_not_sell_does_not_quote(client: Client, licences: Addition) -> None:
    sign_in(client, Role.PROCUREMENT)
    url = reverse("web:agreement_quote_change", args=[licences.agreement_id])
    assert client.get(url).status_code == 403
