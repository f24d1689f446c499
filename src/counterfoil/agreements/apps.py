"""The Django app of agreements."""

from __future__ import annotations

from django.apps import AppConfig


class AgreementsConfig(AppConfig):
    """What is billed again and again."""

    name = "counterfoil.agreements"
    label = "agreements"

    def ready(self) -> None:
        """Say how quoted lines that join an agreement begin."""
        from counterfoil.agreements import joining  # noqa: F401
