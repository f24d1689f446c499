"""People, their roles and their keys: somebody is always owner, and a key never opens more than its holder may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.racing import at_once, refusals
from tests.snapshot import changed, snapshot

from counterfoil.core.errors import DomainError
from counterfoil.platform.audit import broken_links, trail_of
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.models import ApiToken, User
from counterfoil.platform.users import (
    SCOPES,
    change_user,
    create_api_token,
    create_first_owner,
    create_user,
    find_token,
    hash_key,
    revoke_api_token,
    token_actor,
)

PASSWORD = "correct horse battery staple"
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


@pytest.fixture
def owner(db: None) -> User:
    return create_first_owner(email="Olivia@Northwind.example", name="Olivia Owner", password=PASSWORD)


def person(owner: User, *roles: Role, name: str = "Finn Books") -> User:
    email = f"{name.split()[0].lower()}@northwind.example"
    return create_user(actor=owner.actor(), email=email, name=name, roles=roles, password=PASSWORD)


def refused(code: str, deed: object, *said: str) -> DomainError:
    before = snapshot()
    with pytest.raises(DomainError) as caught:
        deed()  # type: ignore[operator]
    assert caught.value.code == code
    assert not [each for each in said if each not in caught.value.message], caught.value.message
    assert changed(before) == []
    return caught.value


# --- the first owner ------------------------------------------------------------------------------------------------


def test_the_first_owner_is_made_without_anybody_signed_in(owner: User) -> None:
    assert (owner.email, owner.roles, owner.is_active) == ("olivia@northwind.example", ["owner"], True)
    assert owner.check_password(PASSWORD)
    (entry,) = trail_of(owner)
    assert entry.actor_name == "Counterfoil"
    assert PASSWORD not in str(entry.data) + entry.sentence


def test_there_is_one_first_owner(owner: User) -> None:
    refused(
        "conflict",
        lambda: create_first_owner(email="mallory@elsewhere.example", name="Mallory", password=PASSWORD),
        "owner already",
    )


@pytest.mark.django_db(transaction=True)
def test_of_two_who_want_to_be_the_first_owner_at_once_one_is() -> None:
    def claim(name: str) -> object:
        return lambda: create_first_owner(email=f"{name}@northwind.example", name=name, password=PASSWORD)

    results = at_once(claim("olivia"), claim("mallory"), claim("oscar"))  # type: ignore[arg-type]

    assert [refusal.code for refusal in refusals(results)] == ["conflict", "conflict"]
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("invalid", {"email": "olivia"}),
        ("invalid", {"email": ""}),
        ("required", {"name": "  "}),
        ("invalid", {"password": "short"}),
        ("invalid", {"password": "password1234"}),
        ("invalid", {"password": "9174920174"}),
    ],
)
@pytest.mark.django_db
def test_a_bad_owner_is_refused(code: str, changes: dict[str, str]) -> None:
    given = {"email": "olivia@northwind.example", "name": "Olivia", "password": PASSWORD} | changes
    refusal = refused(code, lambda: create_first_owner(**given))
    assert refusal.field == next(iter(changes))


# --- people ---------------------------------------------------------------------------------------------------------


def test_a_person_is_added_once_whatever_the_case(owner: User) -> None:
    finn = person(owner, Role.FINANCE, Role.SALES, Role.FINANCE)
    assert finn.roles == ["finance", "sales"]
    refused(
        "duplicate",
        lambda: create_user(
            actor=owner.actor(), email="FINN@northwind.EXAMPLE", name="Finn", roles=[Role.SALES], password=PASSWORD
        ),
        "finn@northwind.example",
    )
    refused(
        "required",
        lambda: create_user(actor=owner.actor(), email="x@y.example", name="X", roles=[], password=PASSWORD),
    )


def test_only_the_owner_adds_and_changes_people(owner: User) -> None:
    finn = person(owner, Role.FINANCE, Role.SALES, Role.PROCUREMENT, Role.VIEWER)
    for deed in (
        lambda: person(finn, Role.OWNER, name="Mallory"),
        lambda: change_user(actor=finn.actor(), user_id=finn.pk, roles=[Role.OWNER]),
        lambda: change_user(actor=finn.actor(), user_id=owner.pk, active=False),
    ):
        refused("role_required", deed, "Finn Books", "owner")


def test_the_last_owner_stays(owner: User) -> None:
    finn = person(owner, Role.FINANCE)
    me = owner.actor()
    for change in ({"roles": [Role.FINANCE]}, {"active": False}):
        refused("conflict", lambda change=change: change_user(actor=me, user_id=owner.pk, **change), "owner")

    change_user(actor=me, user_id=finn.pk, roles=[Role.OWNER], active=False)  # an owner who may not sign in is none
    refused("conflict", lambda: change_user(actor=me, user_id=owner.pk, active=False))
    change_user(actor=me, user_id=finn.pk, active=True)
    change_user(actor=me, user_id=owner.pk, roles=[Role.VIEWER])
    assert User.objects.get(pk=owner.pk).roles == ["viewer"]


@pytest.mark.django_db(transaction=True)
def test_two_owners_who_demote_each_other_at_once_leave_one() -> None:
    olivia = create_first_owner(email="olivia@northwind.example", name="Olivia", password=PASSWORD)
    oscar = person(olivia, Role.OWNER, name="Oscar")

    results = at_once(
        lambda: change_user(actor=olivia.actor(), user_id=oscar.pk, roles=[Role.SALES]),
        lambda: change_user(actor=oscar.actor(), user_id=olivia.pk, active=False),
    )

    assert [refusal.code for refusal in refusals(results)] == ["conflict"]
    assert User.objects.filter(roles__contains=["owner"], is_active=True).count() == 1
    assert not list(broken_links())


def test_a_person_keeps_a_name_and_a_role(owner: User) -> None:
    finn = person(owner, Role.FINANCE)
    for change in ({"name": " "}, {"roles": []}):
        refused("required", lambda change=change: change_user(actor=owner.actor(), user_id=finn.pk, **change))
    refused("not_found", lambda: change_user(actor=owner.actor(), user_id=0, name="x"))


# --- keys -----------------------------------------------------------------------------------------------------------


def key_of(user: User, *scopes: str, actor: Actor | None = None, expires_at: datetime | None = None) -> str:
    _, key = create_api_token(
        actor=actor or user.actor(), user_id=user.pk, name="sync", scopes=scopes, now=NOW, expires_at=expires_at
    )
    return key


def test_a_key_is_shown_once_and_not_kept(owner: User) -> None:
    token, key = create_api_token(actor=owner.actor(), user_id=owner.pk, name="sync", scopes=["read"], now=NOW)

    assert key.startswith("cf_")
    assert len(key) > 40
    assert token.key_sha256 == hash_key(key)
    kept = [str(value) for value in ApiToken.objects.values_list().get()]
    assert not any(key in value for value in kept)
    assert all(key not in entry.sentence + str(entry.data) for entry in trail_of(token))
    assert find_token(key, now=NOW) == token
    for wrong in ("", "cf_", key[:-1], key + "x", key.upper(), token.key_sha256):
        assert find_token(wrong, now=NOW) is None


def test_a_key_ends_on_the_instant_it_expires(owner: User) -> None:
    end = NOW + timedelta(days=1)
    key = key_of(owner, "read", expires_at=end)

    assert find_token(key, now=end - timedelta(microseconds=1)) is not None
    assert find_token(key, now=end) is None
    refused("invalid", lambda: key_of(owner, "read", expires_at=NOW), "expired")


def test_a_revoked_key_opens_nothing(owner: User) -> None:
    key = key_of(owner, "read")
    token = ApiToken.objects.get()
    revoke_api_token(actor=owner.actor(), token_id=token.pk, now=NOW)

    assert find_token(key, now=NOW) is None
    refused("wrong_state", lambda: revoke_api_token(actor=owner.actor(), token_id=token.pk, now=NOW), "revoked")


def test_the_key_of_somebody_who_may_not_sign_in_opens_nothing_and_can_be_revoked(owner: User) -> None:
    finn = person(owner, Role.FINANCE)
    key = key_of(finn, "finance")
    change_user(actor=owner.actor(), user_id=finn.pk, active=False)

    assert find_token(key, now=NOW) is None
    refused("not_found", lambda: key_of(finn, "finance", actor=owner.actor()))
    revoke_api_token(actor=owner.actor(), token_id=ApiToken.objects.get().pk, now=NOW)
    change_user(actor=owner.actor(), user_id=finn.pk, active=True)
    assert find_token(key, now=NOW) is None  # it does not come back with its holder


@pytest.mark.parametrize(
    ("roles", "scopes", "acts_as"),
    [
        ([Role.FINANCE], ["finance"], {Role.FINANCE}),
        ([Role.FINANCE, Role.SALES], ["read", "sales"], {Role.SALES}),
        ([Role.FINANCE], ["read"], set()),
        ([Role.FINANCE], ["sales", "procurement"], set()),
        ([Role.FINANCE], ["owner"], set()),
        ([Role.VIEWER], ["owner", "sales", "read"], set()),
        ([Role.OWNER], ["read"], set()),
        ([Role.OWNER], ["finance"], {Role.FINANCE}),
        ([Role.OWNER], ["owner"], {Role.OWNER}),
        ([Role.OWNER, Role.FINANCE], ["sales"], {Role.SALES}),
    ],
)
def test_a_key_acts_with_its_holders_roles_narrowed_to_its_scopes(
    owner: User, roles: list[Role], scopes: list[str], acts_as: set[Role]
) -> None:
    holder = person(owner, *roles)
    token = find_token(key_of(holder, *scopes), now=NOW)
    assert token is not None

    actor = token_actor(token)
    assert (set(actor.roles), actor.user_id, actor.channel) == (acts_as, holder.pk, "api")
    assert "Finn Books" in actor.name
    assert "sync" in actor.name


def test_a_key_loses_what_its_holder_loses(owner: User) -> None:
    finn = person(owner, Role.FINANCE, Role.SALES)
    key = key_of(finn, "finance", "sales")
    change_user(actor=owner.actor(), user_id=finn.pk, roles=[Role.SALES])

    token = find_token(key, now=NOW)
    assert token is not None
    assert token_actor(token).roles == {Role.SALES}


def test_keys_are_made_and_revoked_by_their_holder_or_the_owner(owner: User) -> None:
    finn, sam = person(owner, Role.FINANCE), person(owner, Role.SALES, name="Sam Seller")
    key_of(finn, "finance")
    token = ApiToken.objects.get()

    refused("role_required", lambda: key_of(finn, "finance", actor=sam.actor()), "owner")
    refused("role_required", lambda: revoke_api_token(actor=sam.actor(), token_id=token.pk, now=NOW), "owner")
    refused("not_found", lambda: revoke_api_token(actor=owner.actor(), token_id=0, now=NOW))
    assert key_of(finn, "finance", actor=owner.actor())
    revoke_api_token(actor=owner.actor(), token_id=token.pk, now=NOW)


def test_a_key_makes_no_key_that_opens_more_than_itself(owner: User) -> None:
    """Whoever finds the owner's key for sales must not become owner with it."""
    sales = find_token(key_of(owner, "sales", "read"), now=NOW)
    assert sales is not None
    narrow = token_actor(sales)
    for wider in (("owner",), ("sales", "finance")):
        refused("scope_required", lambda wider=wider: key_of(owner, *wider, actor=narrow), "opens more")
    assert find_token(key_of(owner, "sales", actor=narrow), now=NOW) is not None

    reading = find_token(key_of(owner, "read"), now=NOW)
    assert reading is not None
    refused("role_required", lambda: key_of(owner, "read", actor=token_actor(reading)))
    finn = person(owner, Role.FINANCE)
    refused("role_required", lambda: key_of(finn, "read", actor=narrow), "owner")


@pytest.mark.parametrize("scopes", [[], ["everything"], ["read", "viewer"], ["Finance"]])
def test_unknown_scopes_are_refused(owner: User, scopes: list[str]) -> None:
    refusal = refused("invalid", lambda: key_of(owner, *scopes), *SCOPES)
    assert refusal.field == "scopes"


def test_the_use_of_a_key_is_noted_at_most_once_a_minute(owner: User) -> None:
    key = key_of(owner, "read")
    times = []
    for seconds in (0, 30, 60, 61):
        find_token(key, now=NOW + timedelta(seconds=seconds))
        times.append((ApiToken.objects.get().last_used_at - NOW).total_seconds())  # type: ignore[operator]
    assert times == [0, 0, 0, 61]
