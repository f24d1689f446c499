"""``counterfoil reconcile`` as people and scripts use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.api.client import user_with
from tests.matching.licences import SIMPLE, billed, csv_of, licence
from tests.world import World
from typer.testing import CliRunner

from counterfoil.cli import app
from counterfoil.matching.models import VendorStatement
from counterfoil.platform.database import migrations
from counterfoil.platform.identity import Role

pytestmark = pytest.mark.django_db


@pytest.fixture
def march(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words of the command for a file of twelve where ten are billed."""
    monkeypatch.setattr(migrations, "pending_migrations", list)
    user_with(Role.OWNER)
    billed(world, licence(world), 10)
    file = tmp_path / "march.csv"
    file.write_bytes(csv_of(SIMPLE, ("Acme Corp", "Business Premium", 12, 18)))
    return ["reconcile", str(file), "--vendor", "ingram", "--first", "2026-03-01", "--last", "2026-03-31"]


def test_a_preview_writes_nothing(march: list[str]) -> None:
    said = CliRunner().invoke(app, [*march, "--preview"])
    assert said.exit_code == 0, said.output
    assert "1 lines, 216.00" in said.output
    assert not VendorStatement.objects.exists()
    assert json.loads(CliRunner().invoke(app, [*march, "--preview", "--json"]).stdout)["in_effect"] == 1


def test_a_file_is_imported_and_reconciled_and_again_finds_the_same(march: list[str]) -> None:
    said = CliRunner().invoke(app, march)
    assert said.exit_code == 0, said.output
    assert "Not billed 44.00 a month" in said.output
    assert "1 under-billed" in said.output
    again = json.loads(CliRunner().invoke(app, [*march, "--json"]).stdout)
    assert (again["counts"], again["unbilled"]) == ({"under_billed": 1}, "44.00")
    assert [(row["code"], row["expected"], row["actual"]) for row in again["open"]] == [("under_billed", "12", "10")]
    assert VendorStatement.objects.count() == 1
