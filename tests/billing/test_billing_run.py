"""A billing run bills everything that is due once: drafts, closed invoices, or invoices in the books."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.fleet import seed
from tests.trade import D
from tests.world import FINANCE, OWNER, SALES, World, build_world

from counterfoil.accounting.commands import delete_batch, transfer_batch
from counterfoil.accounting.documents import load_invoices
from counterfoil.accounting.mapping import load_accounts
from counterfoil.accounting.models import Batch
from counterfoil.accounting.verification import verify
from counterfoil.agreements.commands import AdditionInput, create_agreement, unpark_agreement, update_agreement
from counterfoil.agreements.models import Agreement, AgreementType, BillingState
from counterfoil.billing.models import BillingRun, Invoice
from counterfoil.billing.runs import due_agreements, run_progress
from counterfoil.catalog.models import Product
from counterfoil.companies.models import Company
from counterfoil.core.errors import DomainError
from counterfoil.flows import billing_run as flow
from counterfoil.flows import billing_work
from counterfoil.flows.billing_preview import preview_billing_run
from counterfoil.flows.billing_run import (
    cancel_billing_run,
    pause_billing_run,
    resume_billing_run,
    start_billing_run,
)
from counterfoil.flows.billing_work import Worker, work
from counterfoil.ledger.models import JournalEntry, JournalLine

pytestmark = pytest.mark.django_db
JAN_1, JAN_31, FEB_1, FEB_28 = date(2026, 1, 1), date(2026, 1, 31), date(2026, 2, 1), date(2026, 2, 28)
NOW = datetime(2026, 2, 1, 8, tzinfo=UTC)


@pytest.fixture
def world() -> World:
    return build_world()


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "CHUNK", 4)


def lease_of(world: World, **fields: object) -> Agreement:
    """Server as a service for Acme, 150.00 a month from January."""
    addition = AdditionInput(product_id=world.lease.pk, effective_date=JAN_1, unit_price=D("150"))
    given: dict[str, object] = {
        "company_id": world.acme.pk, "agreement_type_id": world.haas.pk, "name": "Server lease", "start_date": JAN_1,
        "additions": [addition], **fields,
    }  # fmt: skip
    return create_agreement(actor=SALES, **given)  # type: ignore[arg-type]


def started(mode: str = "draft", through: date = JAN_31, **fields: object) -> BillingRun:
    return start_billing_run(actor=FINANCE, through=through, mode=mode, now=NOW, **fields)  # type: ignore[arg-type]


def done(mode: str = "draft", through: date = JAN_31, **fields: object) -> BillingRun:
    run = started(mode, through, **fields)
    work(run.pk)
    run.refresh_from_db()
    return run


def refusal(*args: object, **fields: object) -> DomainError:
    with pytest.raises(DomainError) as refused:
        started(*args, **fields)  # type: ignore[arg-type]
    return refused.value


def wrong() -> list[str]:
    return [f"{check.title}: {check.details}" for check in verify() if not check.ok]


@pytest.mark.parametrize("mode", ["draft", "close", "transfer"])
def test_every_agreement_is_billed_once_in_the_order_of_the_agreements(
    world: World, small_chunks: None, mode: str
) -> None:
    ids = seed(11)

    run = done(mode)

    assert (run.status, run.agreement_count, run.invoice_count, run.parked_count) == ("finished", 11, 11, 0)
    invoices = list(Invoice.objects.order_by("agreement_id"))
    assert [invoice.agreement_id for invoice in invoices] == ids
    numbers = [None] * 11 if mode == "draft" else [f"INV-{n:04d}" for n in range(1, 12)]
    assert [invoice.number for invoice in invoices] == numbers
    assert run.total == sum(invoice.total for invoice in invoices)
    assert {(invoice.period_start, invoice.period_end) for invoice in invoices} == {(JAN_1, FEB_1)}
    assert JournalEntry.objects.filter(source_type="invoice").count() == (11 if mode == "transfer" else 0)
    assert wrong() == []


def test_running_twice_adds_nothing_and_the_next_month_is_the_next(world: World) -> None:
    seed(3)
    assert done("close").invoice_count == 3
    assert done("close").invoice_count == 0
    assert done("close", through=FEB_28).invoice_count == 3
    assert Invoice.objects.filter(period_start=FEB_1).count() == 3


def test_several_periods_that_are_due_are_several_invoices(world: World) -> None:
    lease_of(world)
    run = done("close", through=date(2026, 3, 31))
    assert run.invoice_count == 3
    assert list(Invoice.objects.order_by("number").values_list("date", flat=True)) == [JAN_1, FEB_1, date(2026, 3, 1)]


def test_the_preview_is_the_run(world: World, small_chunks: None) -> None:
    seed(9)
    before = preview_billing_run(through=JAN_31, mode=flow.RunMode.TRANSFER)
    assert not Invoice.objects.exists()
    run = done("transfer")
    assert (before.agreements, before.invoices, before.total) == (9, run.invoice_count, run.total)
    amounts = {row.agreement_id: row.amount for row in before.rows}
    assert amounts == dict(Invoice.objects.values_list("agreement_id", "subtotal"))
    after = preview_billing_run(through=FEB_28)
    assert {(row.difference, row.why) for row in after.rows} == {(D("0.00"), "")}


def test_the_entries_are_those_of_the_documents(world: World) -> None:
    seed(5)
    lease_of(world, billing_amount=D("99.95"), billing_amount_taxable=True)
    done("transfer")
    accounts = load_accounts(set(Product.objects.values_list("pk", flat=True)))
    for document in load_invoices(Invoice.objects.all()):
        draft = document.draft(accounts)
        assert draft is not None
        booked = JournalLine.objects.filter(entry__source_type="invoice", entry__source_id=document.source_id)
        assert {line.account.code: line.debit - line.credit for line in booked.select_related("account")} == {
            account: net for account, net in draft.by_account().items() if net
        }
        entry = JournalEntry.objects.get(source_type="invoice", source_id=document.source_id)
        assert (entry.memo, entry.date, entry.source_label) == (draft.memo, draft.date, document.number)


def test_an_agreement_that_cannot_be_billed_is_parked_mended_and_billed(world: World) -> None:
    bad, good = lease_of(world), lease_of(world)
    Agreement.objects.filter(pk=bad.pk).update(bill_to=world.my_company)

    run = done("close")

    assert (run.invoice_count, run.parked_count) == (1, 1)
    assert Invoice.objects.get().agreement == good
    (left_out,) = run.parked.all()
    assert (left_out.agreement, left_out.code) == (bad, "my_company_not_billable")
    state = BillingState.objects.get(agreement=bad)
    assert state.parked_at is not None
    assert "My Company" in state.parked_reason
    assert done("close").agreement_count == 0  # it is not tried again before somebody has mended it

    update_agreement(actor=SALES, agreement_id=bad.pk, bill_to_id=world.acme.pk)
    unpark_agreement(actor=FINANCE, agreement_id=bad.pk)
    assert done("close").invoice_count == 1
    state.refresh_from_db()
    assert (state.parked_code, state.parked_at) == ("", None)


def test_an_absurd_amount_is_parked_and_billed_when_somebody_says_it_is_right(world: World) -> None:
    lease = lease_of(world)
    done("close")
    lease.additions.update(quantity=D("5000"))

    assert done("close", through=FEB_28).parked_count == 1
    assert BillingState.objects.get(agreement=lease).parked_code == "absurd_amount"

    unpark_agreement(actor=FINANCE, agreement_id=lease.pk)
    assert done("close", through=FEB_28).invoice_count == 1


def test_a_missing_account_parks_in_mode_transfer_alone(world: World) -> None:
    from counterfoil.ledger.models import DefaultAccount

    lease_of(world)
    DefaultAccount.objects.filter(role="agreement_revenue").delete()
    from counterfoil.accounting.models import GLMapping

    GLMapping.objects.filter(role="agreement_revenue").delete()
    run = done("transfer")
    assert [left_out.code for left_out in run.parked.all()] == ["gl_mapping_missing"]
    BillingState.objects.update(parked_at=None)
    assert done("close").invoice_count == 1


def test_a_type_with_a_prefix_has_numbers_of_its_own(world: World, small_chunks: None) -> None:
    seed(6, kind="Own")
    AgreementType.objects.filter(name="Own").update(invoice_prefix="OWN-")
    seed(6, kind="Fleet")
    done("transfer")
    numbers = Invoice.objects.order_by("agreement_id").values_list("number", flat=True)
    assert list(numbers) == [*(f"OWN-{n:04d}" for n in range(1, 7)), *(f"INV-{n:04d}" for n in range(1, 7))]
    assert wrong() == []


def test_one_run_at_a_time(world: World) -> None:
    seed(2)
    run = started("close")
    error = refusal("draft")
    assert (error.code, run.number in error.message) == ("conflict", True)
    cancel_billing_run(actor=FINANCE, run_id=run.pk)
    assert done("draft").invoice_count == 2


def test_what_is_rated_is_kept_from_changes_until_the_run_is_cancelled(world: World, small_chunks: None) -> None:
    lease = lease_of(world)
    run = started("close")
    Worker(run.pk).step()
    with pytest.raises(DomainError) as refused:
        update_agreement(actor=SALES, agreement_id=lease.pk, billing_amount=D("10"))
    assert refused.value.code == "conflict"
    cancel_billing_run(actor=FINANCE, run_id=run.pk)
    update_agreement(actor=SALES, agreement_id=lease.pk, billing_amount=D("10"))
    assert not Invoice.objects.exists()


def test_a_numbered_run_can_be_paused_and_resumed_but_not_cancelled(world: World, small_chunks: None) -> None:
    seed(9)
    run = started("transfer")
    worker = Worker(run.pk)
    while BillingRun.objects.get(pk=run.pk).status != "numbered":
        worker.step()
    worker.step()
    pause_billing_run(actor=FINANCE, run_id=run.pk)
    assert worker.step() is False
    with pytest.raises(DomainError) as refused:
        cancel_billing_run(actor=FINANCE, run_id=run.pk)
    assert refused.value.code == "wrong_state"
    half = run_progress(run.pk)
    assert (half.status, half.written, half.invoices, half.percent) == ("paused", 4, 9, 66)

    batch = Batch.objects.get()
    for deed in (transfer_batch, delete_batch):
        with pytest.raises(DomainError) as refused:
            deed(actor=OWNER, batch_id=batch.pk, **({"now": NOW} if deed is transfer_batch else {}))  # type: ignore[operator]
        assert refused.value.code == "conflict"
    assert wrong() == []

    resume_billing_run(actor=FINANCE, run_id=run.pk)
    work(run.pk)  # another worker, who has to rate what is left
    assert list(Invoice.objects.order_by("agreement_id").values_list("number", flat=True)) == [
        f"INV-{n:04d}" for n in range(1, 10)
    ]
    assert Batch.objects.get().status == "transferred"
    assert wrong() == []


def test_a_run_that_meets_something_else_than_planned_stops_and_goes_on_when_mended(
    world: World, small_chunks: None
) -> None:
    seed(5)
    lease = lease_of(world)
    run = started("close")
    worker = Worker(run.pk)
    while BillingRun.objects.get(pk=run.pk).status != "numbered":
        worker.step()
    Company.objects.filter(pk=world.acme.pk).update(active=False)

    work(run.pk)

    run.refresh_from_db()
    assert run.status == "paused"
    assert lease.number in run.problem
    assert "inactive" in run.problem
    Company.objects.filter(pk=world.acme.pk).update(active=True)
    resume_billing_run(actor=FINANCE, run_id=run.pk)
    work(run.pk)
    run.refresh_from_db()
    assert (run.status, run.problem, run.invoice_count) == ("finished", "", 6)
    assert wrong() == []


def test_a_fault_in_one_agreement_does_not_stop_the_others(
    world: World, small_chunks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = seed(6)
    rate = billing_work.rate

    def failing(agreement_ids: list[int], *args: object) -> object:
        if ids[2] in agreement_ids:
            raise ZeroDivisionError("a bug")
        return rate(agreement_ids, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(billing_work, "rate", failing)
    run = done("close")
    assert (run.invoice_count, run.parked_count) == (5, 1)
    (left_out,) = run.parked.all()
    assert left_out.agreement_id == ids[2]
    assert "a bug" in left_out.reason


def test_only_one_type_or_customer(world: World) -> None:
    seed(3)
    lease_of(world)
    assert done("draft", company_id=world.acme.pk).agreement_count == 1
    assert done("draft", agreement_type_id=AgreementType.objects.get(name="Fleet").pk).agreement_count == 3


def test_children_ride_on_the_invoice_of_their_parent(world: World) -> None:
    parent = lease_of(world)
    child = lease_of(world, name="Backup", parent_id=parent.pk)
    assert due_agreements(through=JAN_31) == [parent.pk]
    assert done("transfer").invoice_count == 1
    lines = Invoice.objects.get().lines.order_by("position")
    assert [(line.agreement, line.amount) for line in lines] == [(parent, D("150.00")), (child, D("150.00"))]
    assert wrong() == []


@pytest.mark.parametrize("count", [1, 499, 500, 1000, 2500, 3999, 4000, 5000, 50_001])
def test_chunks_hold_every_agreement_once_and_become_smaller(count: int) -> None:
    sizes = list(flow._sizes(count))
    assert sum(sizes) == count
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] <= flow.CHUNK
    assert 20 * len(sizes) <= max(40, count * 0.075)  # some 20 statements a chunk, and few an invoice


def test_a_slip_of_the_year_starts_nothing(world: World) -> None:
    lease_of(world)
    assert refusal("draft", date(2206, 3, 1)).field == "through"
    assert refusal("transfer", JAN_31, invoice_date=date(2031, 1, 1)).code == "period_missing"
    assert not BillingRun.objects.exists()


def test_a_run_takes_few_statements(world: World) -> None:
    seed(1000, additions=5)
    with CaptureQueriesContext(connection) as statements:
        run = done("transfer")
    assert run.invoice_count == 1000
    ours = [each["sql"] for each in statements if not each["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert len(ours) < 0.1 * 1000


def test_the_tax_of_two_levels_is_rounded_once_an_invoice(world: World) -> None:
    seed(40)
    done("draft")
    for invoice in Invoice.objects.prefetch_related("lines", "taxes"):
        assert invoice.tax_total == (invoice.subtotal * Decimal("0.075")).quantize(D("0.01"), "ROUND_HALF_UP")
        assert sum(tax.amount for tax in invoice.taxes.all()) == invoice.tax_total
        assert sum(line.tax_amount for line in invoice.lines.all()) == invoice.tax_total


def test_the_preview_counts_the_agreements_that_would_be_billed(world: World) -> None:
    seed(3)
    done("close")
    BillingState.objects.order_by("pk").filter(pk__in=BillingState.objects.values("pk")[:1]).update(changed_from=JAN_1)
    looked_at = preview_billing_run(through=JAN_31)
    assert (looked_at.agreements, looked_at.invoices, looked_at.rows) == (0, 0, [])
