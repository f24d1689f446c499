"""Run Beancount and hledger, as separate programs, on what was exported."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from counterfoil.adapters import beancount, hledger
from counterfoil.core.books import LedgerExport


@dataclass(frozen=True)
class Verdict:
    """Whether the program accepted the file, and all it said."""

    accepted: bool
    said: str


def program(name: str, how_to_get: str) -> str:
    """The program beside this Python, else on the path. A missing checker fails the test."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        pytest.fail(f"{name} is not installed: {how_to_get}")
    return found


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, encoding="utf-8", check=False, timeout=120)


def write(lines: Iterable[str], path: Path) -> Path:
    """Write the export byte for byte as it was made."""
    path.write_bytes("".join(lines).encode("utf-8"))
    return path


def bean_check(path: Path) -> Verdict:
    done = run(program("bean-check", "pip install beancount"), "-C", str(path))
    return Verdict(done.returncode == 0 and not done.stderr, done.stdout + done.stderr)


def hledger_check(path: Path) -> Verdict:
    done = run(program("hledger", "apt-get install hledger"), "-f", str(path), "check", "-s")
    return Verdict(done.returncode == 0, done.stdout + done.stderr)


def bean_query(path: Path, query: str) -> list[dict[str, str]]:
    done = run(program("bean-query", "pip install beanquery"), "-f", "csv", str(path), query)
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


def beancount_balances(path: Path) -> dict[str, Decimal]:
    """Account name to balance, accounts at zero left out."""
    rows = bean_query(path, "SELECT account, sum(number) AS total GROUP BY account")
    return without_zeros({row["account"].strip(): Decimal(row["total"].strip()) for row in rows})


def hledger_balances(path: Path) -> dict[str, Decimal]:
    """Account name to balance, accounts at zero left out."""
    command = (
        program("hledger", "apt-get install hledger"),
        "-f",
        str(path),
        "bal",
        "--flat",
        "--no-total",
        "-O",
        "csv",
    )
    done = run(*command)
    assert done.returncode == 0, done.stderr
    rows = csv.DictReader(io.StringIO(done.stdout))
    return without_zeros({row["account"]: Decimal(row["balance"].removesuffix(" USD")) for row in rows})


def hledger_descriptions(path: Path, account: str) -> list[str]:
    """Descriptions of the postings to an account, as hledger understood them, by date."""
    command = (program("hledger", "apt-get install hledger"), "-f", str(path), "register", account, "-O", "csv")
    done = run(*command)
    assert done.returncode == 0, done.stderr
    return [row["description"] for row in csv.DictReader(io.StringIO(done.stdout))]


def without_zeros(balances: dict[str, Decimal]) -> dict[str, Decimal]:
    return {name: amount for name, amount in balances.items() if amount}


def export_both(export: LedgerExport, folder: Path) -> tuple[Path, Path]:
    """The ledger as a Beancount file and as an hledger journal. Its entries must be re-readable (a tuple)."""
    return (
        write(beancount.export_lines(export), folder / "ledger.beancount"),
        write(hledger.export_lines(export), folder / "ledger.journal"),
    )
