"""Django's ``migrate``, with the quick way to play migrations back (:mod:`counterfoil.platform.database.playback`)."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import migrate
from django.db.migrations.executor import MigrationExecutor

from counterfoil.platform.database.playback import StepwiseExecutor


class Command(migrate.Command):
    """Same options, same output, same schema."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Run it. Django has no other place to name an executor than the one its module looks at."""
        setattr(migrate, "MigrationExecutor", StepwiseExecutor)  # noqa: B010
        try:
            super().handle(*args, **options)
        finally:
            setattr(migrate, "MigrationExecutor", MigrationExecutor)  # noqa: B010
