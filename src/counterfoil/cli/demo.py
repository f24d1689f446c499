"""``demo``: an MSP with its whole story, in a data folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from counterfoil.cli.output import Json, examples, print_json, say
from counterfoil.cli.running import Host, Jobs, Port, Workers, announce, prepare, serve_with_jobs


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(
        epilog=examples("counterfoil demo", "counterfoil demo --port 8080", "counterfoil demo --no-serve --json")
    )(demo)


def demo(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Workers = 2,
    jobs: Jobs = 1,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Load it and stop.")] = False,
    password: Annotated[
        str | None,
        typer.Option(help="Password of the demo's people (default: made up, and shown).", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Load the demo MSP, run its leases from quote to depreciation, and serve it.

    It lives in a data folder of its own, beside yours. Loaded once, it is only served; delete the folder to start
    afresh.
    """
    use_demo_folder()
    from counterfoil.platform import config, server

    if no_serve:
        loaded = _load(password, quiet=json)
        if json:
            print_json(loaded | {"data_folder": str(config.current().data_dir)})
        else:
            _tell(loaded)
        return
    listen = server.Listen(host, port, workers)
    listen.check()
    _load_apart(password, json=json)
    announce(listen)
    prepare()
    if not json:
        say(f"Counterfoil is served at {listen.url}   (Ctrl-C stops it)")
    serve_with_jobs(listen, jobs)


def _load_apart(password: str | None, *, json: bool) -> None:
    """Load it in a process of its own, and let it tell.

    The story makes PDFs. The threads that set them would not survive the fork of the web server's workers: each of
    these would wait for ever at its first PDF.
    """
    wanted = [*(["--json"] if json else []), *([f"--password={password}"] if password else [])]
    done = subprocess.run([sys.executable, "-m", "counterfoil", "demo", "--no-serve", *wanted], check=False)
    if done.returncode:
        raise typer.Exit(done.returncode)


def use_demo_folder() -> None:
    """Use ``<data folder>-demo``, unless ``COUNTERFOIL_DATA`` names a folder or ``DATABASE_URL`` a database."""
    from counterfoil.platform import config

    if "COUNTERFOIL_DATA" not in os.environ:
        own = config.data_folder(os.environ)
        os.environ["COUNTERFOIL_DATA"] = str(own.with_name(own.name + "-demo"))
        config.current.cache_clear()


def _load(password: str | None, *, quiet: bool) -> dict[str, object]:
    import secrets
    from datetime import UTC, datetime

    from counterfoil.cli.django import set_up, today

    set_up(migrated=False)
    from django.db import transaction

    from counterfoil.flows import demo as story
    from counterfoil.platform.database.migrations import migrate, pending_migrations

    if pending_migrations():
        if not quiet:
            say("Making the database ...")
        migrate()
    if story.is_loaded():
        return {"loaded": False, "password": password_note(), **asdict(story.summary(today()))}
    chosen = password or secrets.token_urlsafe(9)
    progress = (lambda _: None) if quiet else say
    with transaction.atomic():  # all of it or nothing: a demo that was interrupted starts from an empty database again
        summary = story.load_demo(on=today(), now=datetime.now(UTC), password=chosen, progress=progress)
        keep_password(chosen)
    return {"loaded": True, "password": chosen, **asdict(summary)}


def keep_password(password: str) -> None:
    """Keep the demo's password in its data folder, for its owner alone, so that a second run can show it again."""
    from counterfoil.platform import config

    path = config.current().data_dir / "demo-password"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(password + "\n")


def password_note() -> str | None:
    """The password kept by :func:`keep_password`."""
    from counterfoil.platform import config

    path = config.current().data_dir / "demo-password"
    return path.read_text().strip() if path.exists() else None


def _tell(loaded: dict[str, object]) -> None:
    made = ("companies", "products", "agreements", "sales_orders", "purchase_orders", "invoices", "journal_entries")
    say("", f"{loaded['company']}: " + ", ".join(f"{loaded[key]} {key.replace('_', ' ')}" for key in made))
    say(f"Sign in as {loaded['sign_in']}", f"Password:  {loaded['password'] or 'as you chose it'}", "")
