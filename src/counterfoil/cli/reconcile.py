"""``reconcile``: a vendor's file against what is billed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from counterfoil.cli.django import ActingUser
from counterfoil.cli.output import Json, examples, print_json, print_table, say

if TYPE_CHECKING:
    from datetime import date

    from counterfoil.matching.reconciliation import Reconciliation
    from counterfoil.matching.statements import StatementPreview

_DAYS = ["%Y-%m-%d"]
Day = datetime | None  # what typer reads a day into


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(
        "reconcile",
        epilog=examples(
            "counterfoil reconcile march.csv --vendor Ingram --preview",
            "counterfoil reconcile march.xlsx --vendor Ingram --first 2026-03-01 --last 2026-03-31",
            "counterfoil reconcile G002297372.csv --vendor Microsoft --mapping 'Microsoft new commerce, licence-based'",
            "counterfoil reconcile march.csv --vendor Ingram --json",
        ),
    )(reconcile)


def reconcile(
    file: Annotated[Path, typer.Argument(help="The vendor's CSV or XLSX file; '-' reads standard input.")],
    vendor: Annotated[str, typer.Option("--vendor", help="Identifier of the vendor.")],
    mapping: Annotated[str, typer.Option("--mapping", help="A saved column mapping; without: what fits best.")] = "",
    first: Annotated[Day, typer.Option("--first", formats=_DAYS, help="First day of the period.")] = None,
    last: Annotated[Day, typer.Option("--last", formats=_DAYS, help="Last day of the period.")] = None,
    reference: Annotated[str, typer.Option("--reference", help="The vendor's invoice number.")] = "",
    preview: Annotated[bool, typer.Option("--preview", help="Show what would happen; write nothing.")] = False,
    acting_user: ActingUser = None,
    json: Json = False,
) -> None:
    """Import what a vendor says that each customer has, and show what is not billed, or billed and not there."""
    from counterfoil.cli.django import acting, set_up
    from counterfoil.cli.imports import read_file

    set_up()
    from counterfoil.companies.models import Company
    from counterfoil.core.errors import DomainError
    from counterfoil.matching.reconciliation import reconcile_statement
    from counterfoil.matching.statements import import_statement, preview_statement

    company = Company.objects.filter(identifier__iexact=vendor).first()
    if company is None:
        raise DomainError("not_found", f"There is no company {vendor}.", field="vendor")
    content, start, end = read_file(file), _day(first), _day(last)
    if preview:
        looked = preview_statement(
            vendor_id=company.pk, content=content, mapping=mapping, period_start=start, period_end=end
        )
        _print_preview(looked, json=json)
        return
    now, actor = datetime.now(UTC), acting(acting_user)
    taken = import_statement(
        actor=actor, vendor_id=company.pk, content=content, now=now, filename=file.name, mapping=mapping,
        period_start=start, period_end=end, reference=reference,
    )  # fmt: skip
    _print_result(reconcile_statement(actor=actor, statement_id=taken.statement.pk, now=now), json=json)


def _day(given: datetime | None) -> date | None:
    return given.date() if given else None


def _print_preview(looked: StatementPreview, *, json: bool) -> None:
    from dataclasses import asdict

    from counterfoil.core.money import format_money
    from counterfoil.platform.records import plain_number

    if json:
        print_json(asdict(looked))
    else:
        headings = [("Customer", "left"), ("is", "left"), ("Product", "left"), ("is", "left"), ("Quantity", "right")]
        rows = [
            (line.customer_name, line.company, line.product_name, line.product, plain_number(line.quantity))
            for line in looked.lines
        ]
        print_table(f"{looked.line_count} lines, {format_money(looked.total)}", headings, rows)
        say(f"{looked.in_effect} hold on the last day of the period.")
        if looked.imported_as:
            say(f"The file is {looked.imported_as} already.")
        for error in looked.errors:
            typer.echo(f"Row {error.row}, {error.column or 'the row'}: {error.message} {error.hint}".rstrip(), err=True)
    if looked.errors:
        raise typer.Exit(1)


def _print_result(result: Reconciliation, *, json: bool) -> None:
    from dataclasses import asdict

    from counterfoil.core.calendar import format_date
    from counterfoil.core.money import format_money
    from counterfoil.matching.models import MatchException

    found = MatchException.objects.filter(
        kind="reconciliation", status="open", vendor__statements=result.statement_id
    ).order_by("-monthly", "key")
    if json:
        rows = found.values("id", "code", "company__name", "product__description", "expected", "actual", "monthly")
        print_json(asdict(result) | {"open": list(rows)})
        return
    headings = [("What", "left"), ("Dollars a month", "right"), ("Message", "left")]
    rows_shown = [(row.code.replace("_", "-"), format_money(row.monthly), row.message) for row in found[:100]]
    print_table(f"{result.number} as of {format_date(result.on)}", headings, rows_shown)
    counts = ", ".join(f"{count} {status.replace('_', '-')}" for status, count in sorted(result.counts.items()))
    say(
        f"{counts or 'Nothing to compare'}; {result.unknown} unknown names.",
        f"Not billed {format_money(result.unbilled)} a month, billed too much {format_money(result.over_billed)},"
        f" without agreement {format_money(result.orphaned)}.",
    )
