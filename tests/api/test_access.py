"""Who may: every route of the API, tried without a token, with one that reads only, and with one of the wrong role."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from tests.api.client import Api, MakeApi, key_of, user_with

from counterfoil.api.urls import api as the_api
from counterfoil.platform.commands import COMMANDS
from counterfoil.platform.identity import SYSTEM, Role
from counterfoil.platform.models import ApiToken, User
from counterfoil.platform.users import change_user, create_api_token, revoke_api_token

pytestmark = pytest.mark.django_db


def routes() -> list[tuple[str, str, frozenset[Role] | None]]:
    """Method, path and roles of every route, as mounted."""
    found = []
    for bound in the_api._get_bound_routers():
        for path, view in bound.path_operations.items():
            for operation in view.operations:
                [auth] = operation.auth_callbacks
                found += [(method, path, auth.roles) for method in operation.methods]
    return found


ROUTES = routes()
WRITING = [(method, path) for method, path, _ in ROUTES if method != "GET"]


def at(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "1", path)


def test_there_is_a_route_for_every_command_that_people_run() -> None:
    """All but what only other commands and jobs run."""
    assert len(WRITING) > 80
    assert len(ROUTES) - len(WRITING) > 70
    deeds = {operation.view_func.__name__ for bound in the_api._get_bound_routers()
             for view in bound.path_operations.values() for operation in view.operations}  # fmt: skip
    within_others = {
        "record_conversion",
        "install_chart",
        "settle_delivery",
        "install_commitment_rules",
        "renew_addition",
        "expire_quotes",
        "mark_viewed",
    } | {"accept_version", "decline_quote", "ask_question", "send_code", "try_code"}  # by the customer's link
    contexts = {"companies", "catalog", "tax", "quotes", "agreements", "orders", "procurement", "inventory", "usage",
                "billing", "assets", "accounting", "ledger"}  # fmt: skip
    missing = {
        name for name in COMMANDS
        if name.split(".")[0] in contexts and name.rsplit(".", 1)[1] not in deeds | within_others
    }  # fmt: skip
    assert sorted(missing) == []


def test_without_a_token_nothing_is_answered() -> None:
    nobody = Api()
    for method, path, _ in ROUTES:
        response = nobody.send(method, at(path))
        assert response.status_code == 401, f"{method} {path}"
        assert response.json()["code"] == "not_signed_in"
        assert response["WWW-Authenticate"].startswith("Bearer")


def test_who_is_no_staff_reads_nothing(make_api: MakeApi) -> None:
    reader = make_api(Role.VIEWER, scopes=("read",))
    assert reader.send("GET", "/companies").status_code == 200
    User.objects.update(roles=[Role.CUSTOMER])
    for method, path, _ in ROUTES:
        response = reader.send(method, at(path), None if method == "GET" else {})
        assert (response.status_code, response.json()["code"]) == (403, "role_required"), f"{method} {path}"


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OWNER])
def test_a_reading_token_writes_nothing_whoever_holds_it(make_api: MakeApi, role: Role) -> None:
    reader = make_api(role, scopes=("read",))
    for method, path in WRITING:
        response = reader.send(method, at(path), {})
        assert response.status_code == 403, f"{method} {path}: {response.content!r}"
        assert response.json()["code"] == "scope_required"


@pytest.mark.parametrize("role", [Role.SALES, Role.PROCUREMENT, Role.FINANCE])
def test_a_role_reaches_its_own_commands_only(make_api: MakeApi, role: Role) -> None:
    somebody = make_api(role)
    tried = 0
    for method, path, allowed in ROUTES:
        if method == "GET" and allowed is None:
            continue
        assert allowed is not None, f"{method} {path} names no roles"
        if role in allowed:
            continue
        tried += 1
        response = somebody.send(method, at(path), {})
        assert response.status_code == 403, f"{method} {path}: {response.content!r}"
        assert response.json()["code"] == "role_required"
        assert "owner" in response.json()["message"]
    assert tried > 5


def test_a_scope_narrows_what_an_owner_may(make_api: MakeApi) -> None:
    as_sales = make_api(Role.OWNER, scopes=("sales",))
    as_sales.post("/categories", {"name": "Hardware"})
    assert as_sales.post("/periods", {"first": "2026-01-01"}, status=403)["code"] == "role_required"


def test_a_scope_gives_nobody_a_role_they_lack(make_api: MakeApi) -> None:
    pretender = make_api(Role.VIEWER, scopes=("finance",))
    assert pretender.post("/periods", {"first": "2026-01-01"}, status=403)["code"] == "role_required"


def test_a_reading_token_reads(make_api: MakeApi) -> None:
    reader = make_api(Role.VIEWER, scopes=("read",))
    for method, path, roles in ROUTES:
        if method == "GET" and roles is None:
            response = reader.send("GET", at(path))
            assert response.status_code in {200, 404, 409, 422}, f"{path}: {response.content!r}"


def test_people_and_tokens_are_the_owners_to_read(make_api: MakeApi) -> None:
    assert make_api(Role.OWNER, scopes=("read",)).get("/users")["items"]
    assert make_api(Role.FINANCE).get("/users", status=403)["code"] == "role_required"
    assert make_api(Role.VIEWER, scopes=("read",)).get("/tokens", status=403)["code"] == "role_required"


def test_a_revoked_or_expired_token_or_one_of_somebody_who_left_is_none() -> None:
    now = datetime.now(UTC)
    user = user_with(Role.SALES)
    keys = [key_of(Role.SALES) for _ in range(2)]
    token, revoked = create_api_token(actor=SYSTEM, user_id=user.pk, name="gone", scopes=("sales",), now=now)
    revoke_api_token(actor=SYSTEM, token_id=token.pk, now=now)
    _, expired = create_api_token(
        actor=SYSTEM, user_id=user.pk, name="old", scopes=("sales",), now=now - timedelta(days=2),
        expires_at=now - timedelta(days=1),
    )  # fmt: skip
    for key in (revoked, expired, "cf_nonsense", ""):
        assert Api(key).get("/companies", status=401)["code"] == "not_signed_in"
    assert Api(keys[0]).get("/companies") == {"items": [], "next_cursor": None}
    change_user(actor=SYSTEM, user_id=user_with(Role.OWNER).pk, name="owner")
    change_user(actor=SYSTEM, user_id=user.pk, active=False)
    Api(keys[1]).get("/companies", status=401)


def test_a_session_does_not_sign_in_to_the_api() -> None:
    api = Api()
    api.client.force_login(user_with(Role.OWNER), backend="allauth.account.auth_backends.AuthenticationBackend")
    api.get("/companies", status=401)


def test_a_token_is_made_shown_once_and_revoked_through_the_api(owner: Api) -> None:
    person = owner.post(
        "/users",
        {"email": "pat@northwind.example", "name": "Pat", "roles": ["sales"], "password": "correct horse battery"},
    )
    assert "password" not in person
    made = owner.post(
        "/tokens", {"user_id": person["id"], "name": "CRM", "scopes": ["sales"]}, **{"Idempotency-Key": "t"}
    )
    pat = Api(made["key"])
    pat.post("/categories", {"name": "Hardware"})
    replayed = owner.post(
        "/tokens", {"user_id": person["id"], "name": "CRM", "scopes": ["sales"]}, **{"Idempotency-Key": "t"}
    )
    assert (replayed["id"], replayed["key"]) == (made["id"], None)
    assert ApiToken.objects.filter(name="CRM").count() == 1
    assert all("key" not in token and "key_sha256" not in token for token in owner.get("/tokens")["items"])
    owner.act(f"/tokens/{made['id']}/revoke")
    pat.get("/categories", status=401)
    trail = owner.get("/audit")["items"]
    assert any(entry["actor_name"].startswith("Pat (key CRM") and entry["channel"] == "api" for entry in trail)
