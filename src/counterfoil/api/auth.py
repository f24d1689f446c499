"""Sign-in by token: ``Authorization: Bearer cf_...``. There is no sign-in by session, so there is nothing to forge."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import cast

from django.http import HttpRequest
from ninja.security import HttpBearer

from counterfoil.api.errors import not_signed_in
from counterfoil.core.errors import DomainError
from counterfoil.platform.commands import check_role
from counterfoil.platform.identity import STAFF, Actor, Role
from counterfoil.platform.users import find_token, token_actor


class ApiToken(HttpBearer):
    """Who may use a route: any of the MSP's people with a token, or holders of ``roles`` for ``deed``.

    Roles are checked before anything of the request is read; the command checks them again. To read, the person's own
    roles count, to write, those that the token's scopes leave.
    """

    def __init__(self, roles: Collection[Role] | None, deed: str, *, reads: bool) -> None:
        super().__init__()
        self.roles = None if roles is None else frozenset(roles)
        self.deed = deed
        self.reads = reads

    def __call__(self, request: HttpRequest) -> Actor:
        """The actor of the request's token.

        Raises:
            DomainError: ``not_signed_in``, ``scope_required``, ``role_required``.
        """
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise not_signed_in()
        return self.authenticate(request, key.strip())

    def authenticate(self, request: HttpRequest, token: str) -> Actor:
        """See :meth:`__call__`."""
        found = find_token(token, now=datetime.now(UTC))
        if found is None:
            raise not_signed_in()
        actor = token_actor(found)
        check_role(found.user.actor("api"), frozenset(STAFF), self.deed)
        if self.roles is None:
            return actor
        if self.reads:
            check_role(found.user.actor("api"), self.roles, self.deed)
            return actor
        if set(found.scopes) <= {"read"}:
            raise DomainError(
                "scope_required",
                f"The token {found} may only read.",
                hint="Make a token with the scope of a role.",
            )
        check_role(actor, self.roles, self.deed)
        return actor


def actor_of(request: HttpRequest) -> Actor:
    """Who sent the request."""
    return cast(Actor, request.auth)  # type: ignore[attr-defined]
