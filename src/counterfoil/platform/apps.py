"""The Django app of the platform."""

from __future__ import annotations

from django.apps import AppConfig


class PlatformConfig(AppConfig):
    """Users, audit, numbering, jobs: what every context stands on."""

    name = "counterfoil.platform"
    label = "platform"

    def ready(self) -> None:
        """Make ``filter(column__any=values)`` known."""
        from counterfoil.platform import anyof  # noqa: F401
