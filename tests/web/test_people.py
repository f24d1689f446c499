"""People and their API tokens."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.utils import timezone

from counterfoil.platform.models import ApiToken, User
from counterfoil.platform.users import find_token

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery staple"


@pytest.fixture
def olivia() -> User:
    return User.objects.create_user("olivia@northwind.example", PASSWORD, name="Olivia Owner", roles=["owner"])


@pytest.fixture
def sam() -> User:
    return User.objects.create_user("sam@northwind.example", PASSWORD, name="Sam Seller", roles=["sales"])


@pytest.fixture
def owner(client: Client, olivia: User) -> Client:
    client.force_login(olivia)
    return client


def test_people_are_for_the_owner_alone(client: Client, sam: User) -> None:
    client.force_login(sam)
    for address in ("/people/", "/people/new/", f"/people/{sam.pk}/"):
        assert client.get(address).status_code == 403, address
    client.post(f"/people/{sam.pk}/", {"name": "Sam", "roles": ["owner"]})
    sam.refresh_from_db()
    assert sam.roles == ["sales"]


def test_a_person_is_added_and_may_sign_in(owner: Client) -> None:
    given = {"name": "Petra Buyer", "email": "Petra@Northwind.example", "password": "short", "roles": ["procurement"]}
    weak = owner.post("/people/new/", given)
    assert weak.status_code == 422
    assert re.search(r'id="id_password_error".*?too short', weak.content.decode(), re.S)
    assert 'value="Petra Buyer"' in weak.content.decode()
    assert re.search(r'value="procurement" checked', weak.content.decode())

    nobody = owner.post("/people/new/", {**given, "password": PASSWORD, "roles": []})
    assert "Give at least one role." in nobody.content.decode()

    owner.post("/people/new/", {**given, "password": PASSWORD})
    assert Client().login(email="petra@northwind.example", password=PASSWORD)
    assert "Petra Buyer" in owner.get("/people/").content.decode()


def test_roles_change_and_the_last_owner_stays(owner: Client, olivia: User, sam: User) -> None:
    owner.post(f"/people/{sam.pk}/", {"name": "Sam Seller", "roles": ["sales", "finance"]})
    sam.refresh_from_db()
    assert sam.roles == ["finance", "sales"]

    refused = owner.post(f"/people/{olivia.pk}/", {"name": "Olivia Owner", "roles": ["viewer"]})
    assert refused.status_code == 422
    assert "Somebody must be owner" in refused.content.decode()
    assert owner.post(f"/people/{olivia.pk}/active/", {"active": "no"}).status_code == 409


def test_who_is_deactivated_is_out_at_once(owner: Client, sam: User) -> None:
    theirs = Client()
    theirs.force_login(sam)
    assert theirs.get("/").status_code == 200

    owner.post(f"/people/{sam.pk}/active/", {"active": "no"})

    assert theirs.get("/").status_code == 302
    assert "May not sign in" in owner.get(f"/people/{sam.pk}/").content.decode()
    owner.post(f"/people/{sam.pk}/active/", {"active": "yes"})
    assert theirs.get("/").status_code == 200


def make_token(client: Client, **given: object) -> str:
    """The key as it stands on the page."""
    answer = client.post("/api-tokens/new/", {"name": "Nightly export", "scopes": ["read"], **given})
    assert answer.headers["Cache-Control"] == "no-store"
    found = re.search(r'value="(cf_[\w-]+)"', answer.content.decode())
    assert found
    return found[1]


def test_a_token_is_shown_once_and_works_until_it_is_revoked(client: Client, sam: User) -> None:
    client.force_login(sam)
    key = make_token(client)
    token = ApiToken.objects.get()

    assert find_token(key, now=timezone.now()) == token
    page = client.get("/api-tokens/").content.decode()
    assert key not in page
    assert token.prefix in page

    client.post(f"/api-tokens/{token.pk}/revoke/")
    assert find_token(key, now=timezone.now()) is None
    assert "Revoked" in client.get("/api-tokens/").content.decode()


def test_a_token_without_scope_or_already_over_is_refused(client: Client, sam: User) -> None:
    client.force_login(sam)
    bare = client.post("/api-tokens/new/", {"name": "x"})
    assert bare.status_code == 422
    assert "Scopes are" in bare.content.decode()
    past = client.post("/api-tokens/new/", {"name": "x", "scopes": ["read"], "expires_on": "2020-01-01"})
    assert re.search(r'id="id_expires_on_error".*?expired already', past.content.decode(), re.S)
    assert not ApiToken.objects.exists()


def test_one_sees_ones_own_tokens_and_the_owner_everybodys(owner: Client, sam: User) -> None:
    theirs = Client()
    theirs.force_login(sam)
    make_token(theirs, name="Of Sam")
    make_token(owner, name="Of Olivia")

    assert "Of Olivia" not in theirs.get("/api-tokens/").content.decode()
    assert "Of Sam" in owner.get("/api-tokens/").content.decode()

    of_olivia = ApiToken.objects.get(name="Of Olivia")
    assert theirs.post(f"/api-tokens/{of_olivia.pk}/revoke/").status_code == 403
    of_olivia.refresh_from_db()
    assert of_olivia.revoked_at is None
