"""What people do with agreement types and agreements.

What they do with additions, coverage, periods, and with an agreement as a whole stands in the modules named after
that; all of it is found here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final, Unpack

from counterfoil.agreements import billing_state
from counterfoil.agreements.additions import (
    OFFICE,
    AdditionInput,
    active_agreement,
    add_addition,
    add_all,
    cancel_addition,
    change_addition,
    ensure_priced_right,
    remove_addition_change,
    uncancel_addition,
    update_addition,
)
from counterfoil.agreements.commitments import ensure_may_end
from counterfoil.agreements.coverage import (
    CoverageItemInput,
    WorkRoleRateInput,
    WorkTypeRateInput,
    add_adjustment,
    copy_rates_and_items,
    remove_adjustment,
    set_coverage_items,
    set_type_coverage_items,
    set_type_work_role_rates,
    set_type_work_type_rates,
    set_work_role_rates,
    set_work_type_rates,
)
from counterfoil.agreements.lifecycle import (
    SHARED,
    attach_child,
    cancel_agreement,
    copy_agreement,
    detach_child,
    end_agreement,
    locked_children,
    renew_agreement,
)
from counterfoil.agreements.models import (
    Agreement,
    AgreementKind,
    AgreementType,
    ApplicationUnits,
    BillingState,
)
from counterfoil.agreements.parameters import (
    Parameters,
    ensure_block_has_limit,
    set_parameters,
    values_of,
)
from counterfoil.agreements.periods import (
    cancel_period,
    change_billing_amount,
    reopen_period,
    set_billing_amount,
    unpark_agreement,
)
from counterfoil.agreements.renewing import renew_addition
from counterfoil.agreements.terms import last_day
from counterfoil.companies.models import Company, Contact
from counterfoil.companies.policies import ensure_active, ensure_customer
from counterfoil.companies.queries import bill_to_of, site_of, tax_code_id_of
from counterfoil.core.calendar import Cycle, format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money
from counterfoil.platform import audit
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor
from counterfoil.platform.numbering import take_number
from counterfoil.platform.records import (
    UNSET,
    Changes,
    Unset,
    change,
    check_fields,
    fetch,
    named,
    record_changes,
    save_checked,
)

__all__ = [
    "AdditionInput",
    "CoverageItemInput",
    "Parameters",
    "WorkRoleRateInput",
    "WorkTypeRateInput",
    "add_addition",
    "add_adjustment",
    "attach_child",
    "cancel_addition",
    "cancel_agreement",
    "cancel_period",
    "change_addition",
    "change_billing_amount",
    "copy_agreement",
    "create_agreement",
    "create_agreement_type",
    "detach_child",
    "end_agreement",
    "install_agreement_types",
    "remove_addition_change",
    "remove_adjustment",
    "renew_addition",
    "renew_agreement",
    "reopen_period",
    "set_coverage_items",
    "set_type_coverage_items",
    "set_type_work_role_rates",
    "set_type_work_type_rates",
    "set_work_role_rates",
    "set_work_type_rates",
    "uncancel_addition",
    "unpark_agreement",
    "update_addition",
    "update_agreement",
    "update_agreement_type",
]

refuse_as("agreements_agreementtype_name_key", "duplicate", "There is an agreement type of that name already.")

#: The usual kinds, as templates: name, kind, description, what differs from the defaults.
USUAL_TYPES: Final[tuple[tuple[str, AgreementKind, str, dict[str, Any]], ...]] = (
    (
        "One-time block", AgreementKind.ONE_TIME_BLOCK, "Hours or an amount, sold once and used up",
        {
            "bill_one_time": True, "application_one_time": True, "prepayment": True, "expire_when_zero": True,
            "covers_time": True, "application_units": ApplicationUnits.HOURS,
        },
    ),
    (
        "Recurring block", AgreementKind.RECURRING_BLOCK, "Hours, an amount or incidents every cycle, paid ahead",
        {"covers_time": True, "application_units": ApplicationUnits.HOURS, "prepayment": True},
    ),
    (
        "Managed service", AgreementKind.MANAGED_SERVICE, "A flat amount or additions; work is covered without limit",
        {"covers_time": True, "application_unlimited": True},
    ),
    ("Hosting", AgreementKind.HOSTING, "Additions by the month", {}),
    (
        "User-based", AgreementKind.USER_BASED, "A price for each user; work is covered without limit",
        {"covers_time": True, "application_unlimited": True},
    ),
)  # fmt: skip


# -- types -------------------------------------------------------------------------------------------------------------


@command(roles=OFFICE)
def create_agreement_type(
    *,
    actor: Actor,
    name: str,
    description: str = "",
    kind: str = AgreementKind.OTHER,
    invoice_prefix: str = "",
    prepayment: bool = False,
    **given: Unpack[Parameters],
) -> AgreementType:
    """Add a template of agreements; GL accounts can be mapped to it.

    Args:
        actor: who adds it.
        name: unique.
        description: one line.
        kind: one_time_block, recurring_block, managed_service, hosting, user_based or other.
        invoice_prefix: its invoices have a number sequence of their own, with this before it.
        prepayment: what its agreements bill is deferred and earned as it is used.

    Raises:
        DomainError: ``required``, ``invalid``, ``duplicate``.
    """
    made = AgreementType(
        name=name.strip(),
        description=description.strip(),
        kind=kind,
        invoice_prefix=invoice_prefix.strip(),
        prepayment=prepayment,
    )
    set_parameters(made, given)
    save_checked(made)
    audit.record(actor, "agreements.type.created", f"added the agreement type {made.name}", made)
    return made


@command(roles=OFFICE)
def update_agreement_type(
    *,
    actor: Actor,
    agreement_type_id: int,
    name: str | Unset = UNSET,
    description: str | Unset = UNSET,
    kind: str | Unset = UNSET,
    invoice_prefix: str | Unset = UNSET,
    prepayment: bool | Unset = UNSET,
    active: bool | Unset = UNSET,
    **given: Unpack[Parameters],
) -> AgreementType:
    """Change what new agreements of a type start with. It never reaches agreements that are there.

    Raises:
        DomainError: ``required``, ``invalid``, ``duplicate``, ``not_found``.
    """
    changed = fetch(AgreementType, agreement_type_id, lock=True)
    changes = change(
        changed,
        name=_stripped(name),
        description=_stripped(description),
        kind=kind,
        invoice_prefix=_stripped(invoice_prefix),
        prepayment=prepayment,
        active=active,
    ) | set_parameters(changed, given)
    save_checked(changed)
    record_changes(actor, "agreements.type.changed", f"changed the agreement type {changed.name}", changes, changed)
    return changed


@command(roles=OFFICE)
def install_agreement_types(*, actor: Actor) -> list[AgreementType]:
    """Add the usual kinds as templates: one-time and recurring block, managed service, hosting, user-based.

    A type of the same name that is there already stays as it is.
    """
    made = []
    for name, kind, description, parameters in USUAL_TYPES:
        record, is_new = AgreementType.objects.get_or_create(
            name=name, defaults={"kind": kind, "description": description, **parameters}
        )
        made += [record] if is_new else []
    names = ", ".join(record.name for record in made) or "none, all are there"
    audit.record(actor, "agreements.types.installed", f"added the usual agreement types: {names}")
    return made


# -- agreements --------------------------------------------------------------------------------------------------------


@command(roles=OFFICE)
def create_agreement(
    *,
    actor: Actor,
    company_id: int,
    agreement_type_id: int,
    name: str,
    start_date: date,
    end_date: date | None = None,
    first_billing_date: date | None = None,
    bill_to_id: int | None = None,
    contact_id: int | None = None,
    site_id: int | None = None,
    parent_id: int | None = None,
    tax_code_id: int | None = None,
    customer_po: str = "",
    invoice_text: str = "",
    internal_notes: str = "",
    opportunity_id: int | None = None,
    additions: Sequence[AdditionInput] = (),
    **given: Unpack[Parameters],
) -> Agreement:
    """Make an agreement: what a customer is billed for in every cycle, and what work that covers.

    Every parameter that is not given is the type's at this moment, and so are rates and coverage items.

    Args:
        actor: who makes it.
        company_id: the customer.
        agreement_type_id: its template.
        name: prints on the invoice.
        start_date: first day.
        end_date: last day; empty means no ending date.
        first_billing_date: cycles are counted from here; the start date when it is not given.
        bill_to_id: who gets the invoices; the company's bill-to when it is not given.
        contact_id: whom invoices are for.
        site_id: where it is for; its tax code goes before the company's.
        parent_id: the agreement on whose invoice it is billed.
        tax_code_id: the site's or the company's when it is not given.
        customer_po: the customer's order number.
        invoice_text: printed above the lines.
        internal_notes: never printed.
        opportunity_id: what it was sold with.
        additions: what is billed with it.

    Raises:
        DomainError: ``my_company_not_billable``, ``price_on_internal_company``, ``bundle_as_addition``, ``required``,
            ``invalid``, ``not_found``, ``conflict``.
    """
    company = fetch(Company, company_id, field="company_id")
    ensure_customer(company)
    site = site_of(company, site_id)
    bill_to = bill_to_of(company) if bill_to_id is None else fetch(Company, bill_to_id, field="bill_to_id")
    ensure_active(bill_to, "bill_to_id")
    kind = fetch(AgreementType, agreement_type_id, field="agreement_type_id")
    agreement = Agreement(
        number=take_number("agreement"),
        name=name.strip(),
        type=kind,
        company=company,
        contact=_contact_of(company, contact_id),
        bill_to=bill_to,
        site=site,
        opportunity_id=opportunity_id,
        start_date=start_date,
        end_date=end_date,
        bill_start_date=first_billing_date or start_date,
        tax_code_id=tax_code_id_of(company, site) if tax_code_id is None else tax_code_id,
        customer_po=customer_po.strip(),
        invoice_text=invoice_text.strip(),
        internal_notes=internal_notes.strip(),
        **values_of(kind),
    )
    set_parameters(agreement, given)
    agreement.terms_id = agreement.terms_id or bill_to.terms_id or company.terms_id
    ensure_block_has_limit(agreement)
    _check_dates(agreement)
    save_checked(agreement)
    copy_rates_and_items(kind, agreement)
    BillingState.objects.create(agreement=agreement, due_on=agreement.bill_start_date)
    until = f" to {format_date(end_date)}" if end_date else ", no ending date"
    often = "billed once" if agreement.bill_one_time else Cycle.parse(agreement.billing_cycle).label.lower()
    each = "" if agreement.bill_one_time else " a cycle"
    amount = f", {format_money(agreement.billing_amount)}{each}" if agreement.billing_amount else ""
    audit.record(
        actor, "agreements.agreement.created",
        f"made agreement {agreement.number}, {agreement.name}, for {company.name}:"
        f" {often} from {format_date(agreement.bill_start_date)}{until}"
        f"{amount}", agreement,
    )  # fmt: skip
    with named(agreement.number, agreement.name):
        add_all(actor, agreement, additions)
        billing_state.reckon_due(agreement)
        if parent_id is not None:
            agreement = attach_child(actor=actor, agreement_id=agreement.pk, parent_id=parent_id)
    return agreement


@command(roles=OFFICE)
def update_agreement(
    *,
    actor: Actor,
    agreement_id: int,
    name: str | Unset = UNSET,
    start_date: date | Unset = UNSET,
    end_date: date | Unset | None = UNSET,
    first_billing_date: date | Unset = UNSET,
    bill_to_id: int | Unset = UNSET,
    contact_id: int | Unset | None = UNSET,
    site_id: int | Unset | None = UNSET,
    tax_code_id: int | Unset | None = UNSET,
    customer_po: str | Unset = UNSET,
    invoice_text: str | Unset = UNSET,
    internal_notes: str | Unset = UNSET,
    **given: Unpack[Parameters],
) -> Agreement:
    """Change what is given of an agreement.

    Another billing amount holds for the periods not invoiced yet (``change_billing_amount`` names a day). Another last
    day is caught up on or given back. Cycle, first billing date and proration stay once something is billed: invoices
    that are there were reckoned by them. A parent's cycle, timing and bill-to are its children's too.

    Raises:
        DomainError: ``wrong_state`` unless it is active; ``already_invoiced`` for what stays once it is billed;
            ``conflict`` for what a child shares with its parent, and while a run bills it; ``committed`` for a last day
            before an addition's term ends; and as ``create_agreement``.
    """
    agreement = active_agreement(agreement_id)
    former_end, former_bill_to = last_day(agreement), agreement.bill_to_id
    amount = given.pop("billing_amount", agreement.billing_amount)
    changes = change(
        agreement,
        name=_stripped(name),
        start_date=start_date,
        end_date=end_date,
        bill_start_date=first_billing_date,
        bill_to_id=bill_to_id,
        contact_id=contact_id,
        site_id=site_id,
        tax_code_id=tax_code_id,
        customer_po=_stripped(customer_po),
        invoice_text=_stripped(invoice_text),
        internal_notes=_stripped(internal_notes),
    ) | set_parameters(agreement, given)
    site_of(agreement.company, agreement.site_id)
    _contact_of(agreement.company, agreement.contact_id)
    ensure_block_has_limit(agreement)
    _check_dates(agreement)
    children = locked_children(agreement) if SHARED.keys() & changes.keys() else []
    state = billing_state.lock(agreement)
    _refuse_once_billed(agreement, changes, state)
    if agreement.bill_to_id != former_bill_to:
        ensure_active(fetch(Company, agreement.bill_to_id, field="bill_to_id"), "bill_to_id")
    _ensure_additions_within(agreement, changes)
    save_checked(agreement)
    for child in children:
        _share(agreement, child, changes)
    if amount != agreement.billing_amount:
        changes["billing_amount"] = (agreement.billing_amount, amount)
        _set_amount(agreement, amount, state)
    ensure_priced_right(agreement, agreement.additions.all())
    if "end_date" in changes and agreement.end_date is not None and agreement.end_date < (former_end or date.max):
        ensure_may_end(agreement, agreement.end_date, "end_date")
    ends = [day for day in (former_end, last_day(agreement)) if day is not None]
    billing_state.touch(agreement, min(ends) if "end_date" in changes else None)
    record_changes(actor, "agreements.agreement.changed", f"changed {agreement.number}", changes, agreement)
    return agreement


#: What the periods billed so far were reckoned by.
_FIXED_ONCE_BILLED: Final = {
    "billing_cycle": "billing cycle",
    "cycle_base": "cycle base",
    "bill_start_date": "first billing date",
    "start_date": "start",
    "bill_one_time": "one-time billing",
    "prorate": "proration",
    "prorate_first_bill": "proration",
    "proration": "proration",
}


def _refuse_once_billed(agreement: Agreement, changes: Changes, state: BillingState) -> None:
    shared = next((name for name in SHARED if name in changes), None)
    if agreement.parent is not None and shared is not None:
        raise DomainError(
            "conflict", f"{agreement.number} is billed with {agreement.parent.number} and shares its {SHARED[shared]}.",
            field=shared, hint="Change it there, or detach the child first.",
        )  # fmt: skip
    fixed = next((name for name in _FIXED_ONCE_BILLED if name in changes), None)
    if fixed is not None and state.next_period:
        raise DomainError(
            "already_invoiced", f"{agreement.number} has been billed; its {_FIXED_ONCE_BILLED[fixed]} stays.",
            field="first_billing_date" if fixed == "bill_start_date" else fixed,
            hint="Renew it, and change the successor before it is billed.",
        )  # fmt: skip


def _ensure_additions_within(agreement: Agreement, changes: Changes) -> None:
    if "start_date" not in changes:
        return
    first = agreement.additions.order_by("effective_date").first()
    if first is not None and first.effective_date < agreement.start_date:
        raise DomainError(
            "invalid", f"{first.description} starts on {format_date(first.effective_date)}, before that.",
            field="start_date", hint="Change the addition's first day as well.",
        )  # fmt: skip


def _share(parent: Agreement, child: Agreement, changes: Changes) -> None:
    """What a family shares is what its parent has."""
    shared = [name for name in SHARED if name in changes]
    change(child, **{name: getattr(parent, name) for name in shared})
    check_fields(child, relations=False)
    child.save(update_fields=[name.removesuffix("_id") for name in shared])


def _set_amount(agreement: Agreement, amount: Any, state: BillingState) -> None:
    """From the first period that is not billed; from the start where none is and it never changed."""
    if state.next_period or agreement.billing_amounts.exists():
        set_billing_amount(agreement, billing_state.period_of(agreement, state.next_period).start, amount)
        return
    agreement.billing_amount = amount
    set_parameters(agreement, {})
    check_fields(agreement, relations=False)
    agreement.save(update_fields=["billing_amount"])


def _contact_of(company: Company, contact_id: int | None) -> Contact | None:
    if contact_id is None:
        return None
    if (contact := company.contacts.filter(pk=contact_id).first()) is None:
        raise DomainError("not_found", f"{company.name} has no contact with the id {contact_id}.", field="contact_id")
    return contact


def _stripped(text: str | Unset) -> str | Unset:
    return text.strip() if isinstance(text, str) else text


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
