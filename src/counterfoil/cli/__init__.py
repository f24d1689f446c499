"""The command line, ``counterfoil ...``: thin, calls commands and queries, prints.

Importing this package imports typer and nothing heavy: Django comes in when a command runs, so help is instant.
"""

from __future__ import annotations

import os
import sys

import typer

from counterfoil.cli import (
    billing,
    books,
    data,
    demo,
    development,
    exports,
    imports,
    matching,
    reconcile,
    running,
    setup,
    verify,
)
from counterfoil.cli.output import complain

app = typer.Typer(
    name="counterfoil",
    help="Quote-to-cash for managed service providers: one thread from the signed quote to the journal entry.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

setup.register(app)
demo.register(app)
running.register(app)
imports.register(app)
reconcile.register(app)
billing.register(app)
matching.register(app)
books.register(app)
verify.register(app)
exports.register(app)
data.register(app)
development.register(app)


@app.callback(invoke_without_command=True)
def _root(
    version: bool = typer.Option(False, "--version", help="Print the version and stop.", is_eager=True),
) -> None:
    if version:
        from counterfoil import __version__

        typer.echo(f"counterfoil {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point: refusals in words and exit code 1, never a traceback for what a user can mend."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("COUNTERFOIL_TRACEBACK") == "1" or not complain(error):
            raise
        sys.exit(1)
