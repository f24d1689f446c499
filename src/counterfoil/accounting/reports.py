"""Every report by its name: what it asks for and how it is made. Pages, the command line and files show the same table.

table = run("trial-balance", {"as_of": "2026-01-31"}, on=today)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from counterfoil.accounting.profit_report import agreement_profit, work_value
from counterfoil.accounting.queries import unposted_invoices, unposted_journal_entries, unposted_procurement
from counterfoil.accounting.tables import Cell, Column, Kind, Row, Table, total_row
from counterfoil.accounting.tax_report import tax_report
from counterfoil.assets.models import Asset, BookName, DepreciationLine
from counterfoil.assets.queries import register
from counterfoil.billing.queries import receivables
from counterfoil.companies.models import Company, MspSettings
from counterfoil.companies.queries import my_company
from counterfoil.core.calendar import format_date, format_month, month_end
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, sum_money
from counterfoil.inventory.models import Warehouse
from counterfoil.inventory.queries import valuation
from counterfoil.ledger import queries as ledger
from counterfoil.ledger.models import Account, AccountType

#: Longest statement, in months across.
MOST_MONTHS: Final = 120

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a report asks for: a ``date``, or the code, number or id of a record."""

    name: str
    label: str
    kind: str = "date"
    required: bool = True


@dataclass(frozen=True, slots=True)
class Report:
    """A report by name."""

    name: str
    title: str
    description: str
    parameters: tuple[Parameter, ...]
    make: Callable[[Values], Table]


AS_OF: Final = (Parameter("as_of", "As of"),)
PERIOD: Final = (Parameter("from", "From"), Parameter("to", "To"))


def run(name: str, parameters: Mapping[str, object] | None = None, *, on: date) -> Table:
    """Make a report.

    Args:
        name: a key of :data:`REPORTS`.
        parameters: by name, as values or as text (dates as 2026-01-31). A date not given is ``on``; ``from`` is the
            first day of its year. Empty ones count as not given.
        on: today.

    Raises:
        DomainError: ``not_found`` for an unknown report or record; ``invalid`` for an unknown parameter, a date that is
            none, or a period that ends before it starts or is too long.
    """
    report = report_named(name)
    return report.make(read_parameters(report, parameters or {}, on=on))


def report_named(name: str) -> Report:
    """The report of that name.

    Raises:
        DomainError: ``not_found``, naming those there are.
    """
    if name not in REPORTS:
        raise DomainError("not_found", f"There is no report {name!r}.", field="name", hint=f"Try {', '.join(REPORTS)}.")
    return REPORTS[name]


def read_parameters(report: Report, given: Mapping[str, object], *, on: date) -> dict[str, Any]:
    """The report's parameters as values, with what is not given filled in. Raises as :func:`run`."""
    known = {parameter.name: parameter for parameter in report.parameters}
    for name in given:
        if name not in known:
            what = ", ".join(known) or "nothing"
            raise DomainError(
                "invalid", f"{report.title} does not ask for {name!r}.", field=name, hint=f"It takes {what}."
            )
    values: dict[str, Any] = {}
    for name, parameter in known.items():
        value = given.get(name)
        if parameter.kind == "date":
            values[name] = None if value in (None, "") else _date(value, name)
        else:
            values[name] = None if value in (None, "") else str(value).strip()
    for name in ("as_of", "to"):
        if name in values:
            values[name] = values[name] or on
    if "from" in values:
        values["from"] = values["from"] or values["to"].replace(month=1, day=1)
        _check_period(values["from"], values["to"])
    return values


def _date(value: object, name: str) -> date:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value).strip())
    except ValueError:
        raise DomainError(
            "invalid", f"“{str(value)[:40]}” is not a date.", field=name, hint="Write it as 2026-01-31."
        ) from None


def _check_period(first: date, last: date) -> None:
    if first > last:
        raise DomainError("invalid", f"{format_date(first)} comes after {format_date(last)}.", field="from")
    if len(ledger.months_between(first, last)) > MOST_MONTHS:
        raise DomainError("invalid", f"A report spans at most {MOST_MONTHS} months.", field="from")


def _heading(what: str) -> str:
    company, settings = my_company(), MspSettings.objects.filter(pk=1).first()
    name = company.name if company else ""
    return ", ".join(part for part in (name, what, settings.currency if settings else "USD") if part)


