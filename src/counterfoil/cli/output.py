"""What commands print: tables and sentences for people, JSON for machines, refusals on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer

from counterfoil.core.errors import DomainError
from counterfoil.platform.config import ConfigError


class _Wanted:
    """Whether this run prints JSON, refusals included."""

    json = False


def _want_json(value: bool) -> bool:
    _Wanted.json = value
    return value


Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.", callback=_want_json, is_eager=True)]


def examples(*lines: str) -> str:
    """The examples at the end of a command's help."""
    return "[bold]Examples[/bold]\n\n" + "\n\n".join(f"[cyan]$[/cyan] {line}" for line in lines)


def print_json(value: Any) -> None:
    """Write ``value`` as JSON; Decimals and dates become text, so no cent is lost on the way."""
    json.dump(value, sys.stdout, indent=2, default=str, ensure_ascii=False)
    sys.stdout.write("\n")


def say(*lines: str) -> None:
    """Tell the person what happened."""
    for line in lines:
        typer.echo(line)


def print_table(title: str, columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> None:
    """A table with ``columns`` of (heading, ``"left"`` or ``"right"``)."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for heading, justify in columns:
        table.add_column(heading, justify="right" if justify == "right" else "left", no_wrap=justify == "right")
    for row in rows:
        table.add_row(*row)
    # Into a pipe or a file the table keeps its width: nothing is cut off.
    Console(width=None if sys.stdout.isatty() else 160, highlight=False).print(table)


def complain(error: Exception) -> bool:
    """Print a refusal to stderr; says whether it was one (anything else is a bug and keeps its traceback)."""
    body = _refusal(error)
    if body is None:
        return False
    if _Wanted.json:
        typer.echo(json.dumps(body, ensure_ascii=False, default=str), err=True)
        return True
    where = f" [{body['field']}]" if body.get("field") else ""
    typer.echo(f"Error ({body['code']}){where}: {body['message']}", err=True)
    for detail in body.get("details") or ():
        typer.echo("  - " + ", ".join(f"{key} {value}" for key, value in detail.items()), err=True)
    if body.get("hint"):
        typer.echo(f"What to do: {body['hint']}", err=True)
    return True


def _refusal(error: Exception) -> dict[str, Any] | None:
    if isinstance(error, DomainError):
        return error.as_dict()
    if isinstance(error, ConfigError):
        return {"code": error.code, "message": error.message, "field": None, "hint": error.hint}
    if type(error).__module__.startswith(("django.db", "psycopg")) and type(error).__name__ == "OperationalError":
        return {
            "code": "database_unavailable",
            "message": f"The database does not answer: {str(error).strip()}",
            "field": None,
            "hint": "Run 'counterfoil doctor'; with DATABASE_URL, check its address, its password and that it is up.",
        }
    return None
