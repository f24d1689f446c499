"""What people do with time, expenses and products used for customers, and with what agreements cover of them.

Whatever is entered, changed or taken out, the agreement concerned is decided anew in the same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from counterfoil.agreements.models import Agreement, BillingOption
from counterfoil.catalog.models import ExpenseType, Product, WorkRole, WorkType
from counterfoil.companies.models import Company
from counterfoil.companies.policies import ensure_billable, ensure_customer
from counterfoil.companies.queries import site_of
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money
from counterfoil.platform import audit
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import locked_all
from counterfoil.platform.records import (
    UNSET,
    Unset,
    change,
    check_fields,
    fetch,
    plain_number,
    record_changes,
    save_checked,
)
from counterfoil.usage import allocating, policies
from counterfoil.usage.models import Allocation, Charge, ChargeKind
from counterfoil.usage.rating import RateBook

EVERYBODY = (Role.SALES, Role.PROCUREMENT, Role.FINANCE)
OFFICE = (Role.SALES, Role.FINANCE)

refuse_as("usage_charge_external_id_key", "duplicate", "There is an entry with that external id already.")


@command(roles=EVERYBODY)
def enter_time(
    *,
    actor: Actor,
    company_id: int,
    on: date,
    hours: Decimal,
    description: str,
    work_role_id: int,
    work_type_id: int | None = None,
    agreement_id: int | None = None,
    site_id: int | None = None,
    member: str = "",
    ticket: str = "",
    customer_po: str = "",
    notes: str = "",
    rate: Decimal | None = None,
    billing_option: BillingOption | None = None,
    taxable: bool = True,
    external_id: str = "",
) -> Charge:
    """Enter hours worked for a customer; the agreement, if one is named, covers what it can.

    Args:
        actor: who enters it.
        company_id: the customer.
        on: the day of the work; coverage goes by it, not by the day of entry.
        hours: as worked; what is billed may differ by the minimum, maximum and rounding of the work type.
        description: one line, for the invoice.
        work_role_id: in which capacity.
        work_type_id: what kind of work.
        agreement_id: which agreement is to cover it.
        site_id: where.
        member: who worked.
        ticket: its key; an agreement in incidents counts tickets.
        customer_po: the customer's order number.
        notes: internal.
        rate: an hour's price, before every other rate.
        billing_option: Billable, DoNotBill or NoCharge; as the agreement says when it is not given.
        taxable: whether sales tax applies where it is billed.
        external_id: its key in the system it comes from.

    Raises:
        DomainError: ``required``, ``invalid``, ``not_found``, ``duplicate``, ``my_company_not_billable``,
            ``price_on_internal_company``, with the field.
    """
    charge = Charge(
        kind=ChargeKind.TIME,
        company=fetch(Company, company_id, field="company_id"),
        date=on,
        quantity=hours,
        description=description.strip(),
        work_role=fetch(WorkRole, work_role_id, field="work_role_id"),
        work_type=None if work_type_id is None else fetch(WorkType, work_type_id, field="work_type_id"),
        site_id=site_id,
        member=member.strip(),
        ticket=ticket.strip(),
        customer_po=customer_po.strip(),
        notes=notes.strip(),
        rate_override=rate,
        taxable=taxable,
        external_id=external_id.strip() or None,
    )
    return _enter(actor, charge, agreement_id, billing_option)


@command(roles=EVERYBODY)
def enter_expense(
    *,
    actor: Actor,
    company_id: int,
    on: date,
    expense_type_id: int,
    unit_price: Decimal,
    description: str,
    quantity: Decimal = Decimal(1),
    unit_cost: Decimal | None = None,
    agreement_id: int | None = None,
    site_id: int | None = None,
    member: str = "",
    ticket: str = "",
    customer_po: str = "",
    notes: str = "",
    billing_option: BillingOption | None = None,
    taxable: bool | None = None,
    external_id: str = "",
) -> Charge:
    """Enter an expense made for a customer (miles, meals).

    Args:
        actor: who enters it.
        company_id: the customer.
        on: the day it was made.
        expense_type_id: what for.
        unit_price: what is billed for one (a mile, a meal).
        description: one line, for the invoice.
        quantity: how many.
        unit_cost: what one cost us; the price when it is not given.
        agreement_id: which agreement is to cover it.
        site_id: where.
        member: who spent it.
        ticket: its key.
        customer_po: the customer's order number.
        notes: internal.
        billing_option: Billable, DoNotBill or NoCharge; as the agreement says when it is not given.
        taxable: whether sales tax applies; as the expense type says when it is not given.
        external_id: its key in the system it comes from.

    Raises:
        DomainError: as :func:`enter_time`.
    """
    kind = fetch(ExpenseType, expense_type_id, field="expense_type_id")
    charge = Charge(
        kind=ChargeKind.EXPENSE,
        company=fetch(Company, company_id, field="company_id"),
        date=on,
        quantity=quantity,
        unit_price=unit_price,
        unit_cost=unit_price if unit_cost is None else unit_cost,
        description=description.strip(),
        expense_type=kind,
        site_id=site_id,
        member=member.strip(),
        ticket=ticket.strip(),
        customer_po=customer_po.strip(),
        notes=notes.strip(),
        taxable=kind.taxable if taxable is None else taxable,
        external_id=external_id.strip() or None,
    )
    return _enter(actor, charge, agreement_id, billing_option)


@command(roles=EVERYBODY)
def enter_product(
    *,
    actor: Actor,
    company_id: int,
    on: date,
    product_id: int,
    quantity: Decimal = Decimal(1),
    description: str | None = None,
    unit_price: Decimal | None = None,
    unit_cost: Decimal | None = None,
    agreement_id: int | None = None,
    site_id: int | None = None,
    member: str = "",
    ticket: str = "",
    customer_po: str = "",
    notes: str = "",
    billing_option: BillingOption | None = None,
    taxable: bool | None = None,
    external_id: str = "",
) -> Charge:
    """Enter a product used for a customer that is not kept in stock; stock leaves by a sales order.

    Args:
        actor: who enters it.
        company_id: the customer.
        on: the day it was used.
        product_id: of class NonInventory or Service.
        quantity: in the product's unit.
        description: one line, for the invoice; the product's when it is not given.
        unit_price: the product's when it is not given.
        unit_cost: the product's when it is not given.
        agreement_id: which agreement is to cover it.
        site_id: where.
        member: who used it.
        ticket: its key.
        customer_po: the customer's order number.
        notes: internal.
        billing_option: Billable, DoNotBill or NoCharge; as the agreement says when it is not given.
        taxable: whether sales tax applies; as the product says when it is not given.
        external_id: its key in the system it comes from.

    Raises:
        DomainError: ``wrong_product_class``; and as :func:`enter_time`.
    """
    product = fetch(Product, product_id, field="product_id")
    policies.ensure_usable(product)
    charge = Charge(
        kind=ChargeKind.PRODUCT,
        company=fetch(Company, company_id, field="company_id"),
        date=on,
        quantity=quantity,
        unit_price=product.price if unit_price is None else unit_price,
        unit_cost=product.cost if unit_cost is None else unit_cost,
        description=(product.description if description is None else description).strip(),
        product=product,
        site_id=site_id,
        member=member.strip(),
        ticket=ticket.strip(),
        customer_po=customer_po.strip(),
        notes=notes.strip(),
        taxable=product.taxable if taxable is None else taxable,
        external_id=external_id.strip() or None,
    )
    return _enter(actor, charge, agreement_id, billing_option)


@command(roles=EVERYBODY)
def update_charge(
    *,
    actor: Actor,
    charge_id: int,
    on: date | Unset = UNSET,
    quantity: Decimal | Unset = UNSET,
    description: str | Unset = UNSET,
    agreement_id: int | Unset | None = UNSET,
    site_id: int | Unset | None = UNSET,
    work_role_id: int | Unset = UNSET,
    work_type_id: int | Unset | None = UNSET,
    expense_type_id: int | Unset = UNSET,
    rate: Decimal | Unset | None = UNSET,
    unit_price: Decimal | Unset = UNSET,
    unit_cost: Decimal | Unset = UNSET,
    member: str | Unset = UNSET,
    ticket: str | Unset = UNSET,
    customer_po: str | Unset = UNSET,
    notes: str | Unset = UNSET,
    billing_option: BillingOption | Unset = UNSET,
    taxable: bool | Unset = UNSET,
) -> Charge:
    """Change what is given of time, an expense or a product that is not billed; rate and coverage follow.

    ``quantity`` are the hours of time. Time has a ``rate`` (empty: as the set-up says), the others a ``unit_price``.

    Raises:
        DomainError: ``already_invoiced``, ``wrong_state``; ``invalid`` for what this kind does not have; and as
            :func:`enter_time`.
    """
    charge = _open_charge(charge_id, agreement_id)
    before, earliest = charge.agreement_id, charge.date
    _refuse_of_other_kinds(
        charge,
        time={"work_role_id": work_role_id, "work_type_id": work_type_id, "rate": rate},
        expense={"expense_type_id": expense_type_id},
        priced={"unit_price": unit_price, "unit_cost": unit_cost},
    )
    changes = change(
        charge,
        date=on,
        quantity=quantity,
        description=description,
        agreement_id=agreement_id,
        site_id=site_id,
        work_role_id=work_role_id,
        work_type_id=work_type_id,
        expense_type_id=expense_type_id,
        rate_override=rate,
        unit_price=unit_price,
        unit_cost=unit_cost,
        member=member,
        ticket=ticket,
        customer_po=customer_po,
        notes=notes,
        billing_option=billing_option,
        taxable=taxable,
    )
    check_fields(charge)
    _check_and_price(charge, RateBook([charge.agreement_id]))
    save_checked(charge)
    record_changes(actor, "usage.charge.changed", f"changed {_said(charge)}", changes, charge)
    if charge.agreement_id is None:
        Allocation.objects.filter(charge=charge).delete()
    return _decided(charge, {before, charge.agreement_id}, earliest)


@command(roles=EVERYBODY)
def delete_charge(*, actor: Actor, charge_id: int) -> None:
    """Delete time, an expense or a product that was entered by mistake and is not billed.

    Raises:
        DomainError: ``already_invoiced``, ``wrong_state``, ``not_found``.
    """
    charge = _open_charge(charge_id)
    audit.record(actor, "usage.charge.deleted", f"deleted {_said(charge)}", charge)
    agreement_id, since = charge.agreement_id, allocating.Since(charge.pk, charge.date)
    charge.delete()
    if agreement_id is not None:
        allocating.refresh([agreement_id], since=since)


@command(roles=(Role.FINANCE,))
def write_off_charge(*, actor: Actor, charge_id: int, reason: str, now: datetime) -> Charge:
    """Never bill time, an expense or a product; it draws on no agreement any more, and stays on record.

    Raises:
        DomainError: ``required`` without a reason; ``already_invoiced``, ``wrong_state``, ``not_found``.
    """
    charge = _open_charge(charge_id)
    if not reason.strip():
        raise DomainError("required", "Say why it is written off.", field="reason")
    charge.written_off_at = now
    charge.write_off_reason = reason.strip()
    save_checked(charge)
    Allocation.objects.filter(charge=charge).delete()
    audit.record(
        actor, "usage.charge.written_off",
        f"wrote off {_said(charge)}, worth {format_money(charge.amount)}: {charge.write_off_reason}", charge,
    )  # fmt: skip
    return _decided(charge, {charge.agreement_id})


@command(roles=(Role.FINANCE,))
def restore_charge(*, actor: Actor, charge_id: int) -> Charge:
    """Take a write-off back.

    Raises:
        DomainError: ``wrong_state`` unless it is written off; ``not_found``.
    """
    charge = _locked_charge(charge_id)
    if charge.written_off_at is None:
        raise DomainError("wrong_state", f"“{charge.description}” is not written off.")
    charge.written_off_at = None
    charge.write_off_reason = ""
    charge.save(update_fields=["written_off_at", "write_off_reason"])
    audit.record(actor, "usage.charge.restored", f"took back the write-off of {_said(charge)}", charge)
    return _decided(charge, {charge.agreement_id})


@dataclass(frozen=True, slots=True)
class Reallocation:
    """What a re-allocation changed: of how many charges not billed yet, and what they come to now."""

    agreement: Agreement
    charges: int
    changed: int
    overage_amount: Decimal


@command(roles=OFFICE)
def reallocate_agreement(*, actor: Actor, agreement_id: int, update_rates: bool = False) -> Reallocation:
    """Decide anew what an agreement covers, after its terms have changed. What is billed stays as it is.

    Args:
        actor: who wants it.
        agreement_id: the agreement.
        update_rates: whether work that is not billed gets the rates that hold now, too.

    Raises:
        DomainError: ``not_found``; ``tax_code_not_in_effect`` where tax is drawn and the code does not hold.
    """
    agreement = locked_all(Agreement.objects.all(), {agreement_id}, "agreement_id")[agreement_id]
    charges = allocating.charges_of([agreement_id], lock=True)
    if update_rates:
        rerated = allocating.rerate(charges.get(agreement_id, []))
        if rerated:
            Charge.objects.bulk_update(rerated, allocating.RATED)
    outcome = allocating.decide([agreement], charges=charges)[agreement_id]
    changed = sum(decision.matters for decision in outcome.decisions)
    allocating.write([outcome])
    unbilled = [decision for decision in outcome.decisions if not decision.charge.billed]
    overage = sum((decision.new.overage_amount for decision in unbilled), Decimal(0))
    audit.record(
        actor, "usage.agreement.reallocated",
        f"decided anew what {agreement.number} covers: {changed} of {len(unbilled)} entries not billed changed,"
        f" {format_money(overage)} is beyond it", agreement,
    )  # fmt: skip
    return Reallocation(agreement, len(unbilled), changed, overage)


# -- inside ------------------------------------------------------------------------------------------------------------


def _enter(actor: Actor, charge: Charge, agreement_id: int | None, option: str | None) -> Charge:
    ensure_customer(charge.company)
    if agreement_id is not None:
        charge.agreement = fetch(Agreement, agreement_id, field="agreement_id", lock=True)
    book = RateBook([agreement_id])
    charge.billing_option = option or book.option(charge)
    _check_and_price(charge, book)
    _check_active(charge)
    save_checked(charge)
    audit.record(actor, f"usage.{charge.kind}.entered", f"entered {_said(charge)}", charge)
    return _decided(charge, {agreement_id})


def _check_and_price(charge: Charge, book: RateBook) -> None:
    policies.ensure_agreement_of(charge.company, charge.agreement)
    site_of(charge.company, charge.site_id)
    if charge.kind != ChargeKind.TIME:
        policies.ensure_sound(charge)
    else:
        charge.unit_price = charge.unit_cost = Decimal(0)
        policies.ensure_sound(charge)
    book.price(charge)
    billable = charge.billing_option == BillingOption.BILLABLE
    ensure_billable(charge.company, price_total=charge.amount if billable else Decimal(0))


def _check_active(charge: Charge) -> None:
    for field in ("work_role", "work_type", "expense_type"):
        record = getattr(charge, field)
        if record is not None and not record.active:
            raise DomainError("invalid", f"{record.name} is no longer used.", field=f"{field}_id")


def _refuse_of_other_kinds(
    charge: Charge, *, time: dict[str, object], expense: dict[str, object], priced: dict[str, object]
) -> None:
    groups: list[tuple[dict[str, object], bool]] = [
        (time, charge.kind == ChargeKind.TIME),
        (expense, charge.kind == ChargeKind.EXPENSE),
        (priced, charge.kind != ChargeKind.TIME),
    ]
    for fields, belongs in groups:
        for name, value in fields.items():
            if value is not UNSET and not belongs:
                words = name.removesuffix("_id").replace("_", " ")
                raise DomainError("invalid", f"{charge.get_kind_display()} has no {words}.", field=name)


def _locked_charge(charge_id: int, *agreement_ids: int | Unset | None) -> Charge:
    """The charge, after its agreement: always in this order, so that two commands cannot deadlock."""
    charge = fetch(Charge, charge_id)
    wanted = {pk for pk in (charge.agreement_id, *agreement_ids) if isinstance(pk, int)}
    locked_all(Agreement.objects.all(), wanted, "agreement_id")
    held = fetch(Charge, charge_id, lock=True)
    if held.agreement_id not in {None, *wanted}:
        raise DomainError("conflict", "Somebody else is changing the same record. Try again in a moment.")
    return held


def _open_charge(charge_id: int, *agreement_ids: int | Unset | None) -> Charge:
    charge = _locked_charge(charge_id, *agreement_ids)
    policies.ensure_open(charge)
    return charge


def _decided(charge: Charge, agreement_ids: set[int | None], earliest: date | None = None) -> Charge:
    """The charge as it is now, with its allocation; all that comes after it is decided anew."""
    since = allocating.Since(charge.pk, min(charge.date, earliest or charge.date))
    allocating.refresh((pk for pk in agreement_ids if pk is not None), since=since)
    return Charge.objects.select_related("allocation", "company", "agreement").get(pk=charge.pk)


def _said(charge: Charge) -> str:
    """``2 hours of 15 Mar 2026 for Acme Corp: Firewall rules``."""
    quantity = plain_number(charge.quantity)
    unit = "hours " if charge.kind == ChargeKind.TIME else f"x {charge.get_kind_display().lower()} "
    return f"{quantity} {unit}of {format_date(charge.date)} for {charge.company.name}: {charge.description}"
