"""``import``: companies, products and work from CSV, vendors' price lists, sales tax rates from files of SST states."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from counterfoil.cli.django import ActingUser
from counterfoil.cli.output import Json, examples, print_json, print_table, say

if TYPE_CHECKING:
    from counterfoil.platform.imports import Column, ImportPreview

imports = typer.Typer(
    help="Bring in companies, products, price lists, work and sales tax rates from files, all rows or none.",
    no_args_is_help=True,
)

File = Annotated[Path | None, typer.Argument(help="The CSV file; '-' reads standard input. Without: list the columns.")]
Preview = Annotated[bool, typer.Option("--preview", help="Show what would happen; write nothing.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for kind in (companies, products, usage):
        imports.command(
            epilog=examples(
                f"counterfoil import {kind.__name__}",
                f"counterfoil import {kind.__name__} {kind.__name__}.csv --preview",
                f"counterfoil import {kind.__name__} {kind.__name__}.csv",
            )
        )(kind)
    imports.command(
        "price-list",
        epilog=examples(
            "counterfoil import price-list",
            "counterfoil import price-list july.xlsx --vendor Ingram --preview",
            "counterfoil import price-list july.xlsx --vendor Ingram --end-missing",
            "counterfoil import price-list july.csv --vendor Ingram --new-products SaaS --markup 25",
        ),
    )(price_list)
    imports.command(
        "sst-rates",
        epilog=examples(
            "counterfoil import sst-rates",
            "counterfoil import sst-rates ARR2026Q3.csv --state AR --preview",
            "counterfoil import sst-rates ARR2026Q3.csv --state AR",
        ),
    )(sst_rates)
    app.add_typer(imports, name="import")


def companies(file: File = None, preview: Preview = False, acting_user: ActingUser = None, json: Json = False) -> None:
    """Customers, vendors, internal companies, with their sites, contacts, terms and tax codes."""
    from counterfoil.cli.django import set_up

    set_up()
    from counterfoil.companies import imports as module

    _run(
        file,
        columns=module.columns(),
        show=module.preview_companies,
        write=module.import_companies if not preview else None,
        email=acting_user,
        json=json,
    )


def products(file: File = None, preview: Preview = False, acting_user: ActingUser = None, json: Json = False) -> None:
    """Products with class, category, unit, cost, price, vendor and how they are kept."""
    from counterfoil.cli.django import set_up

    set_up()
    from counterfoil.catalog import imports as module

    _run(
        file,
        columns=module.columns(),
        show=module.preview_products,
        write=module.import_products if not preview else None,
        email=acting_user,
        json=json,
    )


def price_list(
    file: Annotated[
        Path | None, typer.Argument(help="The CSV or XLSX file; '-' reads standard input. Without: list the columns.")
    ] = None,
    vendor: Annotated[str, typer.Option("--vendor", help="Identifier of the vendor whose list it is.")] = "",
    new_products: Annotated[
        str, typer.Option("--new-products", help="Make products that are not there, in this category.")
    ] = "",
    markup: Annotated[str, typer.Option("--markup", help="Per cent on cost, for new offers without a price.")] = "0",
    end_missing: Annotated[
        bool, typer.Option("--end-missing", help="End the vendor's offers that the list does not have.")
    ] = False,
    preview: Preview = False,
    acting_user: ActingUser = None,
    json: Json = False,
) -> None:
    """A vendor's price list: offers with their cost and price; every change is shown, old and new."""
    from datetime import UTC, datetime
    from functools import partial

    from counterfoil.cli.django import set_up

    set_up()
    from counterfoil.catalog import price_lists as module
    from counterfoil.companies.queries import local_date
    from counterfoil.core.money import parse_decimal

    if file is None:
        _print_columns(module.columns(), json=json)
        return
    options: dict[str, Any] = {
        "vendor_id": module.vendor_named(vendor).pk,
        "on": local_date(datetime.now(UTC)),
        "create_products": bool(new_products),
        "category_id": module.category_named(new_products).pk if new_products else None,
        "end_missing": end_missing,
        "markup": parse_decimal(markup, "markup", places=4, digits=6),
    }
    _run(
        file,
        columns=module.columns(),
        show=partial(module.preview_price_list, **options),
        write=None if preview else partial(module.import_price_list, **options),
        email=acting_user,
        json=json,
    )


