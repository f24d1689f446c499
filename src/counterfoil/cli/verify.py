"""``verify``: the books as a whole, and the legal record of an accepted quote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from counterfoil.cli.books import verify as verify_books
from counterfoil.cli.output import Json, examples, print_json, say

if TYPE_CHECKING:
    from counterfoil.quotes.models import Acceptance


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(invoke_without_command=True)
    group.callback(
        epilog=examples("counterfoil verify", "counterfoil verify --json", "counterfoil verify quote Q-1042"),
        help=verify_books.__doc__,
    )(_books)
    group.command(
        epilog=examples(
            "counterfoil verify quote Q-1042",
            "counterfoil verify quote Q-1042 --save ./evidence",
            "counterfoil verify quote Q-1042 --file Q-1042-accepted.pdf",
        )
    )(quote)
    app.add_typer(group, name="verify")


def _books(context: typer.Context, json: Json = False) -> None:
    if context.invoked_subcommand is None:
        verify_books(json=json)


def quote(
    number: Annotated[str, typer.Argument(help="Number of an accepted quote.")],
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="A PDF or record to compare with what is kept.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FOLDER", help="Write PDF, record and certificate there.")
    ] = None,
    json: Json = False,
) -> None:
    """Check the acceptance of a quote: record, signed PDF, certificate, audit trail. Ends with 1 if broken."""
    from counterfoil.cli.django import set_up

    set_up()
    from counterfoil.quotes.verification import Check, acceptance_of, identify_file, verify_acceptance

    made = acceptance_of(number)
    found = verify_acceptance(made)
    checks = list(found.checks)
    if file is not None:
        brought = identify_file(_read(file))
        same = brought.known and brought.verification is not None and brought.verification.title == found.title
        other = brought.verification.title if brought.known and brought.verification and not same else ""
        checks.append(Check(str(file), same, f"It is of another quote, {other}." if other else brought.says))
    if save is not None:
        _save(made, save)
    ok = all(check.ok for check in checks)
    if json:
        rows = [{"what": check.what, "ok": check.ok, "says": check.says} for check in checks]
        kept = {"record_sha256": found.record_sha256, "pdf_sha256": found.pdf_sha256, "audit_entry": found.audit_entry}
        print_json({"ok": ok, "quote": found.title, "accepted_by": found.accepted_by, **kept, "checks": rows})
    else:
        say(f"{found.title}, accepted by {found.accepted_by} on {found.accepted_at:%Y-%m-%d %H:%M:%S} UTC", "")
        for check in checks:
            say(f"{'ok   ' if check.ok else 'WRONG'}  {check.what}: {check.says}")
        say("", "Genuine and unchanged." if ok else "It does not hold.")
    if not ok:
        raise typer.Exit(1)


def _read(file: Path) -> bytes:
    from counterfoil.platform.config import ConfigError

    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from error


def _save(made: Acceptance, folder: Path) -> None:
    from counterfoil.platform import signing
    from counterfoil.platform.config import ConfigError

    number = made.version.quote.number
    parts = {f"{number}-accepted.pdf": bytes(made.pdf), f"{number}-record.json": bytes(made.record)}
    certificate = signing.certificate_of(bytes(made.pdf))
    if certificate:
        parts["certificate.pem"] = certificate
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in parts.items():
            (folder / name).write_bytes(content)
            typer.echo(f"Wrote {folder / name}", err=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written to: {error.strerror}.") from error
