"""The demo MSP: made by real commands, whole, and loaded into an empty database only."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from tests.snapshot import changed, snapshot

from counterfoil.accounting.queries import unposted_invoices, unposted_procurement
from counterfoil.accounting.verification import verify
from counterfoil.agreements.models import Agreement
from counterfoil.assets.models import Asset
from counterfoil.billing.models import Invoice, InvoiceStatus
from counterfoil.catalog.models import Product
from counterfoil.companies.models import Company
from counterfoil.core.calendar import add_months, month_start
from counterfoil.core.errors import DomainError
from counterfoil.core.money import sum_money
from counterfoil.flows.demo import LATE_MONTHS, LATE_PAYER, OWNER_EMAIL, DemoSummary, is_loaded, load_demo
from counterfoil.flows.lease_books import lease_books, leases
from counterfoil.flows.renewal_calendar import entries
from counterfoil.ledger.models import JournalEntry
from counterfoil.ledger.queries import trial_balance
from counterfoil.matching.models import MatchException, VendorStatement
from counterfoil.matching.names import names_to_confirm
from counterfoil.matching.reconciliation import comparison
from counterfoil.orders.models import SalesOrder
from counterfoil.platform.models import AuditEntry, User
from counterfoil.procurement.models import PurchaseOrder
from counterfoil.quotes.models import Acceptance, Opportunity, QuoteVersion
from counterfoil.quotes.queries import unconverted_lines

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

FEBRUARY = date(2026, 2, 10)
PASSWORD = "correct horse battery staple"


#: What the journal of February says when the demo is loaded in the first hour of the day, once that was done.
_FIRST_HOUR: list[tuple[object, ...]] = []


@pytest.mark.parametrize(("on", "hour"), [(FEBRUARY, 0), (date(2026, 5, 31), 12)], ids=["February 2026", "May 2026"])
def test_the_demo_is_whole(on: date, hour: int) -> None:
    steps: list[str] = []
    now = datetime(on.year, on.month, on.day, hour, tzinfo=UTC)

    found = load_demo(on=on, now=now, password=PASSWORD, progress=steps.append)
    if hour == 0:
        _FIRST_HOUR[:] = journal()

    check_summary(found, on)
    check_books(on)
    check_work_waits(on)
    check_selling()
    check_renewal(on)
    check_reconciliation()
    assert len(steps) > 5
    assert is_loaded()
    owner = User.objects.get(email=OWNER_EMAIL)
    assert owner.check_password(PASSWORD)
    assert User.objects.count() == 5


def check_summary(found: DemoSummary, on: date) -> None:
    assert (found.company, found.sign_in, found.through) == ("Northwind IT", OWNER_EMAIL, on)
    counted = {
        "companies": Company, "products": Product, "agreements": Agreement, "sales_orders": SalesOrder,
        "purchase_orders": PurchaseOrder, "invoices": Invoice, "journal_entries": JournalEntry,
        "audit_entries": AuditEntry,
    }  # fmt: skip
    for name, model in counted.items():
        assert getattr(found, name) == model.objects.count() > 0, name


def check_books(on: date) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    balances = trial_balance(through=date(2030, 12, 31))
    assert sum_money(row.debit for row in balances) == sum_money(row.credit for row in balances) > 0
    assert [(check.name, check.details) for check in verify() if not check.ok] == []
    months_run = months_of(on)
    for agreement in leases():
        rows = [row for row in lease_books(agreement).months if row.period.start < months_run[-1]]
        assert [row.period.start for row in rows] == months_run[:-1], agreement
        assert all(row.revenue > 0 for row in rows)
    assert Asset.objects.count() == 2


def months_of(on: date) -> list[date]:
    """The months that are run, and the one in which work waits: at least two are run."""
    last = max(month_start(on), date(2026, 3, 1))
    months = [date(2026, 1, 1)]
    while months[-1] < last:
        months.append(add_months(months[-1], 1))
    return months


def check_work_waits(on: date) -> None:
    """A dashboard with nothing on it would show nobody what the product does."""
    assert unposted_procurement()
    assert unposted_invoices()
    assert Invoice.objects.filter(status=InvoiceStatus.DRAFT).exists()
    assert any(unconverted_lines(opportunity.pk).exists() for opportunity in Opportunity.objects.all())
    owed = Invoice.objects.filter(
        bill_to__identifier=LATE_PAYER, status=InvoiceStatus.CLOSED, applications__isnull=True
    )
    assert len({(invoice.date.year, invoice.date.month) for invoice in owed}) == LATE_MONTHS


def test_the_demo_is_loaded_once_and_is_the_same_at_any_hour() -> None:
    if not _FIRST_HOUR:
        with transaction.atomic():
            _FIRST_HOUR[:] = load_books(hour=0)
            transaction.set_rollback(True)
    assert load_books(hour=23) == _FIRST_HOUR
    before = snapshot()

    with pytest.raises(DomainError) as caught:
        load_books(hour=23)

    assert (caught.value.code, changed(before)) == ("conflict", [])
    assert "COUNTERFOIL_DATA" in (caught.value.hint or "")


def load_books(hour: int) -> list[tuple[object, ...]]:
    load_demo(on=FEBRUARY, now=datetime(2026, 2, 10, hour, tzinfo=UTC), password=PASSWORD)
    return journal()


def journal() -> list[tuple[object, ...]]:
    return list(JournalEntry.objects.order_by("id").values_list("number", "date", "memo", "total"))


def test_the_demo_is_not_loaded_beside_somebody_else(db: None) -> None:
    User.objects.create_user("owner@msp.example", name="Somebody", roles=["owner"])
    before = snapshot()

    with pytest.raises(DomainError, match="in use"):
        load_books(hour=12)

    assert changed(before) == []
    assert not is_loaded()


def check_selling() -> None:
    """Quotes in every state, the deal that leaks with what the match says of it, and a renewal that is due."""
    states = dict(QuoteVersion.objects.values_list("quote__name", "status"))
    assert states == {
        "New office": "draft", "Backup for the plant": "sent", "Microsoft 365 for three years": "accepted",
    }  # fmt: skip
    found = {(row.code, row.expected, row.actual) for row in MatchException.objects.filter(status="open")}
    assert {("term", "3 years", "1 year"), ("billing_frequency", "prepaid", "monthly")} <= found
    assert Acceptance.objects.get().pdf[:5] == b"%PDF-"


def check_reconciliation() -> None:
    """Something of each kind is there to be seen: names to confirm, seats to bill, seats that agree."""
    (statement,) = VendorStatement.objects.all()
    rows = {(row.company, row.product): (row.status, row.monthly) for row in comparison(statement_id=statement.pk)}
    licence = "Microsoft 365 Business Premium"
    assert rows["Hooli Logistics", licence] == ("under_billed", Decimal("66.00"))
    assert rows["Globex Manufacturing", licence][0] == "unbilled"
    assert rows["Acme Corp", licence][0] == "exact"
    suggested = {each.text: [one.name for one in each.suggestions] for each in names_to_confirm(statement.pk)}
    assert suggested == {"Umbra Dental Grp.": ["Umbra Dental Group"], "Stark Veterinary": []}
    codes = set(MatchException.objects.filter(kind="reconciliation", status="open").values_list("code", flat=True))
    assert {"under_billed", "unbilled", "unknown_customer"} <= codes


def check_renewal(on: date) -> None:
    ahead = entries(since=on, until=on + timedelta(days=60))
    assert "renewal" in {entry.kind for entry in ahead if entry.company == "Acme Corp"}