def sst_rates(
    file: File = None,
    state: Annotated[str, typer.Option("--state", help="The state the file should be of, like AR.")] = "",
    interstate: Annotated[
        bool, typer.Option("--interstate", help="Take the rates of sales from another state.")
    ] = False,
    preview: Preview = False,
    acting_user: ActingUser = None,
    json: Json = False,
) -> None:
    """Sales tax rates from the rate file of a Streamlined Sales Tax state, for levels that name a jurisdiction."""
    from functools import partial

    from counterfoil.cli.django import set_up

    set_up()
    from counterfoil.tax import imports as module

    _run(
        file,
        columns=module.columns(),
        show=partial(module.preview_sst_rates, state=state, interstate=interstate),
        write=None if preview else partial(module.import_sst_rates, state=state, interstate=interstate),
        email=acting_user,
        json=json,
    )


def usage(file: File = None, preview: Preview = False, acting_user: ActingUser = None, json: Json = False) -> None:
    """Time, expenses and products used for customers, with the agreements that are to cover them."""
    from counterfoil.cli.django import set_up

    set_up()
    from counterfoil.usage import imports as module

    _run(
        file,
        columns=module.columns(),
        show=module.preview_usage,
        write=module.import_usage if not preview else None,
        email=acting_user,
        json=json,
    )


def _run(
    file: Path | None, *, columns: tuple[Column, ...], show: Any, write: Any, email: str | None, json: bool
) -> None:
    if file is None:
        _print_columns(columns, json=json)
        return
    from dataclasses import asdict

    from counterfoil.cli.django import acting

    content = read_file(file)
    if write is None:
        _print_preview(show(content=content), json=json)
        return
    result = write(actor=acting(email), content=content, filename=file.name)
    if json:
        print_json(asdict(result))
    else:
        say(f"{result.created} created, {result.updated} updated, {result.unchanged} unchanged.", *result.also)


def read_file(file: Path) -> bytes:
    """The content of a file, or of standard input for ``-``."""
    import sys

    from counterfoil.core.errors import DomainError

    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise DomainError("not_found", f"{file} cannot be read: {error.strerror}.", field="file") from error


def _print_columns(columns: tuple[Column, ...], *, json: bool) -> None:
    from dataclasses import asdict

    if json:
        print_json([asdict(column) for column in columns])
        return
    headings = [("Column", "left"), ("Meaning", "left"), ("If left out", "left"), ("Example", "left")]
    rows = [(c.name, c.meaning, "needed" if c.required else c.default or "-", c.example) for c in columns]
    print_table("Columns of the file, in any order", headings, rows)


def _print_preview(preview: ImportPreview, *, json: bool) -> None:
    if json:
        print_json(
            {
                "rows": [
                    {"row": r.row, "deed": r.deed, "identifier": r.identifier, "name": r.name, "changes": r.changes}
                    for r in preview.rows
                ],
                "errors": [error.as_dict() for error in preview.errors],
                "also": list(preview.also),
            }
        )
    else:
        headings = [("Row", "right"), ("What", "left"), ("Identifier", "left"), ("Name", "left"), ("Changes", "left")]
        print_table(
            preview.in_words, headings, [(str(r.row), r.deed, r.identifier, r.name, r.changes) for r in preview.rows]
        )
        say(*preview.also)
        for error in preview.errors:
            typer.echo(f"Row {error.row}, {error.column or 'the row'}: {error.message} {error.hint}".rstrip(), err=True)
    if preview.errors:
        raise typer.Exit(1)
