"""``export``: the ledger for other people's programs, batches for QuickBooks Desktop."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from counterfoil.cli.django import ActingUser
from counterfoil.cli.output import Json, examples, print_json, say

if TYPE_CHECKING:
    from counterfoil.accounting.models import Batch, BatchExport

exports = typer.Typer(
    help="Write the ledger for Beancount or hledger, or a batch for QuickBooks Desktop.", no_args_is_help=True
)

Number = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's number, such as BAT-0001.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    exports.command(
        epilog=examples(
            "counterfoil export ledger beancount --out ledger.beancount",
            "counterfoil export ledger hledger --through 2026-12-31 --out ledger.journal",
        )
    )(ledger)
    exports.command(
        epilog=examples("counterfoil export batch BAT-0001", "counterfoil export batch BAT-0001 --out /tmp")
    )(batch)
    exports.command(epilog=examples("counterfoil export confirm BAT-0001"))(confirm)
    exports.command("not-imported", epilog=examples("counterfoil export not-imported BAT-0001"))(not_imported)
    app.add_typer(exports, name="export")


def ledger(
    format: Annotated[str, typer.Argument(help="beancount or hledger.")],
    through: Annotated[str | None, typer.Option(metavar="DATE", help="Last day; today if left out.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to; without: standard output.")] = None,
) -> None:
    """Write every posted entry, with the balances that the sub-ledgers say the accounts must have."""
    from counterfoil.cli.django import set_up, today

    set_up()
    from counterfoil.accounting.exports import write_ledger
    from counterfoil.core.errors import DomainError
    from counterfoil.platform.config import ConfigError
    from counterfoil.platform.database.snapshot import snapshot

    try:
        last = _date(through) if through else today()
    except ValueError:
        raise DomainError("invalid", f"“{through}” is not a date.", field="through", hint="Write 2026-12-31.") from None
    with snapshot():
        lines = write_ledger(format, through=last)
        if out is None:
            for line in lines:
                typer.echo(line, nl=False)
            return
        try:
            with out.open("w", encoding="utf-8", newline="") as file:
                file.writelines(lines)
        except OSError as error:
            raise ConfigError(f"{out} cannot be written: {error.strerror}.") from error
    typer.echo(f"Wrote {out}", err=True)


def _date(text: str) -> date:
    return date.fromisoformat(text)


def batch(
    number: Number,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the file goes.")] = Path(),
    acting_user: ActingUser = None,
    json: Json = False,
) -> None:
    """Write the QuickBooks Desktop file (IIF) of a transferred batch.

    QuickBooks Desktop imports a file twice without a word. So it is given out once; say then whether it was imported
    (confirm) or not (not-imported, after which the same file can be had again).
    """
    from counterfoil.cli.django import acting, set_up

    set_up()
    from counterfoil.accounting.commands import export_batch_iif
    from counterfoil.platform.config import ConfigError

    if not out.is_dir():
        raise ConfigError(f"{out} is no folder.", "Name one that is there with --out.")
    export = export_batch_iif(actor=acting(acting_user), batch_id=_batch(number).pk)
    file = out / export.filename
    try:
        file.write_bytes(bytes(export.content))
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be written: {error.strerror}.",
            f"Run 'counterfoil export not-imported {number}', then export it again.",
        ) from error
    _told(export, json=json, also=str(file))


def confirm(number: Number, acting_user: ActingUser = None, json: Json = False) -> None:
    """Say that the file of a batch was imported; it is not given out again."""
    from counterfoil.cli.django import acting, set_up

    set_up()
    from counterfoil.accounting.commands import confirm_export

    _told(confirm_export(actor=acting(acting_user), batch_id=_batch(number).pk), json=json)


def not_imported(number: Number, acting_user: ActingUser = None, json: Json = False) -> None:
    """Say that the file of a batch was not imported, so that it can be had again, byte for byte."""
    from counterfoil.cli.django import acting, set_up

    set_up()
    from counterfoil.accounting.commands import mark_not_imported

    _told(mark_not_imported(actor=acting(acting_user), batch_id=_batch(number).pk), json=json)


def _batch(number: str) -> Batch:
    from counterfoil.accounting.queries import batches
    from counterfoil.core.errors import DomainError

    found = batches().filter(number__iexact=number).first()
    if found is None:
        raise DomainError("not_found", f"There is no batch {number}.", field="batch")
    return found


def _told(export: BatchExport, *, json: bool, also: str = "") -> None:
    if json:
        print_json({"file": also or export.filename, "sha256": export.sha256, "status": export.status})
    else:
        say(f"{also or export.filename}: {export.get_status_display().lower()}")
