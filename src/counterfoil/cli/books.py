"""``report``, and what ``verify`` does with the books."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from counterfoil.cli.output import Json, examples, print_json, print_table, say

if TYPE_CHECKING:
    from counterfoil.accounting.reports import Report
    from counterfoil.accounting.tables import Row, Table

REPORT_NAMES = (
    "trial-balance, profit-and-loss, balance-sheet, general-ledger, inventory-valuation, fixed-assets, "
    "depreciation-schedules, unposted, receivables, sales-tax, agreement-profit, work-value"
)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(
        epilog=examples(
            "counterfoil report",
            "counterfoil report trial-balance --as-of 2026-12-31",
            "counterfoil report profit-and-loss --from 2026-01-01 --to 2026-12-31 --xlsx profit.xlsx",
            "counterfoil report general-ledger --set account=1500 --json",
        )
    )(report)


def report(
    name: Annotated[str | None, typer.Argument(help=f"Which one: {REPORT_NAMES}. Without: list them.")] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="DATE", help="At the end of this day.")] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="DATE", help="First day of the period.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last day of the period.")] = None,
    more: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A further parameter of the report.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it as CSV.")] = None,
    xlsx: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it as an Excel workbook.")] = None,
    json: Json = False,
) -> None:
    """Make a report: on the screen, as JSON, CSV or Excel. Dates are written 2026-01-31; today if left out."""
    from counterfoil.cli.django import set_up, today

    set_up()
    from counterfoil.accounting.reports import REPORTS, run
    from counterfoil.accounting.tables import as_dict, to_csv, to_xlsx

    if name is None:
        _list(list(REPORTS.values()), json=json)
        return
    named = {"as_of": as_of, "from": first, "to": last}
    parameters = {key: value for key, value in named.items() if value is not None} | _pairs(more or [])
    table = run(name, parameters, on=today())
    for file, write in ((csv, to_csv), (xlsx, to_xlsx)):
        if file is not None:
            _write(file, write(table))
    if json:
        print_json(as_dict(table))
    elif csv is None and xlsx is None:
        _show(table)


def _pairs(given: list[str]) -> dict[str, str]:
    from counterfoil.core.errors import DomainError

    pairs = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise DomainError("invalid", f"{text!r} is no NAME=VALUE.", field="set", hint="For example account=1500")
        pairs[name] = value
    return pairs


def _write(file: Path, content: bytes) -> None:
    from counterfoil.platform.config import ConfigError

    try:
        file.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}.") from error
    typer.echo(f"Wrote {file}", err=True)


def _list(reports: list[Report], *, json: bool) -> None:
    if json:
        print_json(
            [
                {
                    "name": r.name,
                    "title": r.title,
                    "description": r.description,
                    "parameters": [p.name for p in r.parameters],
                }
                for r in reports
            ]
        )
        return
    columns = [("Report", "left"), ("What it shows", "left"), ("Asks for", "left")]
    rows = [(r.name, r.description, ", ".join(p.name for p in r.parameters)) for r in reports]
    print_table("Reports", columns, rows)


def _show(table: Table) -> None:
    from counterfoil.accounting.tables import in_words

    kinds = [column.kind for column in table.columns]
    columns = [(column.label, "right" if column.is_number else "left") for column in table.columns]

    def words(row: Row) -> list[str]:
        cells = [in_words(cell, kind) for cell, kind in zip(row.cells, kinds, strict=True)]
        return [f"[bold]{cell}[/bold]" if row.style and cell else cell for cell in (_literal(cell) for cell in cells)]

    rows = [*table.rows, *([table.totals] if table.totals else [])]
    print_table(f"{table.title}\n{table.heading}", columns, [words(row) for row in rows])


def _literal(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def verify(json: Json = False) -> None:
    """Derive everything again that can be derived, and name what differs. Ends with 1 on any difference.

    Journals balance, sub-ledgers tie to their control accounts, invoices add up, stock is the sum of its movements, the
    audit trail is whole.
    """
    from counterfoil.cli.django import set_up

    set_up()
    from counterfoil.accounting.verification import verify as run
    from counterfoil.platform.database.snapshot import snapshot

    with snapshot():
        checks = run()
    wrong = [check for check in checks if not check.ok]
    if json:
        print_json(
            {
                "ok": not wrong,
                "checks": [
                    {
                        "name": check.name,
                        "title": check.title,
                        "ok": check.ok,
                        "expected": check.expected,
                        "found": check.found,
                        "details": list(check.details),
                    }
                    for check in checks
                ],
            }
        )
    else:
        for check in checks:
            say(f"{'ok   ' if check.ok else 'WRONG'}  {check.title}")
            say(*(f"         {detail}" for detail in check.details))
        say(
            "",
            f"{len(wrong)} of {len(checks)} checks found a difference." if wrong else f"All {len(checks)} checks hold.",
        )
    if wrong:
        raise typer.Exit(1)
