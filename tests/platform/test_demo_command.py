"""``counterfoil demo``: what it does before it serves."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.platform.test_server import free_port
from typer.testing import CliRunner

from counterfoil.cli import app, demo


@pytest.mark.parametrize("code", [0, 1])
def test_the_process_that_forks_the_web_servers_workers_has_made_no_pdf(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers forked from a process that had set one waited for ever at their first: at an acceptance, say."""
    done: list[str] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        done.append(" ".join(command[1:]))
        return subprocess.CompletedProcess(command, code)

    monkeypatch.setenv("COUNTERFOIL_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(demo, "_load", lambda *_, **__: pytest.fail("loaded here"))
    monkeypatch.setattr(demo, "announce", lambda _: None)
    monkeypatch.setattr(demo, "prepare", lambda: done.append("ready"))
    monkeypatch.setattr(demo, "serve_with_jobs", lambda *_: done.append("served"))
    result = CliRunner().invoke(app, ["demo", "--port", str(free_port()), "--password", "correct horse battery"])
    loaded = "-m counterfoil demo --no-serve --password=correct horse battery"
    assert done == ([loaded, "ready", "served"] if code == 0 else [loaded])
    assert result.exit_code == code
