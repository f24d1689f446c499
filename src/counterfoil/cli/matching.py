"""``match``: the three-way match from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from counterfoil.cli.django import ActingUser
from counterfoil.cli.output import Json, examples, print_json, print_table, say

if TYPE_CHECKING:
    from datetime import date

    from counterfoil.matching.matching import Matched
    from counterfoil.matching.models import MatchException

#: So many exceptions are shown; the pages show the rest.
_SHOWN = 50


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(
        epilog=examples(
            "counterfoil match",
            "counterfoil match --order PO-0003",
            "counterfoil match --all --json",
            "counterfoil match --since 2026-03-01 --through 2026-03-31",
        )
    )(match)


def match(
    changed: Annotated[bool, typer.Option("--changed", help="Match what has changed; so without any option.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Match everything again.")] = False,
    order: Annotated[str | None, typer.Option(metavar="PO", help="Match one purchase order.")] = None,
    since: Annotated[str | None, typer.Option(metavar="DATE", help="First day of a period to match.")] = None,
    through: Annotated[str | None, typer.Option(metavar="DATE", help="Last day of the period.")] = None,
    as_: ActingUser = None,
    json: Json = False,
) -> None:
    """Hold quotes, purchase orders, receipts, bills and invoices against each other, and say what differs."""
    from counterfoil.cli.django import acting, set_up

    set_up()
    from datetime import UTC, datetime

    from counterfoil.core.errors import DomainError
    from counterfoil.matching import commands
    from counterfoil.matching.queries import exceptions

    period = since is not None or through is not None
    if sum((changed, everything, order is not None, period)) > 1:
        raise DomainError("invalid", "Choose one: --changed, --all, --order, or a period with --since and --through.")
    now, actor = datetime.now(UTC), acting(as_)
    rows = exceptions(status="open")
    if order is not None:
        purchase_order_id = _order(order)
        matched = commands.match_order(actor=actor, purchase_order_id=purchase_order_id, now=now)
        rows = rows.filter(purchase_order_line__purchase_order=purchase_order_id)
    elif everything or period:
        first, last = _day(since, "since"), _day(through, "through")
        matched = commands.match_everything(actor=actor, now=now, since=first, through=last)
    else:
        matched = commands.match_changed(actor=actor, now=now)
    _show(matched, list(rows[:_SHOWN]), rows.count(), json=json)


def _order(number: str) -> int:
    from counterfoil.core.errors import DomainError
    from counterfoil.procurement.models import PurchaseOrder

    found = PurchaseOrder.objects.filter(number=number.strip().upper()).values_list("pk", flat=True).first()
    if found is None:
        raise DomainError("not_found", f"There is no purchase order {number}.", field="order")
    return found


def _day(text: str | None, option: str) -> date | None:
    from datetime import date

    from counterfoil.core.errors import DomainError

    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise DomainError("invalid", f"“{text}” is no date.", field=option, hint="Write it as 2026-03-31.") from None


def _show(matched: Matched, rows: list[MatchException], count: int, *, json: bool) -> None:
    from counterfoil.core.money import format_money
    from counterfoil.matching.queries import label_of

    if json:
        figures: dict[str, Any] = {
            name: getattr(matched, name) for name in ("threads", "purchase_lines", "opened", "changed", "mended")
        }
        print_json(figures | {"open": count, "exceptions": [_as_json(row) for row in rows]})
        return
    say(
        f"Matched {matched.threads} threads and {matched.purchase_lines} purchase order lines: {matched.opened} opened,"
        f" {matched.changed} changed, {matched.mended} mended."
    )
    if not rows:
        say("Nothing is open.")
        return
    columns = [
        ("What", "left"), ("Difference", "left"), ("A month", "right"), ("Over the term", "right"),
        ("What to do", "left"),
    ]  # fmt: skip
    print_table(
        f"Open: {count}" + (f", the {len(rows)} most expensive" if count > len(rows) else ""),
        columns,
        [
            (label_of(row.code), row.message, format_money(row.monthly), format_money(row.over_term), row.what_to_do)
            for row in rows
        ],
    )


def _as_json(row: MatchException) -> dict[str, Any]:
    from counterfoil.core.money import format_money

    names = ("id", "kind", "code", "expected_leg", "actual_leg", "expected", "actual", "message", "what_to_do")
    dollars = {
        name: format_money(getattr(row, name), "minus").replace(",", "") for name in ("monthly", "over_term")
    }  # fmt: skip
    return {name: getattr(row, name) for name in names} | dollars
