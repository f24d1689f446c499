"""People and their keys: the first owner, colleagues with roles, API tokens."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection, transaction

from counterfoil.core.errors import DomainError
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import STAFF, SYSTEM, Actor, Role
from counterfoil.platform.models import ApiToken, User

#: What an API token may be given: reading, or the work of a role. A token never exceeds its user's roles.
SCOPES = ("read", *(role.value for role in STAFF if role is not Role.VIEWER))

TOKEN_PREFIX = "cf_"  # noqa: S105 - how a token is recognised, not a secret


def create_first_owner(*, email: str, name: str, password: str) -> User:
    """Create the owner of a new installation; the one deed that nobody has to be signed in for.

    Raises:
        DomainError: ``conflict`` when there is an owner already; ``invalid``, ``required`` for bad input.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        # There is no row to lock yet; of two who claim an empty installation at once, one becomes its owner.
        cursor.execute(f"LOCK TABLE {User._meta.db_table} IN SHARE ROW EXCLUSIVE MODE")
        if User.objects.filter(roles__contains=[Role.OWNER.value], is_active=True).exists():
            raise DomainError(
                "conflict", "There is an owner already; the owner adds further people under Setup, People."
            )
        return create_user(actor=SYSTEM, email=email, name=name, roles=(Role.OWNER,), password=password)


@command(roles=(Role.OWNER,))
def create_user(*, actor: Actor, email: str, name: str, roles: Sequence[Role], password: str) -> User:
    """Add a person who may sign in.

    Raises:
        DomainError: ``required``, ``invalid`` (address, password too weak), ``duplicate``.
    """
    email = _checked_email(email)
    if not name.strip():
        raise DomainError("required", "Give the person's name.", field="name")
    if not roles:
        raise DomainError("required", "Give at least one role.", field="roles")
    _refuse_customer_role(roles)
    if User.objects.filter(email__iexact=email).exists():
        raise DomainError("duplicate", f"{email} has an account already.", field="email")
    user = User(email=email, name=name.strip(), roles=sorted(role.value for role in set(roles)))
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise DomainError("invalid", " ".join(error.messages), field="password") from error
    user.set_password(password)
    user.save()
    audit.record(actor, "people.user.added", f"added {user.name} ({email}) as {', '.join(user.roles)}", user)
    return user


def _refuse_customer_role(roles: Sequence[Role]) -> None:
    """A customer comes by a link; whoever signs in is staff."""
    if Role.CUSTOMER in roles:
        raise DomainError("invalid", "A customer has no account: nobody can be given that role.", field="roles")


def _checked_email(email: str) -> str:
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError as error:
        raise DomainError("invalid", f"{email!r} is not an e-mail address.", field="email") from error
    return email


@command(roles=(Role.OWNER,))
def change_user(
    *,
    actor: Actor,
    user_id: int,
    name: str | None = None,
    roles: Sequence[Role] | None = None,
    active: bool | None = None,
) -> User:
    """Change a person's name or roles, or whether the person may sign in. The last owner stays.

    Raises:
        DomainError: ``not_found``; ``required``; ``conflict`` when nobody would be owner any more.
    """
    # All users are locked: two owners who demote each other at once must not both succeed.
    users = {user.pk: user for user in User.objects.select_for_update().order_by("pk")}
    if user_id not in users:
        raise DomainError("not_found", "There is no such person.")
    _refuse_customer_role(roles or ())
    user = users[user_id]
    former = (user.name, user.roles, user.is_active)
    user.name = user.name if name is None else name.strip()
    user.roles = user.roles if roles is None else sorted(role.value for role in set(roles))
    user.is_active = user.is_active if active is None else active
    if not user.name or not user.roles:
        raise DomainError(
            "required", "A person needs a name and at least one role.", field="name" if not user.name else "roles"
        )
    if not any(u.is_active and Role.OWNER.value in u.roles for u in users.values()):
        raise DomainError("conflict", "Somebody must be owner: give another person the role first.", field="roles")
    if (user.name, user.roles, user.is_active) == former:
        audit.record_nothing()
        return user
    user.save(update_fields=["name", "roles", "is_active"])
    state = "" if user.is_active else "; may not sign in"
    audit.record(actor, "people.user.changed", f"set {user.name}'s roles to {', '.join(user.roles)}{state}", user)
    return user


