"""People and their API tokens, and the audit trail of what they did."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from pydantic import Field

from counterfoil.api.area import Area
from counterfoil.api.shapes import answer, shape
from counterfoil.platform import users
from counterfoil.platform.identity import Role
from counterfoil.platform.models import ApiToken, AuditEntry, User

area = Area("People")
OWNER = (Role.OWNER,)

people = shape(User, without=("password", "is_superuser", "last_login"))
tokens = shape(ApiToken, without=("key_sha256",))
audit_entries = shape(AuditEntry)


new_token = answer(
    "NewToken",
    "A token with its key.",
    tokens.head,
    key=(str | None, Field(description="Shown this once; null when the request is repeated.")),
)


def with_key(made: tuple[ApiToken, str]) -> dict[str, Any]:
    """The token and its key, as they are answered."""
    token, key = made
    return tokens.head.model_validate(token).model_dump() | {"key": key}


def list_people(*, active: bool | None = None) -> QuerySet[User]:
    """People of the MSP."""
    return User.objects.all() if active is None else User.objects.filter(is_active=active)


def list_tokens(*, user_id: int | None = None) -> QuerySet[ApiToken]:
    """API tokens, revoked and expired ones included; never their keys."""
    return ApiToken.objects.all() if user_id is None else ApiToken.objects.filter(user_id=user_id)


def audit_trail(*, object_type: str = "", object_id: int | None = None, verb: str = "") -> QuerySet[AuditEntry]:
    """Who did what, oldest first: of a record (its `object_type`, such as `billing.invoice`, and id) or everything."""
    found = AuditEntry.objects.filter(object_type=object_type) if object_type else AuditEntry.objects.all()
    found = found if object_id is None else found.filter(object_id=object_id)
    return found.filter(verb=verb) if verb else found


area.records("/users", people, list_people, roles=OWNER)
area.post("/users", users.create_user, people)
area.detail("/users/{user_id}", people, roles=OWNER)
area.patch("/users/{user_id}", users.change_user, people)

area.records("/tokens", tokens, list_tokens, roles=OWNER)
area.post("/tokens", users.create_api_token, new_token, show=with_key, secret="key")  # noqa: S106 - a field's name
area.act("/tokens/{token_id}/revoke", users.revoke_api_token, tokens)

area.records("/audit", audit_entries, audit_trail)