def _trial_balance(values: Values) -> Table:
    rows = ledger.trial_balance(through=values["as_of"])
    columns = (
        Column("account", "Account"),
        Column("name", "Name"),
        Column("type", "Type"),
        Column("debit", "Debit", Kind.MONEY),
        Column("credit", "Credit", Kind.MONEY),
    )
    body = tuple(
        Row((r.code, r.name, str(AccountType(r.type).label), r.debit, r.credit), link=("account", r.account_id))
        for r in rows
    )
    heading = _heading(f"as of {format_date(values['as_of'])}")
    return Table("trial-balance", "Trial balance", heading, columns, body, total_row(columns, body))


def _profit_and_loss(values: Values) -> Table:
    statement = ledger.profit_and_loss(first=values["from"], last=values["to"])
    columns = (
        Column("account", "Account"),
        *(Column(f"{month:%Y-%m}", format_month(month), Kind.MONEY) for month in statement.months),
        Column("total", "Total", Kind.MONEY),
    )
    heading = _heading(f"{format_month(values['from'])} to {format_month(values['to'])}")
    return Table("profit-and-loss", "Profit and loss", heading, columns, _statement_rows(statement, with_total=True))


def _balance_sheet(values: Values) -> Table:
    statement = ledger.balance_sheet(first=values["from"], last=values["to"])
    columns = (
        Column("account", "Account"),
        *(Column(month_end(m).isoformat(), format_date(month_end(m)), Kind.MONEY) for m in statement.months),
    )
    heading = _heading(f"{format_month(values['from'])} to {format_month(values['to'])}, at month end")
    return Table("balance-sheet", "Balance sheet", heading, columns, _statement_rows(statement, with_total=False))


def _statement_rows(statement: ledger.Statement, *, with_total: bool) -> tuple[Row, ...]:
    """The rows of a statement, each section under its heading."""
    rows: list[Row] = []
    section = ""
    for row in statement.rows:
        if row.section and row.section != section:
            section = row.section
            blanks: tuple[Cell, ...] = (None,) * (len(statement.months) + with_total)
            rows.append(Row((section, *blanks), style="section"))
        amounts = (*row.amounts, row.total) if with_total else row.amounts
        if row.account_id is None and not (row.section and row.label == "Accumulated profit"):
            rows.append(Row((row.label, *amounts), style="total"))
        else:
            label = f"{row.code} {row.label}".strip()
            rows.append(Row((label, *amounts), link=("account", row.account_id) if row.account_id else None))
    return tuple(rows)


def _general_ledger(values: Values) -> Table:
    account = _account(values["account"])
    company = _company(values["company"])
    lines = ledger.general_ledger(
        first=values["from"],
        last=values["to"],
        account_id=account.pk if account else None,
        company_id=company.pk if company else None,
    ).order_by("account__code", "entry__date", "entry_id", "position")
    columns = (
        Column("account", "Account"),
        Column("date", "Date", Kind.DATE),
        Column("entry", "Entry"),
        Column("source", "Source"),
        Column("company", "Company"),
        Column("memo", "Memo"),
        Column("debit", "Debit", Kind.MONEY),
        Column("credit", "Credit", Kind.MONEY),
        Column("balance", "Balance", Kind.MONEY, totalled=False),
    )
    day_before = values["from"] - timedelta(days=1)
    # The lines of one company are only a part of an account: they start from nothing.
    opening = {} if company else ledger.account_balances(through=day_before)
    accounts = [account] if account else list(Account.objects.all())
    by_account: dict[int, list[Row]] = {
        row.pk: [_opening(row, values["from"], opening[row.pk])] for row in accounts if opening.get(row.pk)
    }
    balances = dict(opening)
    names = {row.pk: str(row) for row in accounts}
    # Plain rows: this is the longest report, and it needs no model instances.
    fields = ("entry__date", "entry__number", "entry__source_label", "company__name", "memo", "entry__memo")
    for pk, entry_id, debit, credit, *about in lines.values_list("account", "entry", "debit", "credit", *fields):
        on, number, source, company_name, memo, entry_memo = about
        balances[pk] = sum_money((balances.get(pk, ZERO), debit, -credit))
        cells: tuple[Cell, ...] = (
            *(names[pk], on, number, source, company_name or "", memo or entry_memo),
            *(debit, credit, balances[pk]),
        )
        by_account.setdefault(pk, []).append(Row(cells, link=("journal_entry", entry_id)))
    body = tuple(row for pk in names for row in by_account.get(pk, ()))
    heading = _heading(f"{format_date(values['from'])} to {format_date(values['to'])}")
    return Table("general-ledger", "General ledger", heading, columns, body, total_row(columns, body))


