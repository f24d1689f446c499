"""Who acts, and in which roles.

Roles follow the people of an MSP. The owner may do everything; a viewer reads. Each command names the roles that may
run it (:func:`counterfoil.platform.commands.command`), and every door (page, API, command line) goes through commands.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What a person does at the MSP."""

    OWNER = "owner"
    SALES = "sales"
    PROCUREMENT = "procurement"
    FINANCE = "finance"
    VIEWER = "viewer"
    #: A customer who came by a link: holds no account, and may accept, decline and ask, nothing else.
    CUSTOMER = "customer"


#: What a person of the MSP can be: every role but the customer's.
STAFF: Final = tuple(role for role in Role if role is not Role.CUSTOMER)


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody (or a scheduled job) who runs a command.

    Attributes:
        user_id: the user's id; ``None`` for Counterfoil itself (scheduled jobs).
        name: as it stands in the audit trail.
        roles: held roles. For an API token these are the user's roles narrowed by the token's scopes.
        channel: the door used: ``page``, ``api``, ``cli``, ``job``, or ``link`` for a customer.
    """

    user_id: int | None
    name: str
    roles: frozenset[Role]
    channel: str = "page"

    def may(self, *roles: Role) -> bool:
        """Whether the actor holds the owner role or any of ``roles``."""
        return Role.OWNER in self.roles or any(role in self.roles for role in roles)

    @property
    def is_staff(self) -> bool:
        """Whether the actor is one of the MSP's people, who may read what is the MSP's."""
        return not self.roles.isdisjoint(STAFF)


#: Counterfoil itself, for scheduled jobs.
SYSTEM = Actor(user_id=None, name="Counterfoil", roles=frozenset({Role.OWNER}), channel="job")
