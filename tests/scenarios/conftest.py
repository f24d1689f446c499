"""An MSP on a day of 2026, whose office works by the API alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import time_machine

if TYPE_CHECKING:
    from tests.scenarios.office import Office


@pytest.fixture
def office(db: None) -> Iterator[Office]:
    """Northwind IT on 1 January 2026: set up through the API, with one customer and what it may buy."""
    from tests.api.client import Api, key_of
    from tests.scenarios.office import Office

    from counterfoil.platform.identity import Role

    with time_machine.travel("2026-01-01T12:00:00Z", tick=False) as clock:
        yield Office(Api(key_of(Role.OWNER)), clock)