def _opening(account: Account, first: date, balance: Decimal) -> Row:
    return Row((str(account), first, "", "", "", "Opening balance", None, None, balance), style="section")


def _account(code: str | None) -> Account | None:
    if code is None:
        return None
    account = Account.objects.filter(code=code).first()
    if account is None:
        raise DomainError("not_found", f"There is no account {code}.", field="account")
    return account


def _company(identifier: str | None) -> Company | None:
    if identifier is None:
        return None
    company = Company.objects.filter(identifier__iexact=identifier).first()
    if company is None:
        raise DomainError("not_found", f"There is no company {identifier}.", field="company")
    return company


def _inventory_valuation(values: Values) -> Table:
    warehouse = None
    if values["warehouse"] is not None:
        warehouse = Warehouse.objects.filter(name__iexact=values["warehouse"]).first()
        if warehouse is None:
            raise DomainError("not_found", f"There is no warehouse {values['warehouse']}.", field="warehouse")
    rows = valuation(as_of=values["as_of"], warehouse_id=warehouse.pk if warehouse else None)
    columns = (
        Column("warehouse", "Warehouse"),
        Column("customer", "Customer"),
        Column("bin", "Bin"),
        Column("product", "Product"),
        Column("description", "Description"),
        Column("quantity", "Quantity", Kind.QUANTITY),
        Column("value", "Value", Kind.MONEY),
    )
    body = tuple(Row((r.warehouse, r.customer, r.bin, r.product, r.description, r.quantity, r.value)) for r in rows)
    heading = _heading(f"as of {format_date(values['as_of'])}")
    return Table("inventory-valuation", "Inventory valuation", heading, columns, body, total_row(columns, body))


def _fixed_assets(values: Values) -> Table:
    columns = (
        Column("asset", "Asset"),
        Column("description", "Description"),
        Column("category", "Category"),
        Column("customer", "Customer"),
        Column("in_service", "In service", Kind.DATE),
        Column("method", "Method"),
        Column("life", "Life in months", Kind.QUANTITY, totalled=False),
        Column("cost", "Cost", Kind.MONEY),
        Column("accumulated", "Accumulated depreciation", Kind.MONEY),
        Column("net_book_value", "Net book value", Kind.MONEY),
    )
    body = tuple(
        Row(
            (
                row.asset.number,
                row.asset.description,
                row.asset.category.name,
                row.asset.company.name,
                row.asset.in_service_date,
                row.method.replace("_", " "),
                Decimal(row.life_months),
                row.cost,
                row.accumulated,
                row.net_book_value,
            ),
            link=("asset", row.asset.pk),
        )
        for row in register(as_of=values["as_of"])
    )
    heading = _heading(f"as of {format_date(values['as_of'])}")
    return Table("fixed-assets", "Fixed-asset register", heading, columns, body, total_row(columns, body))


def _depreciation_schedules(values: Values) -> Table:
    lines = DepreciationLine.objects.filter(book__name=BookName.BOOK).select_related("book__asset", "entry")
    if values["asset"] is not None:
        if not Asset.objects.filter(number=values["asset"]).exists():
            raise DomainError("not_found", f"There is no asset {values['asset']}.", field="asset")
        lines = lines.filter(book__asset__number=values["asset"])
    columns = (
        Column("asset", "Asset"),
        Column("from", "From", Kind.DATE),
        Column("to", "To", Kind.DATE),
        Column("amount", "Depreciation", Kind.MONEY),
        Column("accumulated", "Accumulated", Kind.MONEY, totalled=False),
        Column("net_book_value", "Net book value", Kind.MONEY, totalled=False),
        Column("entry", "Entry"),
        Column("explanation", "How it came to be"),
    )
    body = tuple(
        Row(
            (
                line.book.asset.number,
                line.start,
                line.end - timedelta(days=1),
                line.amount,
                line.accumulated,
                line.net_book_value,
                line.entry.number if line.entry else "",
                line.explanation,
            ),
            link=("asset", line.book.asset_id),
        )
        for line in lines.order_by("book__asset_id", "sequence")
    )
    title = "Depreciation schedules"
    return Table(
        "depreciation-schedules", title, _heading("planned and posted"), columns, body, total_row(columns, body)
    )


