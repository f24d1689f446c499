"""What people do with agreements and additions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.db.models import Max

from counterfoil.agreements import queries
from counterfoil.agreements.models import (
    Addition,
    Agreement,
    AgreementStatus,
    AgreementType,
    BillingOption,
    BillingState,
)
from counterfoil.catalog.models import Product, ProductClass
from counterfoil.catalog.policies import cycle_code
from counterfoil.catalog.queries import products_for_lines
from counterfoil.companies.models import Company
from counterfoil.companies.policies import ensure_active, ensure_billable, ensure_customer
from counterfoil.companies.queries import bill_to_of, site_of, tax_code_id_of
from counterfoil.core.calendar import Cycle, format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, format_money, multiply, sum_money
from counterfoil.core.states import check_transition
from counterfoil.platform import audit
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.numbering import take_number
from counterfoil.platform.records import (
    UNSET,
    Unset,
    change,
    changes_in_words,
    check_fields,
    fetch,
    plain_number,
    refuse_negative,
    save_checked,
)

OFFICE = (Role.SALES, Role.FINANCE)

refuse_as("agreements_agreementtype_name_key", "duplicate", "There is an agreement type of that name already.")


@dataclass(frozen=True, slots=True)
class AdditionInput:
    """An addition as it is entered; what is left empty comes from the product or the agreement.

    Attributes:
        product_id: what is billed; any class but Bundle.
        quantity: in the product's unit.
        unit_price: per unit and billing cycle of the agreement.
        unit_cost: likewise.
        description: one line.
        invoice_text: more, for the invoice.
        less_included: how many units the agreement covers already.
        billing_option: Billable, DoNotBill or NoCharge.
        taxable: whether sales tax applies.
        effective_date: first day it is billed for.
        cancelled_date: last day it is billed for, where it is known.
        serial_number: of the unit leased.
        origin_id: the quote line it comes from.
    """

    product_id: int
    quantity: Decimal = Decimal(1)
    unit_price: Decimal | None = None
    unit_cost: Decimal | None = None
    description: str | None = None
    invoice_text: str = ""
    less_included: Decimal = Decimal(0)
    billing_option: str = BillingOption.BILLABLE
    taxable: bool | None = None
    effective_date: date | None = None
    cancelled_date: date | None = None
    serial_number: str = ""
    origin_id: int | None = None


@command(roles=OFFICE)
def create_agreement_type(*, actor: Actor, name: str, description: str = "") -> AgreementType:
    """Add a template of agreements; GL accounts can be mapped to it.

    Raises:
        DomainError: ``required``, ``invalid``, ``duplicate``.
    """
    kind = AgreementType(name=name.strip(), description=description.strip())
    save_checked(kind)
    audit.record(actor, "agreements.type.created", f"added the agreement type {kind.name}", kind)
    return kind


@command(roles=OFFICE)
def create_agreement(
    *,
    actor: Actor,
    company_id: int,
    agreement_type_id: int,
    name: str,
    start_date: date,
    end_date: date | None = None,
    billing_cycle: str = "month:1",
    first_billing_date: date | None = None,
    bill_to_id: int | None = None,
    site_id: int | None = None,
    billing_amount: Decimal = ZERO,
    billing_amount_taxable: bool = False,
    tax_code_id: int | None = None,
    terms_id: int | None = None,
    customer_po: str = "",
    opportunity_id: int | None = None,
    additions: Sequence[AdditionInput] = (),
) -> Agreement:
    """Make an agreement: what a customer is billed for in every cycle.

    Args:
        actor: who makes it.
        company_id: the customer.
        agreement_type_id: its template.
        name: prints on the invoice.
        start_date: first day.
        end_date: last day; empty means no ending date.
        billing_cycle: ``month:1`` or ``monthly``; prices of additions are for one cycle.
        first_billing_date: cycles are counted from here; the start date when it is not given.
        bill_to_id: who gets the invoices; the company's bill-to when it is not given.
        site_id: where it is for; its tax code goes before the company's.
        billing_amount: billed every cycle beside the additions.
        billing_amount_taxable: whether sales tax applies to it.
        tax_code_id: the site's or the company's when it is not given.
        terms_id: the bill-to's or the company's when they are not given.
        customer_po: the customer's order number.
        opportunity_id: what it was sold with.
        additions: what is billed with it.

    Raises:
        DomainError: ``my_company_not_billable``, ``price_on_internal_company``, ``bundle_as_addition``, ``required``,
            ``invalid``, ``not_found``.
    """
    company = fetch(Company, company_id, field="company_id")
    ensure_customer(company)
    site = site_of(company, site_id)
    bill_to = bill_to_of(company) if bill_to_id is None else fetch(Company, bill_to_id, field="bill_to_id")
    ensure_active(bill_to, "bill_to_id")
    refuse_negative({"billing_amount": billing_amount})
    kind = fetch(AgreementType, agreement_type_id, field="agreement_type_id")
    agreement = Agreement(
        number=take_number("agreement"),
        name=name.strip(),
        type=kind,
        company=company,
        bill_to=bill_to,
        site=site,
        opportunity_id=opportunity_id,
        start_date=start_date,
        end_date=end_date,
        billing_cycle=cycle_code(billing_cycle),
        bill_start_date=first_billing_date or start_date,
        billing_amount=billing_amount,
        billing_amount_taxable=billing_amount_taxable,
        tax_code_id=tax_code_id_of(company, site) if tax_code_id is None else tax_code_id,
        terms_id=terms_id or bill_to.terms_id or company.terms_id,
        customer_po=customer_po.strip(),
    )
    _check_dates(agreement)
    save_checked(agreement)
    BillingState.objects.create(agreement=agreement, due_on=agreement.bill_start_date)
    until = f" to {format_date(end_date)}" if end_date else ", no ending date"
    audit.record(
        actor, "agreements.agreement.created",
        f"made agreement {agreement.number}, {agreement.name}, for {company.name}:"
        f" {Cycle.parse(agreement.billing_cycle).label.lower()} from {format_date(agreement.bill_start_date)}{until}",
        agreement,
    )  # fmt: skip
    _add_additions(actor, agreement, additions)
    return agreement


def _check_dates(agreement: Agreement) -> None:
    if agreement.end_date is not None and agreement.end_date < agreement.start_date:
        raise DomainError(
            "invalid", f"The agreement cannot end before it starts on {format_date(agreement.start_date)}.",
            field="end_date",
        )  # fmt: skip
    if agreement.bill_start_date < agreement.start_date:
        raise DomainError(
            "invalid", f"The first billing date lies before the start, {format_date(agreement.start_date)}.",
            field="first_billing_date",
        )  # fmt: skip
    if agreement.end_date is not None and agreement.end_date < agreement.bill_start_date:
        raise DomainError(
            "invalid",
            f"It would end before its first billing date, {format_date(agreement.bill_start_date)}, and bill nothing.",
            field="end_date",
        )


@command(roles=OFFICE)
def update_agreement(
    *,
    actor: Actor,
    agreement_id: int,
    name: str | Unset = UNSET,
    end_date: date | Unset | None = UNSET,
    bill_to_id: int | Unset = UNSET,
    site_id: int | Unset | None = UNSET,
    billing_amount: Decimal | Unset = UNSET,
    billing_amount_taxable: bool | Unset = UNSET,
    tax_code_id: int | Unset | None = UNSET,
    terms_id: int | Unset | None = UNSET,
    customer_po: str | Unset = UNSET,
) -> Agreement:
    """Change what is given of an agreement, for the periods not invoiced yet. Its cycle and dates of billing stay.

    Raises:
        DomainError: ``wrong_state`` unless it is active; ``already_invoiced`` for an end before what has been billed;
            and as :func:`create_agreement`.
    """
    agreement = _active_agreement(agreement_id)
    changes = change(
        agreement,
        name=name,
        end_date=end_date,
        bill_to_id=bill_to_id,
        site_id=site_id,
        billing_amount=billing_amount,
        billing_amount_taxable=billing_amount_taxable,
        tax_code_id=tax_code_id,
        terms_id=terms_id,
        customer_po=customer_po,
    )
    refuse_negative({"billing_amount": agreement.billing_amount})
    site_of(agreement.company, agreement.site_id)
    _check_dates(agreement)
    if "end_date" in changes and agreement.end_date is not None:
        _refuse_before_billed(agreement, agreement.end_date, "end_date")
    if "bill_to_id" in changes:
        ensure_active(fetch(Company, agreement.bill_to_id, field="bill_to_id"), "bill_to_id")
    _ensure_priced_right(agreement, agreement.additions.all())
    save_checked(agreement)
    audit.record(
        actor, "agreements.agreement.changed", f"changed {agreement.number}: {changes_in_words(changes)}", agreement
    )
    return agreement


@command(roles=OFFICE)
def cancel_agreement(*, actor: Actor, agreement_id: int, on: date, reason: str) -> Agreement:
    """End an agreement before its time. ``on`` is the last day it is billed for.

    Raises:
        DomainError: ``wrong_state`` unless it is active; ``required`` without a reason; ``invalid`` before its start;
            ``already_invoiced`` when a later day has been billed.
    """
    agreement = fetch(Agreement, agreement_id, lock=True)
    check_transition("agreement", agreement.number, agreement.status, AgreementStatus.CANCELLED)
    if not reason.strip():
        raise DomainError("required", "Say why the agreement is cancelled.", field="reason")
    if on < agreement.start_date - timedelta(days=1):
        raise DomainError(
            "invalid", f"{agreement.number} starts on {format_date(agreement.start_date)}; it cannot end before.",
            field="on",
        )  # fmt: skip
    _refuse_before_billed(agreement, on, "on")
    agreement.status = AgreementStatus.CANCELLED
    agreement.cancelled_on = on
    agreement.cancel_reason = reason.strip()
    check_fields(agreement, relations=False)
    agreement.save(update_fields=["status", "cancelled_on", "cancel_reason"])
    audit.record(
        actor, "agreements.agreement.cancelled",
        f"cancelled {agreement.number} with {format_date(on)} as its last day: {agreement.cancel_reason}", agreement,
    )  # fmt: skip
    return agreement


def _refuse_before_billed(agreement: Agreement, last_day: date, field: str) -> None:
    billed_to = queries.billed_through(agreement)
    if billed_to is not None and last_day < billed_to:
        raise DomainError(
            "already_invoiced",
            f"{agreement.number} has been billed through {format_date(billed_to)}.",
            field=field,
            hint="Choose that day or a later one.",
        )


# -- additions ---------------------------------------------------------------------------------------------------------


@command(roles=OFFICE)
def add_addition(*, actor: Actor, agreement_id: int, addition: AdditionInput) -> Addition:
    """Bill a product with an agreement.

    Raises:
        DomainError: ``bundle_as_addition``; ``wrong_state`` unless the agreement is active;
            ``price_on_internal_company``; ``required``, ``invalid``, ``not_found``.
    """
    return _add_additions(actor, _active_agreement(agreement_id), [addition])[0]


def _add_additions(actor: Actor, agreement: Agreement, inputs: Sequence[AdditionInput]) -> list[Addition]:
    products = products_for_lines(given.product_id for given in inputs)
    last = agreement.additions.aggregate(last=Max("position"))["last"] or 0
    additions = []
    for index, given in enumerate(inputs):
        product = products[given.product_id]
        addition = Addition(
            agreement=agreement,
            position=last + index + 1,
            product=product,
            description=(given.description if given.description is not None else product.description).strip(),
            invoice_text=given.invoice_text.strip(),
            quantity=given.quantity,
            less_included=given.less_included,
            unit_price=product.price if given.unit_price is None else given.unit_price,
            unit_cost=product.cost if given.unit_cost is None else given.unit_cost,
            billing_option=given.billing_option,
            taxable=product.taxable if given.taxable is None else given.taxable,
            effective_date=given.effective_date or agreement.start_date,
            cancelled_date=given.cancelled_date,
            serial_number=given.serial_number.strip(),
            origin_id=given.origin_id,
        )
        _refuse_bundle(product, f"lines[{index}].product_id")
        _check_addition(addition, prefix=f"lines[{index}].")
        additions.append(addition)
        audit.record(
            actor, "agreements.addition.added",
            f"added {plain_number(addition.quantity)} × {product.identifier} at {format_money(addition.unit_price)}"
            f" per cycle to {agreement.number} from {format_date(addition.effective_date)}",
            agreement,
        )  # fmt: skip
    _ensure_priced_right(agreement, [*agreement.additions.all(), *additions])
    return Addition.objects.bulk_create(additions)


def _refuse_bundle(product: Product, field: str) -> None:
    if product.product_class == ProductClass.BUNDLE:
        raise DomainError(
            "bundle_as_addition",
            f"{product.identifier} is a bundle; a bundle cannot be an addition.",
            field=field,
            hint="Add the products it is made of.",
        )


def _check_addition(addition: Addition, prefix: str = "") -> None:
    refuse_negative(
        {
            "quantity": addition.quantity,
            "less_included": addition.less_included,
            "unit_price": addition.unit_price,
            "unit_cost": addition.unit_cost,
        },
        prefix,
    )
    if addition.less_included > addition.quantity:
        raise DomainError(
            "invalid",
            f"{plain_number(addition.less_included)} cannot be included of {plain_number(addition.quantity)}.",
            field=f"{prefix}less_included",
        )
    if addition.effective_date < addition.agreement.start_date:
        raise DomainError(
            "invalid",
            f"The addition cannot start before the agreement, on {format_date(addition.agreement.start_date)}.",
            field=f"{prefix}effective_date",
        )
    if addition.cancelled_date is not None and addition.cancelled_date < addition.effective_date:
        raise DomainError(
            "invalid",
            f"The last day cannot lie before the first, {format_date(addition.effective_date)}.",
            field=f"{prefix}cancelled_date",
        )
    check_fields(addition, prefix=prefix, relations=False)


def _ensure_priced_right(agreement: Agreement, additions: Iterable[Addition]) -> None:
    prices = [
        multiply(addition.quantity - addition.less_included, addition.unit_price)
        for addition in additions
        if addition.billing_option == BillingOption.BILLABLE
    ]
    ensure_billable(agreement.company, agreement.bill_to, price_total=sum_money([agreement.billing_amount, *prices]))


@command(roles=OFFICE)
def update_addition(
    *,
    actor: Actor,
    addition_id: int,
    description: str | Unset = UNSET,
    invoice_text: str | Unset = UNSET,
    quantity: Decimal | Unset = UNSET,
    less_included: Decimal | Unset = UNSET,
    unit_price: Decimal | Unset = UNSET,
    unit_cost: Decimal | Unset = UNSET,
    billing_option: str | Unset = UNSET,
    taxable: bool | Unset = UNSET,
    effective_date: date | Unset = UNSET,
    cancelled_date: date | Unset | None = UNSET,
    serial_number: str | Unset = UNSET,
) -> Addition:
    """Change what is given of an addition, for the periods not invoiced yet; invoices keep what they say.

    Raises:
        DomainError: ``wrong_state`` unless the agreement is active; ``already_invoiced`` for another effective date
            once it has been billed, or a last day before what has been billed; ``invalid``;
            ``price_on_internal_company``.
    """
    agreement = _active_agreement(fetch(Addition, addition_id).agreement_id)
    addition = fetch(Addition, addition_id)
    addition.agreement = agreement
    changes = change(
        addition,
        description=description,
        invoice_text=invoice_text,
        quantity=quantity,
        less_included=less_included,
        unit_price=unit_price,
        unit_cost=unit_cost,
        billing_option=billing_option,
        taxable=taxable,
        effective_date=effective_date,
        cancelled_date=cancelled_date,
        serial_number=serial_number,
    )
    _check_addition(addition)
    billed_to = queries.addition_billed_through(addition)
    if billed_to is not None and "effective_date" in changes:
        raise DomainError(
            "already_invoiced", f"{addition.description} has been billed; its effective date stays.",
            field="effective_date",
        )  # fmt: skip
    if billed_to is not None and addition.cancelled_date is not None and addition.cancelled_date < billed_to:
        raise DomainError(
            "already_invoiced", f"{addition.description} has been billed through {format_date(billed_to)}.",
            field="cancelled_date", hint="Choose that day or a later one.",
        )  # fmt: skip
    _ensure_priced_right(agreement, [*agreement.additions.exclude(pk=addition.pk), addition])
    addition.save()
    audit.record(
        actor, "agreements.addition.changed",
        f"changed {addition.description} on {agreement.number}: {changes_in_words(changes)}", agreement,
    )  # fmt: skip
    return addition


@command(roles=OFFICE)
def cancel_addition(*, actor: Actor, addition_id: int, on: date) -> Addition:
    """Stop billing an addition; ``on`` is the last day it is billed for.

    Raises:
        DomainError: as :func:`update_addition`.
    """
    return update_addition(actor=actor, addition_id=addition_id, cancelled_date=on)


def _active_agreement(agreement_id: int) -> Agreement:
    agreement = fetch(Agreement, agreement_id, lock=True)
    if agreement.status != AgreementStatus.ACTIVE:
        raise DomainError("wrong_state", f"{agreement.number} is {agreement.status}; it can no longer be changed.")
    return agreement
