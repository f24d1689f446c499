"""Paying the sales tax of invoices to its agencies."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from counterfoil.billing.models import InvoiceTax
from counterfoil.billing.queries import tax_owed
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, format_money
from counterfoil.core.posting import TaxAmount, post_tax_remittance
from counterfoil.ledger.banks import bank_account, paid_through
from counterfoil.ledger.commands import Posting, post_drafts
from counterfoil.platform import audit
from counterfoil.platform.amounts import check_amount
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.numbering import take_number
from counterfoil.tax.models import TaxLevel, TaxRemittance


@command(roles=(Role.FINANCE,))
def remit_sales_tax(
    *,
    actor: Actor,
    agency: str,
    on: date,
    amount: Decimal,
    bank_account_id: int | None = None,
    reference: str = "",
) -> TaxRemittance:
    """Pay sales tax to its agency, and book it: Dr sales tax payable / Cr bank.

    Args:
        actor: who pays.
        agency: whom it is paid to, as on the levels of tax codes or on invoices.
        on: the day it is paid.
        amount: no more than the books owe the agency on that day.
        bank_account_id: where it is paid from; ``None`` is the default bank account.
        reference: the confirmation number or the like.

    Raises:
        DomainError: ``not_found`` for an agency no tax level names; ``invalid`` for more than is owed;
            ``period_closed``, ``period_missing``, ``gl_mapping_missing``.
    """
    agency = agency.strip()
    if not any(rows.objects.filter(agency=agency).exists() for rows in (TaxLevel, InvoiceTax)):
        raise DomainError("not_found", f"No tax level names “{agency}” as its agency.", field="agency")
    check_amount(amount, "amount")
    bank = bank_account(bank_account_id)
    number = take_number("tax_remittance")  # holds the sequence: remittances follow one another
    owed = next((row.owed for row in tax_owed(through=on) if row.agency == agency), ZERO)
    if amount > owed:
        raise DomainError(
            "invalid",
            f"{format_money(owed)} of sales tax is owed to {agency} on {format_date(on)};"
            f" {format_money(amount)} cannot be paid.",
            field="amount",
            hint="Transfer the unposted invoices first, so that their tax is in the books.",
        )
    remittance = TaxRemittance.objects.create(
        number=number, agency=agency, date=on, amount=amount, bank_account=bank, reference=reference.strip()
    )
    draft = post_tax_remittance(
        accounts=paid_through(bank),
        on=on,
        source_id=remittance.pk,
        taxes=[TaxAmount(agency, amount)],
        memo=f"Sales tax {number} to {agency}",
    )
    assert draft is not None  # a remittance is above zero
    post_drafts([Posting(draft, source_label=number)], actor=actor)
    text = f"remitted {format_money(amount)} of sales tax to {agency} on {format_date(on)}"
    audit.record(actor, "tax.remittance.recorded", text, remittance)
    return remittance