def _unposted(values: Values) -> Table:
    columns = (
        Column("source", "Record"),
        Column("number", "Number"),
        Column("date", "Date", Kind.DATE),
        Column("company", "Company"),
        Column("amount", "Amount", Kind.MONEY),
        Column("books", "What it books"),
        Column("batch", "Batch"),
        Column("ready", "Ready"),
        Column("why", "Why not yet"),
    )
    waiting = [*unposted_procurement(), *unposted_invoices(), *unposted_journal_entries()]
    body = tuple(
        Row(
            (
                row.source,
                row.number,
                row.date,
                row.company,
                row.amount,
                row.books,
                row.batch_number,
                "yes" if row.ready else "no",
                " ".join(reason.text for reason in row.reasons if reason.blocks),
            ),
            link=(row.source_type, row.source_id),
        )
        for row in waiting
    )
    return Table("unposted", "Unposted", _heading("what waits for a batch"), columns, body, total_row(columns, body))


def _receivables(values: Values) -> Table:
    columns = (
        Column("customer", "Customer"),
        Column("current", "Not due", Kind.MONEY),
        Column("days_30", "1-30 days", Kind.MONEY),
        Column("days_60", "31-60 days", Kind.MONEY),
        Column("days_90", "61-90 days", Kind.MONEY),
        Column("older", "Over 90 days", Kind.MONEY),
        Column("total", "Total", Kind.MONEY),
    )
    body = tuple(
        Row((r.customer, r.current, r.days_30, r.days_60, r.days_90, r.older, r.total), link=("company", r.company_id))
        for r in receivables(as_of=values["as_of"])
    )
    heading = _heading(f"as of {format_date(values['as_of'])}, all closed invoices by days past due")
    return Table("receivables", "Accounts receivable by customer", heading, columns, body, total_row(columns, body))


def _sales_tax(values: Values) -> Table:
    found = tax_report(first=values["from"], last=values["to"])
    columns = (
        Column("agency", "Agency"),
        Column("tax_code", "Tax code"),
        Column("level", "Level"),
        Column("month", "Month"),
        Column("taxable", "Taxable sales", Kind.MONEY, totalled=False),
        Column("exempt", "Exempt sales", Kind.MONEY, totalled=False),
        Column("billed", "Billed", Kind.MONEY),
        Column("credited", "Credited", Kind.MONEY),
        Column("remitted", "Paid on", Kind.MONEY),
        Column("owed", "Owed in the books", Kind.MONEY),
        Column("unbooked", "Not in the books yet", Kind.MONEY),
    )
    before = f"Before {format_date(values['from'])}"
    body = []
    for agency in sorted({*found.opening, *(row.agency for row in found.rows)}):
        if agency in found.opening:
            blanks: tuple[Cell, ...] = (None,) * 5
            body.append(Row((agency, "", "", before, *blanks, found.opening[agency], None)))
        body += [
            Row(
                (
                    *(row.agency, row.tax_code, row.level or "Paid to the agency", format_month(row.month)),
                    *(row.taxable, row.exempt, row.billed, row.credited, row.remitted, row.owed, row.unbooked),
                )
            )
            for row in found.rows
            if row.agency == agency
        ]
    if found.other:
        body.append(Row(("Difference to the ledger", "", "", "", None, None, None, None, None, found.other, None)))
    heading = _heading(f"{format_date(values['from'])} to {format_date(values['to'])}")
    return Table("sales-tax", "Sales tax", heading, columns, tuple(body), total_row(columns, body))


