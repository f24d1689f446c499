"""``serve`` and ``worker``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from counterfoil.cli.output import examples, say

if TYPE_CHECKING:
    from counterfoil.platform.server import Listen

Host = Annotated[str, typer.Option(help="Address to listen on; other machines reach it only if it is not loopback.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Worker processes; one for each core is a good start.")]
Jobs = Annotated[
    int, typer.Option(min=0, max=64, help="Processes that do background jobs beside it; 0: workers run elsewhere.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(
        epilog=examples(
            "counterfoil serve",
            "counterfoil serve --host 0.0.0.0 --port 443 --tls-cert cert.pem --tls-key key.pem",
            "COUNTERFOIL_ORIGIN=https://books.example.com counterfoil serve --behind-proxy --workers 2",
        )
    )(serve)
    app.command(epilog=examples("counterfoil worker", "counterfoil worker --concurrency 4 --once"))(worker)


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Workers = 2,
    jobs: Jobs = 1,
    tls_cert: Annotated[Path | None, typer.Option(help="TLS certificate (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    behind_proxy: Annotated[bool, typer.Option("--behind-proxy", help="A proxy in front does TLS.")] = False,
) -> None:
    """Serve the pages and the API, with a worker for background jobs beside it.

    The embedded database is brought up to date first; for a database of yours, missing migrations are named instead.
    """
    from counterfoil.platform import server

    listen = server.Listen(host, port, workers, tls_cert, tls_key, behind_proxy)
    listen.check()
    announce(listen)
    prepare()
    say(f"Counterfoil is served at {listen.url}   (Ctrl-C stops it)")
    serve_with_jobs(listen, jobs)


def serve_with_jobs(listen: Listen, jobs: int) -> None:
    """Serve until a signal ends it, with workers beside it."""
    from counterfoil.platform import server
    from counterfoil.platform.jobs import workers_beside

    with workers_beside(jobs):
        server.run(listen)


def announce(listen: Listen) -> None:
    """Tell the settings, before they are read, how they will be served."""
    from counterfoil.platform import config, server

    os.environ.update(server.environment(listen))
    config.current.cache_clear()


def prepare() -> None:
    """Make everything ready for the workers, and leave this process without open database connections."""
    from counterfoil.cli.django import set_up
    from counterfoil.platform import config

    embedded = config.current().database_url is None
    set_up(migrated=not embedded)

    from django.db import connections
    from django.urls import get_resolver

    from counterfoil.platform.database.migrations import migrate, pending_migrations
    from counterfoil.platform.static_files import collect

    if embedded and pending_migrations():
        say("Bringing the database up to date ...")
        migrate()
    collect()
    # Workers are forked from here: what is loaded now they share, and a broken page keeps the server from starting.
    _ = get_resolver().url_patterns
    for connection in connections.all():
        # A connection, or a pool's threads, would not survive the fork.
        connection.close()
        if hasattr(connection, "close_pool"):
            connection.close_pool()


def worker(
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Jobs done at the same time.")] = 1,
    once: Annotated[bool, typer.Option("--once", help="Do the jobs that wait, then stop.")] = False,
) -> None:
    """Do background jobs. Any number of workers may run, on any number of machines."""
    from counterfoil.cli.django import set_up

    set_up()
    from counterfoil.platform.jobs import end_with_server, work

    end_with_server()
    say("Working on jobs." if once else "Waiting for jobs.   (Ctrl-C stops it)")
    work(concurrency=concurrency, wait=not once)
