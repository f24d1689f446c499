"""Bringing Django up for a command that needs it, and who acts."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import date

    from counterfoil.platform.identity import Actor

ActingUser = Annotated[
    str | None,
    typer.Option("--as", metavar="EMAIL", help="Who acts (default: COUNTERFOIL_USER, else the only owner)."),
]


def set_up(*, migrated: bool = True) -> None:
    """Load Django and, unless told otherwise, insist on an up-to-date database.

    Raises:
        ConfigError: migrations are missing; the hint names the command that runs them.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "counterfoil.conf.settings")
    import django

    # Nothing that loading makes is garbage: looking for some takes a tenth of the time.
    gc.disable()
    try:
        django.setup()
    finally:
        gc.enable()
    if migrated:
        from counterfoil.platform.config import ConfigError
        from counterfoil.platform.database.migrations import pending_migrations

        if pending := pending_migrations():
            raise ConfigError(
                f"The database is not ready: {len(pending)} migrations have not run yet.",
                "Run: counterfoil db migrate   (or 'counterfoil init' for a new installation)",
            )


def acting(email: str | None) -> Actor:
    """The actor of this run: ``--as``, else ``COUNTERFOIL_USER``, else the only owner.

    Raises:
        DomainError: ``not_found`` when there is no such active user, or nobody to choose.
    """
    from counterfoil.core.errors import DomainError
    from counterfoil.platform import config
    from counterfoil.platform.identity import Role
    from counterfoil.platform.models import User

    wanted = email or config.current().user
    if wanted:
        user = User.objects.filter(email__iexact=wanted, is_active=True).first()
        if user is None:
            raise DomainError("not_found", f"There is no active user {wanted}.", field="as")
        return user.actor("cli")
    candidates = User.objects.filter(roles__contains=[Role.OWNER.value], is_active=True).order_by("pk")[:2]
    if not candidates:
        raise DomainError("not_found", "There is no owner yet.", hint="Run: counterfoil init --email you@example.com")
    if len(candidates) > 1:
        raise DomainError(
            "required", "There are several owners, so say who acts.", field="as", hint="Add --as you@example.com"
        )
    return candidates[0].actor("cli")


def today() -> date:
    """What day it is where the MSP is. The command line is a door, so it may look at the clock."""
    from datetime import UTC, datetime

    from counterfoil.companies.queries import local_date

    return local_date(datetime.now(UTC))
