"""Running Counterfoil as its users do: in a process of its own, with a data folder of its own.

A process takes more than a second to start. Where it adds nothing to what is tested, commands run :func:`here`.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

from counterfoil import cli

ROOT = Path(__file__).resolve().parent.parent


def environment(data: Path, **extra: str) -> dict[str, str]:
    """The environment of a process with the data folder ``data`` and an embedded database that need not last."""
    ours = ("COUNTERFOIL_", "DATABASE_URL", "PYTEST_")
    keep = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return keep | {
        "COUNTERFOIL_DATA": str(data),
        "COUNTERFOIL_THROWAWAY_DATABASE": "1",
        "DJANGO_SETTINGS_MODULE": "counterfoil.conf.settings",
        "PYTHONPATH": str(ROOT),
        **extra,
    }


def counterfoil(
    data: Path, *args: str, sent: str | None = None, check: bool = True, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run ``counterfoil ARGS``; with ``check`` it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "counterfoil", *args],
        env=environment(data, **extra),
        input=sent if sent is not None else "",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


def here(*args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run ``counterfoil ARGS`` in this process, on the test's own database, as the entry point of the program does."""
    said, complained, code = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(said), redirect_stderr(complained), mock.patch.object(sys, "argv", ["counterfoil", *args]):
        try:
            cli.main()
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(left.code is not None)
    if check:
        assert code == 0, said.getvalue() + complained.getvalue()
    return subprocess.CompletedProcess(list(args), code, said.getvalue(), complained.getvalue())
