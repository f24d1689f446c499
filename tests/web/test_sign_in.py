"""The way in, and the pages for when something goes wrong, as the server sends them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
import time

import pytest
from django.test import Client
from django.urls import reverse

from counterfoil.platform.models import User

PASSWORD = "correct horse battery staple"

pytestmark = pytest.mark.django_db


@pytest.fixture
def dana() -> User:
    return User.objects.create_user("dana@northwind.example", PASSWORD, name="Dana Reyes", roles=["finance"])


def sign_in(client: Client, password: str = PASSWORD) -> str:
    """Post the sign-in form; returns the page it ends on."""
    response = client.post(
        reverse("account_login"), {"login": "dana@northwind.example", "password": password}, follow=True
    )
    return response.content.decode()


def totp(secret: str, at: float) -> str:
    """The six digits an authenticator app shows (RFC 6238: SHA-1, 30 seconds)."""
    key = base64.b32decode(secret)
    mac = hmac.new(key, struct.pack(">Q", int(at) // 30), hashlib.sha1).digest()
    start = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[start : start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def test_the_door_has_labels_and_no_sign_up(client: Client) -> None:
    response = client.get(reverse("account_login"))
    page = response.content.decode()
    assert '<label class="form-label" for="id_login">' in page
    assert "sign up" not in page.lower()
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]


def test_a_wrong_password_is_said_and_the_address_is_kept(client: Client, dana: User) -> None:
    page = sign_in(client, "wrong")
    assert 'role="alert"' in page
    assert 'value="dana@northwind.example"' in page


@pytest.mark.usefixtures("dana")
def test_a_second_factor_is_set_up_and_then_asked_for(client: Client) -> None:
    sign_in(client)
    setup = client.get(reverse("mfa_activate_totp"), follow=True)
    if setup.redirect_chain:  # who one is has to be confirmed first
        setup = client.post(setup.redirect_chain[-1][0], {"password": PASSWORD}, follow=True)
    page = setup.content.decode()
    assert 'src="data:image/svg+xml' in page
    found = re.search(r'id="authenticator_secret"[^>]*value="([A-Z2-7]+)"', page)
    assert found
    done = client.post(reverse("mfa_activate_totp"), {"code": totp(found.group(1), time.time())}, follow=True)
    assert "Recovery Codes" in done.content.decode()
    client.post(reverse("account_logout"))
    assert "authenticator code" in sign_in(client)


@pytest.mark.usefixtures("dana")
def test_a_wrong_address_is_explained_outside_and_inside(client: Client) -> None:
    outside = client.get("/no-such-page/")
    assert outside.status_code == 404
    assert "There is nothing at this address" in outside.content.decode()
    assert 'aria-label="Main"' not in outside.content.decode()
    sign_in(client)
    inside = client.get("/no-such-page/").content.decode()
    assert "There is nothing at this address" in inside
    assert 'aria-label="Main"' in inside
    assert "dana@northwind.example" in inside


@pytest.mark.usefixtures("dana")
def test_account_pages_stand_in_the_staff_layout(client: Client) -> None:
    sign_in(client)
    for name in ("account_change_password", "mfa_index"):
        page = client.get(reverse(name), follow=True).content.decode()
        assert 'class="cf-skip"' in page, name


@pytest.mark.parametrize("roles", [["customer"], []])
def test_pages_of_staff_are_not_for_who_is_no_staff(client: Client, roles: list[str]) -> None:
    """No account is given that role; one that has it nevertheless reads nothing."""
    client.force_login(User.objects.create_user("jane@acme.example", PASSWORD, name="Jane Doe", roles=roles))
    for name in ("home", "journal", "companies", "invoices", "quotes", "users"):
        answer = client.get(reverse(f"web:{name}"))
        assert answer.status_code == 403, name
        assert "for the people of the MSP" in answer.content.decode()
    client.force_login(User.objects.create_user("vic@northwind.example", PASSWORD, name="Vic", roles=["viewer"]))
    assert client.get(reverse("web:journal")).status_code == 200
