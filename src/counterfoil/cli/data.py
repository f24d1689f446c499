"""``backup``, ``restore`` and ``db``."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from counterfoil.cli.output import Json, examples, print_json, say

if TYPE_CHECKING:
    from counterfoil.platform.database import EmbeddedServer

db = typer.Typer(help="Look after the database.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(epilog=examples("counterfoil backup books-2026-11-21.cfbackup"))(backup)
    app.command(
        epilog=examples(
            "counterfoil restore books-2026-11-21.cfbackup",
            "counterfoil restore --force books-2026-11-21.cfbackup",
            "COUNTERFOIL_DATA=/srv/copy counterfoil restore books-2026-11-21.cfbackup",
        )
    )(restore)
    app.add_typer(db, name="db")


def backup(
    file: Annotated[Path, typer.Argument(help="File to write; an older one is replaced when the new one is whole.")],
    json: Json = False,
) -> None:
    """Write the whole database into one file, while others go on working.

    The secret key is not in it: a backup can be handed on without handing on the power to sign in as somebody.
    """
    from counterfoil.platform import config
    from counterfoil.platform.backup import back_up

    manifest = back_up(config.current(), file.absolute(), now=datetime.now(UTC))
    if json:
        print_json({"file": str(file), "bytes": file.stat().st_size, **asdict(manifest)})
    else:
        say(f"Backed up to {file} ({file.stat().st_size / 1_000_000:,.1f} MB).")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that 'counterfoil backup' wrote.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a database that is not empty.")] = False,
    json: Json = False,
) -> None:
    """Replace the database by the one in a backup.

    It is loaded beside the present database and takes its place at the very end: if anything fails, nothing changes.
    """
    from counterfoil.cli.django import set_up
    from counterfoil.platform import config
    from counterfoil.platform.backup import restore as restore_backup

    set_up(migrated=False)
    from counterfoil.platform.database.migrations import known_migrations, migrate, pending_migrations

    manifest = restore_backup(
        config.current(), file, force=force, now=datetime.now(UTC), known_migrations=known_migrations
    )
    if pending_migrations():
        migrate()
    if json:
        print_json({"file": str(file), **asdict(manifest)})
    else:
        say(f"Restored the books as they were on {manifest.created_at}.")


@db.command()
def status(json: Json = False) -> None:
    """Say where the database is and whether it runs; starts nothing."""
    from counterfoil.platform import config
    from counterfoil.platform.database import EmbeddedServer

    if config.current().database_url is not None:
        state = {"kind": "external", "from": "DATABASE_URL"}
    else:
        server = EmbeddedServer.current()
        running = server.running()
        state = {"kind": "embedded", "folder": str(server.folder), "running": "yes" if running else "no"}
        if running:
            state |= {"pid": str(running.pid), "socket": str(running.socket_dir)}
            state["stays up"] = "yes" if server.kept() else "until the last command ends"
    if json:
        print_json(state)
    else:
        say(*(f"{key}: {value}" for key, value in state.items()))


@db.command()
def start() -> None:
    """Start the embedded database and let it stay up, until 'db stop'."""
    server = _embedded()
    server.keep()
    say(f"The database runs in {server.folder} and stays up. 'counterfoil db stop' ends it.")


@db.command()
def stop() -> None:
    """Stop the embedded database, whoever uses it."""
    say("Stopped." if _embedded().stop() else "It was not running.")


@db.command()
def migrate() -> None:
    """Bring the database to the shape that this version needs."""
    from counterfoil.cli.django import set_up

    set_up(migrated=False)
    from counterfoil.platform.database.migrations import migrate as run
    from counterfoil.platform.database.migrations import pending_migrations

    pending = pending_migrations()
    if pending:
        run()
    say(f"Ran {len(pending)} migrations." if pending else "The database is up to date.")


@db.command()
def shell() -> None:
    """Open psql on the database."""
    import subprocess

    from counterfoil.platform import config
    from counterfoil.platform.database.client import Address

    address = Address.of(config.current())
    raise typer.Exit(subprocess.run(address.program("psql"), env=address.environment(), check=False).returncode)


def _embedded() -> EmbeddedServer:
    from counterfoil.platform import config
    from counterfoil.platform.database import EmbeddedServer

    if config.current().database_url is not None:
        raise config.ConfigError("DATABASE_URL is set: the database is yours to start and stop.")
    return EmbeddedServer.current()