@command(roles=STAFF)
def create_api_token(
    *, actor: Actor, user_id: int, name: str, scopes: Sequence[str], now: datetime, expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Make a key for a script. A person makes keys for oneself; the owner for anybody.

    Returns:
        The token and its key. The key is not kept: this is the only time it can be read.

    Raises:
        DomainError: ``role_required``, ``not_found``, ``required``, ``invalid`` (unknown scope, past expiry);
            ``scope_required`` when a key would make one that opens more than itself.
    """
    _check_own_or_owner(actor, user_id)
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        raise DomainError("not_found", "There is no such person.", field="user")
    if not name.strip():
        raise DomainError("required", "Say what the key is for.", field="name")
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise DomainError("invalid", f"Scopes are {', '.join(SCOPES)}.", field="scopes")
    if actor.channel == "api" and not all(scope == "read" or actor.may(Role(scope)) for scope in scopes):
        raise DomainError(
            "scope_required",
            "A key cannot make one that opens more than itself.",
            field="scopes",
            hint="Make the key on the page of your own keys, signed in.",
        )
    if expires_at is not None and expires_at <= now:
        raise DomainError("invalid", "The key would have expired already.", field="expires_at")
    key = TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        user=user,
        name=name.strip(),
        prefix=key[:10],
        key_sha256=hash_key(key),
        scopes=sorted(set(scopes)),
        created_at=now,
        expires_at=expires_at,
    )
    audit.record(
        actor, "people.token.made", f"made the API key {token} for {user.name}: {', '.join(token.scopes)}", token
    )
    return token, key


@command(roles=STAFF)
def revoke_api_token(*, actor: Actor, token_id: int, now: datetime) -> ApiToken:
    """Revoke a key at once.

    Raises:
        DomainError: ``not_found``, ``role_required``, ``wrong_state`` when revoked already.
    """
    token = ApiToken.objects.select_for_update(of=("self",)).select_related("user").filter(pk=token_id).first()
    if token is None:
        raise DomainError("not_found", "There is no such API key.")
    _check_own_or_owner(actor, token.user_id)
    if token.revoked_at is not None:
        raise DomainError("wrong_state", f"The key {token} has been revoked already.")
    token.revoked_at = now
    token.save(update_fields=["revoked_at"])
    audit.record(actor, "people.token.revoked", f"revoked the API key {token} of {token.user.name}", token)
    return token


def _check_own_or_owner(actor: Actor, user_id: int) -> None:
    """Only the owner may act for somebody else."""
    if actor.user_id != user_id and not actor.may():
        raise DomainError("role_required", "Only the owner may handle the API keys of other people.")


def hash_key(key: str) -> str:
    """SHA-256 of a key. The keys are random, so a slow hash would only slow the API down."""
    return hashlib.sha256(key.encode()).hexdigest()


def find_token(key: str, *, now: datetime) -> ApiToken | None:
    """The valid token of ``key``; notes its use at most once a minute. ``None`` when unknown, revoked or expired."""
    token = ApiToken.objects.select_related("user").filter(key_sha256=hash_key(key), revoked_at=None).first()
    if token is None or not token.user.is_active or (token.expires_at is not None and token.expires_at <= now):
        return None
    if token.last_used_at is None or (now - token.last_used_at).total_seconds() > 60:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def token_actor(token: ApiToken) -> Actor:
    """The token's user, with the roles that both the user holds and the token's scopes name."""
    held = frozenset(Role(role) for role in token.user.roles)
    scoped = frozenset(Role(scope) for scope in token.scopes if scope != "read")
    # An owner may do every role's work, so a token of the owner may be narrowed to any of them.
    roles = scoped if Role.OWNER in held else held & scoped
    return Actor(user_id=token.user_id, name=f"{token.user} (key {token.name})", roles=roles, channel="api")
