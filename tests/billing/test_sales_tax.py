"""Sales tax on invoices: the table of their day, exemptions, certificates, what an agreement covers."""

from __future__ import annotations

from datetime import date

import pytest
from tests.trade import NOW, D, order_of, transfer
from tests.world import FINANCE, World, build_world

from counterfoil.accounting.tax_report import tax_report
from counterfoil.accounting.verification import verify
from counterfoil.billing.commands import close_invoice, credit_invoice, invoice_sales_order
from counterfoil.billing.credits import CreditLine
from counterfoil.billing.drafts import write_draft
from counterfoil.billing.models import Invoice, InvoiceLine
from counterfoil.billing.printing import printed_invoice
from counterfoil.billing.queries import tax_owed
from counterfoil.core.errors import DomainError
from counterfoil.ledger.models import AccountType
from counterfoil.ledger.queries import balance_of_types
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


@pytest.mark.parametrize(
    ("shown", "caption", "levels", "words"),
    [
        (True, "State tax", ["Michigan"], "State tax"),
        (False, "State tax", [], "State tax"),
        (False, "", [], "Sales tax"),
    ],
)
def test_the_document_shows_each_level_or_one_sum(
    world: World, shown: bool, caption: str, levels: list[str], words: str
) -> None:
    update_tax_code(actor=FINANCE, tax_code_id=world.tax6.pk, shown=shown, caption=caption)
    printed = printed_invoice(draft(world, "100").pk)
    assert ([tax.level for tax in printed.taxes], printed.tax_caption, printed.tax_total) == (levels, words, D("6.00"))


# -- credit memos ------------------------------------------------------------------------------------------------------


def test_a_credit_memo_has_the_rate_of_the_invoice_after_the_rate_has_changed(world: World) -> None:
    """100.00 at 6 % in January; in February it is 6.5 %: what comes back is 6.00, in two parts 1.80 and 4.20."""
    invoice = close_invoice(actor=FINANCE, invoice_id=draft(world, "100").pk, now=NOW)
    raised = [TaxLevelInput("Michigan", D("0.065"), AGENCY)]
    update_tax_code(actor=FINANCE, tax_code_id=world.tax6.pk, levels=raised, levels_from=FEB_1)
    line = invoice.lines.get()
    part = credit(invoice, CreditLine(line.pk, amount=D("30")))
    assert taxes(part) == [("Michigan", "-30.00", "0.00", "-1.80")]
    rest = credit(invoice)
    assert taxes(rest) == [("Michigan", "-70.00", "0.00", "-4.20")]
    assert part.total + rest.total == -invoice.total


def test_a_credit_of_an_exempt_sale_takes_exempt_sales_back(world: World) -> None:
    add_exemption_certificate(
        actor=FINANCE, company_id=world.acme.pk, number="R-1", reason="Resale", valid_from=date(2026, 1, 1)
    )
    invoice = close_invoice(actor=FINANCE, invoice_id=draft(world, "100").pk, now=NOW)
    assert taxes(credit(invoice)) == [("Michigan", "0.00", "-100.00", "0.00")]


def test_invoices_and_credits_tie_to_the_ledger(world: World) -> None:
    """Two levels, thirds of a cent, credited in parts: report, remittances and ledger say the same."""
    levels = [TaxLevelInput("Michigan", D("0.06"), AGENCY), TaxLevelInput("City", D("0.0133"), "City Hall")]
    update_tax_code(actor=FINANCE, tax_code_id=world.tax6.pk, levels=levels)
    invoices = [
        close_invoice(actor=FINANCE, invoice_id=draft(world, price).pk, now=NOW) for price in ("33.37", "9.99", "0.07")
    ]
    credit(invoices[0], CreditLine(invoices[0].lines.get().pk, amount=D("11.11")))
    credit(invoices[0])
    credit(invoices[1], CreditLine(invoices[1].lines.get().pk, amount=D("3.33")))
    transfer(date(2026, 2, 28))
    found = tax_report(first=date(2026, 1, 1), last=date(2026, 2, 28))
    assert (found.other, sum(row.owed for row in found.rows)) == (0, found.balance)
    assert found.balance == -balance_of_types(AccountType.SALES_TAX)
    assert {row.agency: row.owed for row in tax_owed(through=date(2026, 2, 28))} == {
        agency: sum(row.owed for row in found.rows if row.agency == agency) for agency in (AGENCY, "City Hall")
    }
    assert next(check for check in verify() if check.name == "sales_tax").ok


def credit(invoice: Invoice, *lines: CreditLine) -> Invoice:
    """A closed credit memo of February."""
    memo = credit_invoice(actor=FINANCE, invoice_id=invoice.pk, on=FEB_1, reason="Returned", lines=lines)
    return close_invoice(actor=FINANCE, invoice_id=memo.pk, now=NOW)
