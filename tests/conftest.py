"""What every test stands on: a PostgreSQL of its own, and no trace of the developer's data.

Each run gets a data folder of its own in the system's temporary folder, with an embedded PostgreSQL that does not sync
to disk. The first test that needs a database starts it, the workers of pytest-xdist share it (a database each), and it
is gone when the run ends. With DATABASE_URL the tests use that server instead.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.world import World

_PREFIX = "counterfoil-test-"
_IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ

if not _IS_WORKER:
    # Workers inherit this environment. It has to be set before Django's settings are read.
    for _name in [name for name in os.environ if name.startswith("COUNTERFOIL_")]:
        del os.environ[_name]
    os.environ["COUNTERFOIL_DATA"] = tempfile.mkdtemp(prefix=_PREFIX)
    os.environ["COUNTERFOIL_THROWAWAY_DATABASE"] = "1"
    # Workers, and the many processes that tests start, find the product compiled instead of compiling it each.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
DATA = Path(os.environ["COUNTERFOIL_DATA"])


def pytest_configure(config: pytest.Config) -> None:
    # Test modules import models at their top; the environment above has to be there first.
    import django

    gc.disable()  # until all is loaded: nothing that loading makes is garbage
    django.setup()
    from django.test import TransactionTestCase
    from tests.kept_rows import clear

    TransactionTestCase._fixture_teardown = lambda self: clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Workers take a file each. Those that take long come first, so that none is left with one while the others idle.
    long = {item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("browser")}
    items.sort(key=lambda item: item.path not in long)


def pytest_collection_finish(session: pytest.Session) -> None:
    # The product, its libraries and the tests stay to the end: nobody needs to look for garbage among them.
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _IS_WORKER:
        return
    _throw_away(DATA)
    for folder in Path(tempfile.gettempdir()).glob(_PREFIX + "*"):
        # What a run left that was killed. Nobody's run takes six hours.
        if folder.stat().st_uid == os.geteuid() and time.time() - folder.stat().st_mtime > 6 * 3600:
            _throw_away(folder)


def _throw_away(data: Path) -> None:
    from counterfoil.platform.database import EmbeddedServer

    EmbeddedServer(data / "postgres").stop()
    shutil.rmtree(data, ignore_errors=True)


@pytest.fixture
def world(db: None) -> World:
    """Northwind IT, a small MSP with its customers, vendors and books (see tests/world.py)."""
    from tests.world import build_world

    return build_world()


@pytest.fixture
def committed_world(transactional_db: None) -> World:
    """The same, committed, for tests with several connections."""
    from tests.world import build_world

    return build_world()
