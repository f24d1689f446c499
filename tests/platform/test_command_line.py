"""The command line as people and scripts use it."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.processes import counterfoil, environment, here
from typer.main import get_command

from counterfoil.cli import app
from counterfoil.platform.database import EmbeddedServer


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder with an owner and My Company, made by ``counterfoil init``; its server stays up meanwhile."""
    folder = tmp_path_factory.mktemp("cli") / "data"
    said = counterfoil(
        folder, "init", "--email", "Ada@Example.com", "--name", "Ada Miller", "--company", "Northwind IT", "--json"
    )
    first = json.loads(said.stdout)
    assert first["owner"] == "ada@example.com"
    assert first["company"] == "Northwind IT"
    assert len(first["password"]) >= 12
    EmbeddedServer(folder / "postgres", durable=False).keep()
    yield folder
    EmbeddedServer(folder / "postgres").stop()


@pytest.fixture
def books(db: None) -> None:
    """The same in the test's own database, for commands that run in this process."""
    here("init", "--email", "ada@example.com", "--name", "Ada Miller", "--company", "Northwind IT")


@pytest.fixture(scope="module")
def unmigrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder where nothing was set up."""
    return tmp_path_factory.mktemp("cli") / "new"


def test_init_again_changes_nothing(data: Path) -> None:
    again = json.loads(counterfoil(data, "init", "--email", "ada@example.com", "--company", "Other", "--json").stdout)
    assert again == {"owner": "ada@example.com", "password": None, "company": "Northwind IT"}


def test_there_is_one_owner_to_begin_with(data: Path) -> None:
    refused = counterfoil(data, "init", "--email", "eve@example.com", check=False)
    assert refused.returncode == 1
    assert "owner already" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_password_may_come_from_standard_input(tmp_path: Path) -> None:
    weak = counterfoil(tmp_path, "init", "--email", "a@example.com", "--password-stdin", sent="short\n", check=False)
    assert weak.returncode == 1
    assert "password" in weak.stderr
    said = counterfoil(tmp_path, "init", "--email", "a@example.com", "--password-stdin", sent="correct horse battery\n")
    assert "correct horse" not in said.stdout + said.stderr


def test_verify_holds_and_reports_are_made(data: Path, books: None, tmp_path: Path) -> None:
    checks = json.loads(counterfoil(data, "verify", "--json").stdout)
    assert checks["ok"] is True
    assert len(checks["checks"]) > 5
    table = json.loads(here("report", "trial-balance", "--as-of", "2026-01-31", "--json").stdout)
    assert table["report"] == "trial-balance"
    names = {report["name"] for report in json.loads(here("report", "--json").stdout)}
    assert names >= {
        "trial-balance", "profit-and-loss", "balance-sheet", "general-ledger", "inventory-valuation", "fixed-assets",
        "unposted", "receivables",
    }  # fmt: skip
    here("report", "unposted", "--csv", str(tmp_path / "u.csv"), "--xlsx", str(tmp_path / "u.xlsx"))
    assert (tmp_path / "u.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert (tmp_path / "u.xlsx").read_bytes().startswith(b"PK")


def test_the_ledger_is_exported(data: Path, books: None, tmp_path: Path) -> None:
    file = tmp_path / "ledger.beancount"
    counterfoil(data, "export", "ledger", "beancount", "--through", "2026-12-31", "--out", str(file))
    assert file.read_text().startswith('option "title" "Northwind IT"')
    assert counterfoil(data, "export", "ledger", "hledger").stdout.startswith("; Northwind IT")
    refused = here("export", "batch", "BAT-0001", "--out", str(tmp_path), check=False)
    assert (refused.returncode, list(tmp_path.glob("*.iif"))) == (1, [])
    assert "There is no batch BAT-0001" in refused.stderr


def test_refusals_are_words_for_people_and_json_for_programs(books: None) -> None:
    refused = here("report", "no-such-report", check=False)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith("Error (not_found)")
    assert "What to do: Try trial-balance" in refused.stderr
    refused = here("report", "no-such-report", "--json", check=False)
    assert refused.returncode == 1
    body = json.loads(refused.stderr)
    assert body["code"] == "not_found"
    assert set(body) >= {"code", "message", "field", "hint"}


def test_companies_come_in_from_csv(books: None, tmp_path: Path) -> None:
    columns = {column["name"] for column in json.loads(here("import", "companies", "--json").stdout)}
    assert {"identifier", "name"} <= columns
    file = tmp_path / "companies.csv"
    file.write_text("identifier,name,kind\nAcme,Acme Corp,customer\n")
    preview = json.loads(here("import", "companies", str(file), "--preview", "--json").stdout)
    assert [row["deed"] for row in preview["rows"]] == ["create"]
    assert json.loads(here("import", "companies", str(file), "--json").stdout)["created"] == 1
    assert json.loads(here("import", "companies", str(file), "--json").stdout)["unchanged"] == 1
    file.write_text("identifier,name,kind\nBeta,Beta Corp,customer\nGamma,,nonsense\n")
    refused = here("import", "companies", str(file), "--json", check=False)
    assert refused.returncode == 1
    assert json.loads(refused.stderr)["code"] == "import_rows_invalid"
    again = json.loads(here("import", "companies", str(file), "--preview", "--json", check=False).stdout)
    assert [row["deed"] for row in again["rows"] if row["identifier"] == "Beta"] != ["unchanged"], (
        "none of them came in"
    )


def test_who_acts_must_be_somebody(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "companies.csv"
    file.write_text("identifier,name,kind\nDelta,Delta Corp,customer\n")
    refused = counterfoil(data, "import", "companies", str(file), "--as", "nobody@example.com", check=False)
    assert refused.returncode == 1
    assert "nobody@example.com" in refused.stderr
    refused = counterfoil(data, "import", "companies", str(file), check=False, COUNTERFOIL_USER="nobody@example.com")
    assert refused.returncode == 1


def test_doctor_finds_all_well(data: Path) -> None:
    findings = json.loads(counterfoil(data, "doctor", "--json").stdout)
    assert findings["ok"] is True
    health = {finding["check"]: finding["health"] for finding in findings["findings"]}
    wanted = ("python", "packages", "data folder", "disk", "secret key", "database", "clock", "migrations", "backup")
    assert {health[check] for check in wanted} == {"ok"}


def test_doctor_says_how_to_mend(data: Path) -> None:
    key = data / "secret-key"
    key.chmod(0o644)
    try:
        broken = counterfoil(data, "doctor", check=False)
    finally:
        key.chmod(0o600)
    assert broken.returncode == 1
    assert "BROKEN  secret key" in broken.stdout
    assert f"chmod 600 {key}" in broken.stdout
    assert "Traceback" not in broken.stdout + broken.stderr


def test_doctor_names_missing_migrations(unmigrated: Path) -> None:
    broken = counterfoil(unmigrated, "doctor", "--json", check=False)
    assert broken.returncode == 1
    found = {finding["check"]: finding for finding in json.loads(broken.stdout)["findings"]}
    assert found["migrations"]["health"] == "broken"
    assert "counterfoil db migrate" in found["migrations"]["mend"]


def test_a_database_that_is_not_ready_says_so(unmigrated: Path) -> None:
    refused = counterfoil(unmigrated, "verify", check=False)
    assert refused.returncode == 1
    assert "not ready" in refused.stderr
    assert "counterfoil db migrate" in refused.stderr


def test_a_database_that_does_not_answer_says_so(tmp_path: Path) -> None:
    nowhere = "postgresql://ada:s3cret@127.0.0.1:9/books"
    for command in (["verify"], ["doctor"], ["backup", str(tmp_path / "b")]):
        refused = counterfoil(tmp_path, *command, check=False, DATABASE_URL=nowhere)
        said = refused.stdout + refused.stderr
        assert refused.returncode == 1, command
        assert "does not answer" in said, command
        assert "s3cret" not in said
        assert "Traceback" not in said


@pytest.mark.slow
def test_backup_and_restore_give_the_same_reports(data: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    file = tmp_path / "books.cfbackup"
    counterfoil(data, "backup", str(file))
    refused = counterfoil(data, "restore", str(file), check=False)
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    other = tmp_path / "other"
    counterfoil(other, "restore", str(file))
    server = EmbeddedServer(other / "postgres", durable=False)
    server.keep()
    request.addfinalizer(server.stop)
    for report in ("trial-balance", "general-ledger", "receivables"):
        ask = ("report", report, "--json")
        assert counterfoil(other, *ask).stdout == counterfoil(data, *ask).stdout
    assert json.loads(counterfoil(other, "verify", "--json").stdout)["ok"] is True
    assert (other / "secret-key").read_text() != (data / "secret-key").read_text()


def test_the_worker_does_what_waits(data: Path) -> None:
    assert "Working" in counterfoil(data, "worker", "--once").stdout


def test_the_database_is_looked_after(tmp_path: Path) -> None:
    data = tmp_path / "data"

    def state() -> dict[str, str]:
        return dict(json.loads(counterfoil(data, "db", "status", "--json").stdout))

    assert "migrations" in counterfoil(data, "db", "migrate").stdout
    assert "up to date" in counterfoil(data, "db", "migrate").stdout
    assert state()["running"] == "no", "nothing runs between commands"
    counterfoil(data, "db", "start")
    assert state()["stays up"] == "yes"
    assert "Stopped" in counterfoil(data, "db", "stop").stdout
    assert state()["running"] == "no"


def test_serving_the_network_in_the_clear_is_refused(data: Path) -> None:
    refused = counterfoil(data, "serve", "--host", "0.0.0.0", check=False)
    assert refused.returncode == 1
    assert "in the clear" in refused.stderr


def commands() -> list[list[str]]:
    found = []

    def walk(command: object, path: list[str]) -> None:
        children = getattr(command, "commands", {})
        if path and not children:
            found.append(path)
        for name, child in children.items():
            if not child.hidden:
                walk(child, [*path, name])

    walk(get_command(app), [])
    return found


def test_all_commands_are_there() -> None:
    assert {path[0] for path in commands()} >= {
        "init", "demo", "serve", "worker", "import", "report", "export", "verify", "doctor", "backup", "restore", "db",
    }  # fmt: skip


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_has_help_with_examples(path: list[str]) -> None:
    from typer.testing import CliRunner

    said = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200"})
    assert said.exit_code == 0
    if path[0] != "db":
        assert f"counterfoil {' '.join(path)}" in re.sub(r"\s+", " ", said.stdout.split("Usage:")[1]), said.stdout
        assert "Examples" in said.stdout


def test_help_is_quick_and_touches_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "counterfoil", "--help"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(command, env=environment(tmp_path / "data"), capture_output=True, text=True, check=True)
    took = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    for heavy in ("django", "psycopg", "granian", "ninja"):
        assert not re.search(rf"\|\s+{heavy}$", done.stderr, re.MULTILINE), f"--help imports {heavy}"
    assert took < 2, "seconds of processor; a quarter of one on an idle machine"
    assert not (tmp_path / "data").exists()
