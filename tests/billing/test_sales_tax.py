"""Sales tax on invoices: the table of their day, exemptions, certificates, what an agreement covers."""

from __future__ import annotations

from datetime import date

import pytest
from tests.trade import D, order_of
from tests.world import FINANCE, World, build_world

from counterfoil.billing.commands import invoice_sales_order
from counterfoil.billing.drafts import write_draft
from counterfoil.billing.models import Invoice, InvoiceLine
from counterfoil.core.errors import DomainError
from counterfoil.tax.commands import (
    TaxExemptionInput,
    TaxLevelInput,
    add_exemption_certificate,
    update_tax_code,
)

pytestmark = pytest.mark.django_db
JAN_31, FEB_1 = date(2026, 1, 31), date(2026, 2, 1)
AGENCY = "MI Dept of Treasury"


@pytest.fixture
def world() -> World:
    return build_world()


def draft(world: World, price: str, on: date = JAN_31) -> Invoice:
    line = order_of(world, world.server_noninventory, price=price)
    return invoice_sales_order(actor=FINANCE, order_id=line.order_id, on=on)


def drafted(world: World, *lines: InvoiceLine) -> Invoice:
    """A draft of these lines to Acme."""
    invoice = Invoice(
        type="standard", company=world.acme, bill_to=world.acme, bill_to_kind=world.acme.kind,
        bill_to_name=world.acme.name, date=JAN_31, due_date=JAN_31, tax_code=world.tax6,
    )  # fmt: skip
    return write_draft(invoice, lines)


def taxes(invoice: Invoice) -> list[tuple[str, str, str, str]]:
    """(level, taxable, exempt, tax) of an invoice."""
    return [
        (x.level, f"{x.taxable_amount:.2f}", f"{x.exempt_amount:.2f}", f"{x.amount:.2f}") for x in invoice.taxes.all()
    ]


def test_the_rate_is_that_of_the_date_of_the_invoice(world: World) -> None:
    raised = [TaxLevelInput("Michigan", D("0.065"), AGENCY)]
    update_tax_code(actor=FINANCE, tax_code_id=world.tax6.pk, levels=raised, levels_from=FEB_1)
    assert [draft(world, "100", on).tax_total for on in (JAN_31, FEB_1)] == [D("6.00"), D("6.50")]


def test_an_exempt_category_is_told_from_what_is_taxed(world: World) -> None:
    exempt = TaxExemptionInput(category_id=world.server_noninventory.category_id)
    update_tax_code(actor=FINANCE, tax_code_id=world.tax6.pk, exemptions=[exempt])
    invoice = draft(world, "100")
    assert (invoice.tax_total, invoice.total) == (D("0.00"), D("100.00"))
    assert taxes(invoice) == [("Michigan", "0.00", "100.00", "0.00")]


def test_a_certificate_of_the_bill_to_frees_its_invoices_while_it_counts(world: World) -> None:
    add_exemption_certificate(
        actor=FINANCE, company_id=world.acme.pk, number="R-1", reason="Resale", valid_from=date(2026, 1, 1),
        expires_on=JAN_31, state="",
    )  # fmt: skip
    free, taxed = draft(world, "100", JAN_31), draft(world, "100", FEB_1)
    assert taxes(free) == [("Michigan", "0.00", "100.00", "0.00")]
    assert taxes(taxed) == [("Michigan", "100.00", "0.00", "6.00")]


def test_nothing_is_billed_without_tax_because_its_code_was_cancelled(world: World) -> None:
    update_tax_code(actor=FINANCE, tax_code_id=world.tax6.pk, cancel_date=FEB_1)
    assert draft(world, "100", JAN_31).tax_total == D("6.00")
    with pytest.raises(DomainError) as refused:
        draft(world, "100", FEB_1)
    assert refused.value.code == "tax_code_not_in_effect"
    assert Invoice.objects.count() == 1


def test_what_an_agreement_covers_bears_no_tax_and_the_rest_does(world: World) -> None:
    """Four hours at 100.00, half of them covered: tax on 200.00."""
    covered = InvoiceLine(
        kind="service", description="Work, covered", quantity=D("2"), unit_price=D("100"), covered_quantity=D("2"),
        covered_amount=D("200"), amount=D("0"),
    )  # fmt: skip
    excess = InvoiceLine(kind="service", description="Work", quantity=D("2"), unit_price=D("100"), amount=D("200"))
    invoice = drafted(world, covered, excess)
    assert taxes(invoice) == [("Michigan", "200.00", "0.00", "12.00")]
    assert [line.tax_amount for line in invoice.lines.all()] == [D("0.00"), D("12.00")]


def test_we_17_a_covered_article_leaves_the_caps_of_the_others(world: World) -> None:
    """Of three articles at 2,000.00 one is covered: two are taxed, each up to 1,600.00."""
    level = TaxLevelInput("Local", D("0.025"), AGENCY, single_unit_maximum=D("1600"))
    update_tax_code(actor=FINANCE, tax_code_id=world.tax6.pk, levels=[level])
    line = InvoiceLine(
        kind="product", description="Server", quantity=D("3"), unit_price=D("2000"), covered_quantity=D("1"),
        covered_amount=D("2000"), amount=D("4000"),
    )  # fmt: skip
    assert taxes(drafted(world, line)) == [("Local", "3200.00", "0.00", "80.00")]


def test_services_that_are_not_taxed_stand_beside_products_that_are(world: World) -> None:
    level = TaxLevelInput("Michigan", D("0.06"), AGENCY, taxes_services=False)
    update_tax_code(actor=FINANCE, tax_code_id=world.tax6.pk, levels=[level])
    lines = [
        InvoiceLine(kind=kind, description=kind, quantity=D("1"), unit_price=D("100"), amount=D("100"))
        for kind in ("service", "product", "expense")
    ]
    assert [line.tax_amount for line in drafted(world, *lines).lines.all()] == [D("0.00"), D("6.00"), D("6.00")]
