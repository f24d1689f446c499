"""Column history: what a row was before each update or delete, kept by triggers.

Beside it stands the audit trail (:mod:`counterfoil.platform.audit`): a statement of what somebody did. Triggers see
bulk updates and COPY; the audit trail sees intent. Both are needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pghistory
from django.db import models

ModelT = TypeVar("ModelT", bound=type[models.Model])


def keep_history(model: ModelT) -> ModelT:
    """Class decorator: keep the former row on every update and delete of ``model``."""
    track: Callable[[Any], Any] = pghistory.track(
        pghistory.UpdateEvent(row=pghistory.Old),
        pghistory.DeleteEvent(),
    )
    tracked: ModelT = track(model)
    return tracked
