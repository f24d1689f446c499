"""``bill``: a billing run from the command line, with its preview."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from counterfoil.cli.django import ActingUser
from counterfoil.cli.output import Json, examples, print_json, print_table, say

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

    from counterfoil.billing.models import BillingRun
    from counterfoil.billing.runs import RunProgress
    from counterfoil.flows.billing_preview import Preview

Day = Annotated[str | None, typer.Option(metavar="DATE")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(
        epilog=examples(
            "counterfoil bill --through 2026-03-31 --preview",
            "counterfoil bill --through 2026-03-31 --invoice-date 2026-04-01 --close",
            "counterfoil bill --through 2026-03-31 --transfer --workers 2",
            "counterfoil bill --resume RUN-0007",
        )
    )(bill)


def bill(
    through: Annotated[str | None, typer.Option(metavar="DATE", help="Bill what falls due by this day.")] = None,
    invoice_date: Annotated[
        str | None, typer.Option(metavar="DATE", help="Date of all invoices; else the day each falls due.")
    ] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only say what would be billed.")] = False,
    close: Annotated[bool, typer.Option("--close", help="Close the invoices: they get their numbers.")] = False,
    transfer: Annotated[bool, typer.Option("--transfer", help="Close them and take them to the books.")] = False,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with a run that stopped.")] = None,
    cancel: Annotated[str | None, typer.Option(metavar="RUN", help="Give up a run that has no numbers yet.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that work on it.")] = 1,
    as_: ActingUser = None,
    json: Json = False,
    work_on: Annotated[int | None, typer.Option(hidden=True, help="Work on the run of this id, and no more.")] = None,
) -> None:
    """Bill all agreements that are due: drafts, with --close invoices, with --transfer invoices in the books.

    Workers of the job queue help as soon as they see the run; without any, this command does all of it. When it is
    interrupted, workers go on, or --resume does.
    """
    from counterfoil.cli.django import acting, set_up

    set_up()
    if work_on is not None:
        from counterfoil.flows.billing_work import work

        work(work_on)
        return
    from datetime import UTC, datetime

    from counterfoil.billing.models import RunMode
    from counterfoil.flows import billing_run

    mode = RunMode.TRANSFER if transfer else RunMode.CLOSE if close else RunMode.DRAFT
    if cancel is not None:
        run = billing_run.cancel_billing_run(actor=acting(as_), run_id=_named(cancel).pk)
        _show(run, json=json)
        return
    if resume is not None:
        run = _named(resume)
        if run.status == "paused":
            run = billing_run.resume_billing_run(actor=acting(as_), run_id=run.pk)
    else:
        last, on = _day(through, "through", needed=True), _day(invoice_date, "invoice-date")
        assert last is not None
        if preview:
            _preview(last, on, mode, json=json)
            return
        run = billing_run.start_billing_run(
            actor=acting(as_), through=last, invoice_date=on, mode=mode, now=datetime.now(UTC)
        )
    _work(run, workers, quiet=json)
    run.refresh_from_db()
    _show(run, json=json)
    if run.problem:
        raise typer.Exit(1)


def _named(number: str) -> BillingRun:
    from counterfoil.billing.models import BillingRun
    from counterfoil.core.errors import DomainError

    run = BillingRun.objects.filter(number=number.strip().upper()).first()
    if run is None:
        raise DomainError("not_found", f"There is no billing run {number}.", field="resume")
    return run


def _day(text: str | None, option: str, *, needed: bool = False) -> date | None:
    from datetime import date

    from counterfoil.core.errors import DomainError

    if text is None:
        if needed:
            raise DomainError("required", "Say through which day to bill.", field=option, hint=f"--{option} 2026-03-31")
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise DomainError("invalid", f"“{text}” is no date.", field=option, hint="Write it as 2026-03-31.") from None


# -- working -----------------------------------------------------------------------------------------------------------


def _work(run: BillingRun, workers: int, *, quiet: bool) -> None:
    """Work on the run, here or in processes of our own, and show how far it is."""
    from counterfoil.billing.runs import run_progress
    from counterfoil.flows.billing_work import work

    if quiet and workers == 1:
        work(run.pk)
        return
    with _bar(quiet) as bar:
        if workers == 1:
            work(run.pk, lambda invoices: bar.show(run_progress(run.pk)))
        else:
            _work_together(run, workers, bar)
        bar.show(run_progress(run.pk))


def _work_together(run: BillingRun, workers: int, bar: _Bar) -> None:
    from counterfoil.billing.runs import run_progress

    command = [sys.executable, "-m", "counterfoil", "bill", "--work-on", str(run.pk)]
    processes = [subprocess.Popen(command) for _ in range(workers)]
    try:
        while any(process.poll() is None for process in processes):
            time.sleep(0.3)  # not money
            bar.show(run_progress(run.pk))
    finally:
        for process in processes:
            if process.poll() is None:
                process.terminate()


class _Bar:
    """A progress bar on the screen, or nothing at all."""

    def __init__(self, quiet: bool) -> None:
        self._progress: Any = None
        self._task: Any = None
        self._quiet = quiet

    def __enter__(self) -> _Bar:
        if not self._quiet:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._progress.add_task("Billing", total=100)
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def show(self, progress: RunProgress) -> None:
        """How far it is."""
        if self._progress is not None:
            said = f"{progress.phase}: {progress.invoices:,} invoices, {progress.per_second:,} a second"
            self._progress.update(self._task, completed=progress.percent, description=said)


def _bar(quiet: bool) -> _Bar:
    return _Bar(quiet)


# -- saying ------------------------------------------------------------------------------------------------------------


def _show(run: BillingRun, *, json: bool) -> None:
    from counterfoil.billing.runs import parked_in_run
    from counterfoil.core.money import format_money

    parked = [
        {"agreement": row.agreement.number, "code": row.code, "reason": row.reason, "hint": row.hint}
        for row in parked_in_run(run.pk)
    ]
    if json:
        print_json(
            {
                "run": run.number,
                "status": run.status,
                "mode": run.mode,
                "agreements": run.agreement_count,
                "invoices": run.invoice_count,
                "total": _plain(run.total),
                "parked": parked,
                "problem": run.problem,
            }
        )
        return
    say(
        f"{run.number} is {run.status}: {run.invoice_count} invoices, {format_money(run.total)} with tax;"
        f" {run.agreement_count} agreements looked at."
    )
    if run.problem:
        say(f"It has stopped: {run.problem}", f"When that is mended: counterfoil bill --resume {run.number}")
    if parked:
        rows = [(row["agreement"], row["reason"], row["hint"]) for row in parked]
        print_table("Left out", [("Agreement", "left"), ("Why", "left"), ("What to do", "left")], rows)


def _preview(through: date, on: date | None, mode: Any, *, json: bool) -> None:
    from counterfoil.flows.billing_preview import preview_billing_run

    found = preview_billing_run(through=through, invoice_date=on, mode=mode, most_rows=200)
    if not json:
        _show_preview(found)
        return
    print_json(
        {
            "agreements": found.agreements,
            "invoices": found.invoices,
            "subtotal": _plain(found.subtotal),
            "tax": _plain(found.tax),
            "total": _plain(found.total),
            "rows": [
                {
                    "agreement": row.agreement,
                    "customer": row.customer,
                    "periods": row.periods,
                    "last": None if row.last is None else _plain(row.last),
                    "amount": _plain(row.amount),
                    "why": row.why,
                }
                for row in found.rows
            ],
            "parked": [{"agreement": row.agreement, **row.reason.as_dict()} for row in found.parked],
        }
    )


def _plain(amount: Decimal) -> str:
    """Two decimals and no commas, for programs."""
    from counterfoil.core.money import format_money

    return format_money(amount, "minus").replace(",", "")


def _show_preview(found: Preview) -> None:
    from counterfoil.core.money import format_money

    columns = [
        ("Agreement", "left"), ("Customer", "left"), ("For", "left"), ("Last", "right"), ("Now", "right"),
        ("Difference", "right"), ("Why", "left"),
    ]  # fmt: skip
    rows = [
        (
            row.agreement,
            row.customer,
            row.periods,
            "" if row.last is None else format_money(row.last),
            format_money(row.amount),
            format_money(row.difference),
            row.why,
        )
        for row in found.rows
    ]
    if rows:
        print_table("What would be billed, before tax; the most surprising first", columns, rows)
    else:
        say("Nothing is due that could be billed.")
    if found.parked:
        left_out = [(row.agreement, row.reason.message, row.reason.hint or "") for row in found.parked]
        print_table("Would be left out", [("Agreement", "left"), ("Why", "left"), ("What to do", "left")], left_out)
    say(
        f"{found.invoices} invoices of {found.agreements} agreements: {format_money(found.subtotal)} and tax"
        f" {format_money(found.tax)}, total {format_money(found.total)}. Nothing was written."
    )
