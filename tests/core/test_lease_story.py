"""The lease of a server from receipt to the last month's depreciation, journal by journal, in both options.

The books are added up from the journals alone and held against the plan of :mod:`counterfoil.core.lease`.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterfoil.core.calendar import calendar_month
from counterfoil.core.depreciation import Convention, Method, schedule
from counterfoil.core.lease import LeaseTerms, OptionEconomics, lease_economics
from counterfoil.core.posting import (
    BilledLine,
    GlRole,
    InvoicedLine,
    JournalDraft,
    Key,
    ReceivedLine,
    TaxAmount,
    post_capitalisation_from_cogs,
    post_customer_invoice,
    post_customer_payment,
    post_depreciation,
    post_lease_capitalisation,
    post_receipt,
    post_tax_remittance,
    post_vendor_bill,
    post_vendor_payment,
)

Path = str  # "expensed", "through cogs" or "direct"


def accounts(role: GlRole, key: Key) -> str:
    return role.value


def journals(terms: LeaseTerms, path: Path) -> Iterator[JournalDraft | None]:
    """Everything that is posted, as the documents come."""
    start, cost, stocked = terms.start, terms.cost, path != "expensed"
    assert terms.vendor_paid_on is not None
    received = ReceivedLine(1, "server", cost, is_inventory=stocked)
    yield post_receipt(accounts=accounts, on=start, source_id=1, vendor="v", lines=[received], memo="Receipt")
    billed = BilledLine(1, "server", cost, cost)
    yield post_vendor_bill(accounts=accounts, on=start, source_id=1, vendor="v", lines=[billed], memo="Bill")
    if path == "direct":
        yield post_lease_capitalisation(
            accounts=accounts, on=start, source_id=1, item="server", asset="haas", cost=cost, memo="Capitalised"
        )
    else:
        hardware = InvoicedLine(1, GlRole.PRODUCT_REVENUE, D("0.00"), is_inventory=stocked, cost=cost)
        yield post_customer_invoice(
            accounts=accounts, on=start, source_id=0, customer="internal", lines=[hardware], memo="Hardware"
        )
    if path == "through cogs":
        yield post_capitalisation_from_cogs(
            accounts=accounts, on=start, source_id=1, item="server", asset="haas", cost=cost, memo="Capitalised"
        )
    yield post_vendor_payment(
        accounts=accounts, on=terms.vendor_paid_on, source_id=1, vendor="v", amount=cost, memo="Paid"
    )
    for row in lease_economics(terms).option_1.months[: terms.months]:
        on, month = row.period.start, row.period.start.isoformat()
        fee = InvoicedLine(1, GlRole.AGREEMENT_REVENUE, terms.price_per_month)
        tax = TaxAmount("state", terms.sales_tax_per_month)
        yield post_customer_invoice(
            accounts=accounts, on=on, source_id=month, customer="c", lines=[fee], taxes=[tax], memo="Agreement"
        )
        yield post_customer_payment(
            accounts=accounts, on=on, source_id=month, customer="c", amount=terms.invoice_total, memo="Paid"
        )
        yield post_tax_remittance(accounts=accounts, on=on, source_id=month, taxes=[tax], memo="Sales tax")
    for line in schedule(terms.depreciation) if stocked else ():
        yield post_depreciation(
            accounts=accounts, on=line.start, source_id=1, asset="haas", amount=line.amount, memo="Depreciation"
        )


Books = dict[tuple[date, str], D]


def monthly_changes(terms: LeaseTerms, path: Path) -> Books:
    books: Books = defaultdict(lambda: D("0.00"))
    for draft in journals(terms, path):
        if draft is not None:
            for account, net in draft.by_account().items():
                books[calendar_month(draft.date).start, account] += net
    return books


def check(option: OptionEconomics, books: Books) -> None:
    """Every month's profit, cash, payable and net book value are those of the journals; nothing else is left over."""
    standing: dict[str, D] = defaultdict(lambda: D("0.00"))
    for row in option.months:
        change = {account: net for (month, account), net in books.items() if month == row.period.start}
        for account, net in change.items():
            standing[account] += net
        assert -change.get("agreement_revenue", D(0)) == row.revenue
        assert change.get("cogs", D(0)) == row.cogs
        assert change.get("depreciation_expense", D(0)) == row.depreciation
        assert standing["bank"] == row.cash
        assert -standing["accounts_payable"] == row.accounts_payable
        assert standing["fixed_asset"] + standing["accumulated_depreciation"] == row.net_book_value
        for cleared in ("inventory", "grni", "accounts_receivable", "sales_tax_payable"):
            assert standing[cleared] == 0
    assert sum(books.values()) == 0
    assert {month for month, _ in books} <= {row.period.start for row in option.months}


SERVER = LeaseTerms(
    D("3600.00"), D("150.00"), 36, date(2026, 1, 1), 36, tax_rate=D("0.06"), vendor_paid_on=date(2026, 2, 10)
)


def test_the_non_inventory_server_never_touches_an_asset_account() -> None:
    books = monthly_changes(SERVER, "expensed")
    check(lease_economics(SERVER).option_1, books)
    used = {account for _, account in books}
    assert used.isdisjoint({"inventory", "fixed_asset", "accumulated_depreciation", "depreciation_expense"})


@pytest.mark.parametrize("path", ["through cogs", "direct"])
def test_the_inventory_server_is_depreciated_and_leaves_no_cogs(path: Path) -> None:
    books = monthly_changes(SERVER, path)
    check(lease_economics(SERVER).option_2, books)
    assert all(net == 0 for (_, account), net in books.items() if account in ("cogs", "inventory"))
    assert ("cogs" in {account for _, account in books}) is (path == "through cogs")


@given(
    cost=st.integers(1, 10**7),
    price=st.integers(1, 10**6),
    months=st.integers(1, 40),
    life=st.integers(1, 40),
    method=st.sampled_from([Method.STRAIGHT_LINE, Method.DECLINING_BALANCE_200, Method.SUM_OF_YEARS]),
    convention=st.sampled_from([c for c in Convention if c is not Convention.MID_QUARTER]),
    start=st.dates(date(2024, 1, 1), date(2030, 12, 28)),
    pays_after=st.integers(0, 60),
)
@settings(max_examples=40)
def test_any_lease_posts_what_was_planned(
    cost: int,
    price: int,
    months: int,
    life: int,
    method: Method,
    convention: Convention,
    start: date,
    pays_after: int,
) -> None:
    terms = LeaseTerms(
        D(cost).scaleb(-2),
        D(price).scaleb(-2),
        months,
        start,
        life,
        method,
        convention,
        tax_rate=D("0.0725"),
        vendor_paid_on=date.fromordinal(start.toordinal() + pays_after),
    )
    economics = lease_economics(terms)
    check(economics.option_1, monthly_changes(terms, "expensed"))
    check(economics.option_2, monthly_changes(terms, "through cogs"))
    check(economics.option_2, monthly_changes(terms, "direct"))
