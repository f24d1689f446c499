"""The Django app of the match."""

from __future__ import annotations

from django.apps import AppConfig


class MatchingConfig(AppConfig):
    """Quote, purchase, bill and invoice against each other."""

    name = "counterfoil.matching"
    label = "matching"

    def ready(self) -> None:
        """Look again at documents before their deciding step."""
        from counterfoil.matching import inspectors  # noqa: F401