def _agreement_profit(values: Values) -> Table:
    columns = (
        Column("agreement", "Agreement"),
        Column("name", "Name"),
        Column("customer", "Customer"),
        Column("billed", "Billed", Kind.MONEY),
        Column("cost", "Cost of what is billed", Kind.MONEY),
        Column("hours", "Hours", Kind.QUANTITY),
        Column("labour", "Cost of labor", Kind.MONEY),
        Column("profit", "Profit", Kind.MONEY),
        Column("margin", "Margin, %", Kind.QUANTITY),
        Column("rate", "Effective rate", Kind.MONEY, totalled=False),
        Column("contribution", "Profit an hour", Kind.MONEY, totalled=False),
        Column("note", "Note"),
    )
    body = tuple(
        Row(
            (
                *(row.agreement, row.name, row.customer, earned.billed, earned.additions_cost, earned.hours),
                *(earned.labour_cost, earned.profit, None if earned.margin is None else earned.margin * 100),
                *(earned.effective_rate, earned.contribution, earned.warning),
            ),
            link=("agreement", row.agreement_id),
        )
        for row in agreement_profit(first=values["from"], last=values["to"])
        for earned in (row.earned,)
    )
    heading = _heading(f"{format_date(values['from'])} to {format_date(values['to'])}, the worst first")
    return Table("agreement-profit", "Profit of agreements", heading, columns, body, total_row(columns, body))


def _work_value(values: Values) -> Table:
    columns = (
        Column("agreement", "Agreement"),
        Column("customer", "Customer"),
        Column("date", "Date", Kind.DATE),
        Column("member", "Member"),
        Column("description", "Work"),
        Column("hours", "Hours", Kind.QUANTITY),
        Column("value", "Value at the rate", Kind.MONEY),
        Column("share", "Borne by the agreement", Kind.MONEY),
        Column("rate", "Effective rate", Kind.MONEY, totalled=False),
    )
    body = tuple(
        Row(
            (
                *(row.agreement, row.customer, row.on, row.member, row.description, row.hours, row.value),
                *(row.share, row.effective_rate),
            ),
            link=("agreement", row.agreement_id),
        )
        for row in work_value(first=values["from"], last=values["to"])
    )
    heading = _heading(f"{format_date(values['from'])} to {format_date(values['to'])}, month by month")
    return Table("work-value", "What work was worth", heading, columns, body, total_row(columns, body))


def _registry(reports: Sequence[Report]) -> dict[str, Report]:
    return {report.name: report for report in reports}


REPORTS: Final[dict[str, Report]] = _registry(
    (
        Report("trial-balance", "Trial balance", "Every account with its balance at a date.", AS_OF, _trial_balance),
        Report("profit-and-loss", "Profit and loss", "Revenue and costs, month by month.", PERIOD, _profit_and_loss),
        Report(
            "balance-sheet",
            "Balance sheet",
            "Assets, liabilities and equity at each month end.",
            PERIOD,
            _balance_sheet,
        ),
        Report(
            "general-ledger",
            "General ledger",
            "Every line of the journal by account, with running balances.",
            (
                *PERIOD,
                Parameter("account", "Account", "account code", required=False),
                Parameter("company", "Company", "company identifier", required=False),
            ),
            _general_ledger,
        ),
        Report(
            "inventory-valuation",
            "Inventory valuation",
            "What is in stock by warehouse, bin and product, and what it cost.",
            (*AS_OF, Parameter("warehouse", "Warehouse", "warehouse name", required=False)),
            _inventory_valuation,
        ),
        Report(
            "fixed-assets",
            "Fixed-asset register",
            "Cost, accumulated depreciation and net book value of each asset.",
            AS_OF,
            _fixed_assets,
        ),
        Report(
            "depreciation-schedules",
            "Depreciation schedules",
            "The depreciation of each asset, period by period, planned and posted.",
            (Parameter("asset", "Asset", "asset number", required=False),),
            _depreciation_schedules,
        ),
        Report("unposted", "Unposted", "What waits for the books, and why it may not go yet.", (), _unposted),
        Report(
            "receivables",
            "Accounts receivable by customer",
            "What customers owe, by days past due.",
            AS_OF,
            _receivables,
        ),
        Report(
            "sales-tax",
            "Sales tax",
            "Tax billed, credited and paid by agency, tax code, level and month; its total is what the ledger owes.",
            PERIOD,
            _sales_tax,
        ),
        Report(
            "agreement-profit",
            "Profit of agreements",
            "What each agreement was billed, what it cost with its labor, its margin and what an hour on it earns.",
            PERIOD,
            _agreement_profit,
        ),
        Report(
            "work-value",
            "What work was worth",
            "Each time entry at its rate, written down by its share where a month has more work than is paid for.",
            PERIOD,
            _work_value,
        ),
    )
)
