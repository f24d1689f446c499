"""Agreements are billed period by period: the right amount, with tax, each period once."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from tests.trade import D
from tests.world import FINANCE, SALES, World, build_world

from counterfoil.agreements.commands import AdditionInput, cancel_agreement, create_agreement
from counterfoil.agreements.models import Agreement
from counterfoil.billing.commands import (
    delete_draft_invoice,
    invoice_agreement,
    invoice_agreements_through,
)
from counterfoil.billing.models import Invoice
from counterfoil.billing.queries import unbilled_periods
from counterfoil.companies.models import Site
from counterfoil.core.errors import DomainError
from counterfoil.tax.models import TaxCode, TaxLevel

pytestmark = pytest.mark.django_db
JAN_1, FEB_1, MAR_1, MAR_31, APR_1 = (
    date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1), date(2026, 3, 31), date(2026, 4, 1),
)  # fmt: skip


@pytest.fixture
def world() -> World:
    return build_world()


def lease_of(world: World, **fields: object) -> Agreement:
    """Server as a service for Acme, 150.00 a month from January."""
    given: dict[str, object] = {
        "company_id": world.acme.pk,
        "agreement_type_id": world.haas.pk,
        "name": "Server lease",
        "start_date": JAN_1,
        "additions": [addition(world)],
        **fields,
    }
    return create_agreement(actor=SALES, **given)  # type: ignore[arg-type]


def addition(world: World, **fields: object) -> AdditionInput:
    given: dict[str, object] = {"product_id": world.lease.pk, "effective_date": JAN_1, "unit_price": D("150"), **fields}
    return AdditionInput(**given)  # type: ignore[arg-type]


def billed(agreement: Agreement, start: date | None = None, **fields: object) -> Invoice:
    return invoice_agreement(actor=FINANCE, agreement_id=agreement.pk, period_start=start, **fields)  # type: ignore[arg-type]


def refusal(agreement: Agreement, start: date | None = None) -> DomainError:
    with pytest.raises(DomainError) as refused:
        billed(agreement, start)
    return refused.value


def test_a_month_of_the_lease_is_150_and_6_percent_tax(world: World) -> None:
    invoice = billed(lease_of(world))

    assert (invoice.status, invoice.number, invoice.date, invoice.due_date) == (
        "draft", None, JAN_1, date(2026, 1, 31),
    )  # fmt: skip
    assert (invoice.period_start, invoice.period_end, invoice.bill_to_name) == (JAN_1, FEB_1, "Acme Corp")
    assert (invoice.subtotal, invoice.tax_total, invoice.total) == (D("150.00"), D("9.00"), D("159.00"))
    (line,) = invoice.lines.all()
    assert (line.quantity, line.unit_price, line.tax_amount) == (D("1"), D("150"), D("9.00"))
    assert line.explanation == "1 × 150.00 for Jan 2026 = 150.00"
    (tax,) = invoice.taxes.all()
    assert (tax.level, tax.agency, tax.taxable_amount, tax.amount) == (
        "Michigan", "MI Dept of Treasury", D("150.00"), D("9.00"),
    )  # fmt: skip


def test_we_18_billing_amount_and_the_additions_beyond_what_is_included(world: World) -> None:
    seats = addition(world, quantity=D("25"), less_included=D("5"), unit_price=D("10"))

    invoice = billed(lease_of(world, billing_amount=D("500"), additions=[seats]))

    assert invoice.subtotal == D("700.00")
    assert [(line.description, line.amount) for line in invoice.lines.all()] == [
        ("Server lease", D("500.00")),
        (world.lease.description, D("200.00")),
    ]
    assert invoice.lines.last().explanation == "25 less 5 included: 20 × 10.00 for Jan 2026 = 200.00"  # type: ignore[union-attr]
    assert invoice.tax_total == D("12.00")  # the billing amount is not taxable


def test_only_additions_in_effect_are_billed(world: World) -> None:
    additions = [
        addition(world, description="always"),
        addition(world, description="from February", effective_date=FEB_1),
        addition(world, description="January only", cancelled_date=date(2026, 1, 31)),
        addition(world, description="cost only", billing_option="DoNotBill"),
        addition(world, description="free", billing_option="NoCharge"),
    ]
    agreement = lease_of(world, additions=additions)

    def lines(invoice: Invoice) -> list[tuple[str, Decimal]]:
        return [(line.description, line.amount) for line in invoice.lines.all()]

    assert lines(billed(agreement)) == [("always", D("150")), ("January only", D("150")), ("free", D("0"))]
    assert lines(billed(agreement)) == [("always", D("150")), ("from February", D("150")), ("free", D("0"))]


def test_a_period_is_invoiced_once(world: World) -> None:
    agreement = lease_of(world)
    billed(agreement, JAN_1)

    error = refusal(agreement, JAN_1)

    assert (error.code, error.message) == ("already_invoiced", f"{agreement} is invoiced for Jan 2026 already.")
    assert billed(agreement).period_start == FEB_1


def test_a_deleted_draft_gives_its_period_back(world: World) -> None:
    agreement = lease_of(world)
    draft = billed(agreement, JAN_1)

    delete_draft_invoice(actor=FINANCE, invoice_id=draft.pk)

    assert billed(agreement).period_start == JAN_1


def test_periods_start_where_the_agreement_counts_them(world: World) -> None:
    error = refusal(lease_of(world), date(2026, 1, 15))
    assert (error.code, error.hint) == ("invalid", "Its periods are counted from 1 Jan 2026.")


def test_a_quarterly_agreement_bills_quarters(world: World) -> None:
    agreement = lease_of(world, billing_cycle="month:3")
    periods = [(invoice.period_start, invoice.period_end) for invoice in (billed(agreement), billed(agreement))]
    assert periods == [(JAN_1, APR_1), (APR_1, date(2026, 7, 1))]


def test_nothing_is_billed_after_the_end_or_the_cancellation(world: World) -> None:
    ending = lease_of(world, end_date=date(2026, 2, 28))
    billed(ending), billed(ending)
    error = refusal(ending)
    assert (error.code, error.message) == ("wrong_state", f"{ending} is invoiced to its end; nothing is left to bill.")

    cancelled = lease_of(world)
    cancel_agreement(actor=SALES, agreement_id=cancelled.pk, on=date(2026, 1, 31), reason="Moved away")
    billed(cancelled)
    assert refusal(cancelled, FEB_1).code == "invalid"
    assert unbilled_periods(through=date(2027, 1, 1)) == []


def test_an_agreement_with_nothing_to_bill_is_refused(world: World) -> None:
    assert refusal(lease_of(world, additions=[])).code == "invalid"


def test_a_slip_of_the_year_bills_nothing(world: World) -> None:
    lease_of(world)
    with pytest.raises(DomainError, match="The books do not reach 1 Mar 2206") as refused:
        invoice_agreements_through(actor=FINANCE, through=date(2206, 3, 1))
    assert refused.value.field == "through"
    assert not Invoice.objects.exists()


@pytest.mark.parametrize(("through", "periods"), [(MAR_31, 3), (APR_1, 4), (date(2025, 12, 31), 0)])
def test_we_19_through_a_date_bills_what_has_begun_by_then(world: World, through: date, periods: int) -> None:
    lease_of(world)

    assert [row.amount for row in unbilled_periods(through=through)] == [D("150.00")] * periods
    run = invoice_agreements_through(actor=FINANCE, through=through)
    assert (len(run.invoices), run.parked) == (periods, ())
    assert invoice_agreements_through(actor=FINANCE, through=through).invoices == ()
    assert Invoice.objects.count() == periods


def test_an_agreement_that_cannot_be_billed_is_left_out_and_the_others_go_on(world: World) -> None:
    bad, good = lease_of(world), lease_of(world)
    Agreement.objects.filter(pk=bad.pk).update(bill_to=world.my_company)

    run = invoice_agreements_through(actor=FINANCE, through=FEB_1)

    assert [invoice.agreement for invoice in run.invoices] == [good, good]
    assert [(parked.agreement, parked.reason.code) for parked in run.parked] == [
        (bad.number, "my_company_not_billable")
    ]


def test_an_internal_company_is_billed_without_a_price_only(world: World) -> None:
    agreement = lease_of(world)
    Agreement.objects.filter(pk=agreement.pk).update(bill_to=world.internal)

    assert refusal(agreement).code == "price_on_internal_company"
    assert not Invoice.objects.exists()


def test_the_tax_code_of_the_site_goes_before_that_of_the_company(world: World) -> None:
    county = TaxCode.objects.create(identifier="OH7", description="Ohio and county")
    TaxLevel.objects.create(tax_code=county, position=1, name="Ohio", rate=D("0.0575"), agency="Ohio")
    TaxLevel.objects.create(tax_code=county, position=2, name="County", rate=D("0.0125"), agency="County")
    site = Site.objects.create(company=world.acme, name="Ohio", tax_code=county)

    invoice = billed(lease_of(world, site_id=site.pk))

    assert [(tax.level, tax.amount) for tax in invoice.taxes.all()] == [("Ohio", D("8.63")), ("County", D("1.87"))]
    assert invoice.total == D("160.50")


def test_the_invoice_date_can_be_chosen_and_moves_the_due_date(world: World) -> None:
    invoice = billed(lease_of(world), invoice_date=date(2026, 1, 20))
    assert (invoice.date, invoice.due_date) == (date(2026, 1, 20), date(2026, 2, 19))
