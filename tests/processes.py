"""Running Counterfoil as its users do: in a process of its own, with a data folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
