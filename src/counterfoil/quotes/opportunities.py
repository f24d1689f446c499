"""What people do with opportunities and the lines that stand on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from django.db.models import Max
from django.db.models.functions import Now

from counterfoil.catalog.models import Product, ProductClass
from counterfoil.catalog.policies import cycle_code
from counterfoil.catalog.queries import products_for_lines
from counterfoil.companies.models import Company, Contact
from counterfoil.companies.policies import ensure_billable, ensure_customer
from counterfoil.companies.queries import site_of
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money, multiply
from counterfoil.core.states import check_transition
from counterfoil.platform import audit
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.numbering import take_number
from counterfoil.platform.records import (
    UNSET,
    Changes,
    Unset,
    change,
    changes_in_words,
    check_fields,
    fetch,
    plain_number,
    record_changes,
    refuse_negative,
    refuse_not_positive,
    save_checked,
)
from counterfoil.quotes.models import LineConversion, Opportunity, OpportunityStatus, QuoteLine

SELLERS: Final = (Role.SALES,)

refuse_as(
    "quotes_lineconversion_line_id_key",
    "already_converted",
    "Somebody else has just converted one of the lines. Reload to see what is left.",
)


@dataclass(frozen=True, slots=True)
class QuoteLineInput:
    """A line as it is quoted; what is left empty comes from the product.

    Attributes:
        product_id: what is quoted.
        quantity: in the product's unit.
        unit_price: per unit and, of an agreement product, per billing cycle.
        unit_cost: likewise.
        description: one line.
        taxable: whether sales tax applies.
        billing_cycle: recurrence of an agreement product, ``month:1`` or ``monthly``.
        cycles: how many cycles it runs; empty is open-ended.
        start_date: first day billed.
    """

    product_id: int
    quantity: Decimal = Decimal(1)
    unit_price: Decimal | None = None
    unit_cost: Decimal | None = None
    description: str | None = None
    taxable: bool | None = None
    billing_cycle: str | None = None
    cycles: int | None = None
    start_date: date | None = None


@command(roles=SELLERS)
def create_opportunity(
    *,
    actor: Actor,
    company_id: int,
    name: str,
    site_id: int | None = None,
    contact_id: int | None = None,
    expected_close: date | None = None,
    customer_po: str = "",
    sales_rep_id: int | None = None,
    notes: str = "",
    lines: Sequence[QuoteLineInput] = (),
) -> Opportunity:
    """Open an opportunity with a customer, with the lines that are known.

    Raises:
        DomainError: ``my_company_not_billable``; ``invalid`` for a vendor; ``required``, ``not_found``;
            ``price_on_internal_company``.
    """
    company = fetch(Company, company_id, field="company_id")
    ensure_customer(company)
    site_of(company, site_id)
    contact_of(company, contact_id)
    opportunity = Opportunity(
        number=take_number("opportunity"),
        name=name.strip(),
        company=company,
        site_id=site_id,
        contact_id=contact_id,
        expected_close=expected_close,
        customer_po=customer_po.strip(),
        sales_rep_id=sales_rep_id,
        notes=notes.strip(),
    )
    save_checked(opportunity)
    audit.record(
        actor, "quotes.opportunity.created",
        f"opened {opportunity.number}, {opportunity.name}, for {company.name}", opportunity,
    )  # fmt: skip
    _add_lines(actor, opportunity, lines)
    return opportunity


@command(roles=SELLERS)
def update_opportunity(
    *,
    actor: Actor,
    opportunity_id: int,
    name: str | Unset = UNSET,
    site_id: int | Unset | None = UNSET,
    contact_id: int | Unset | None = UNSET,
    expected_close: date | Unset | None = UNSET,
    customer_po: str | Unset = UNSET,
    sales_rep_id: int | Unset | None = UNSET,
    notes: str | Unset = UNSET,
) -> Opportunity:
    """Change what is given of an opportunity; its customer stays.

    Raises:
        DomainError: ``required``, ``invalid``, ``not_found``.
    """
    opportunity = fetch(Opportunity, opportunity_id, lock=True)
    changes = change(
        opportunity,
        name=name,
        site_id=site_id,
        contact_id=contact_id,
        expected_close=expected_close,
        customer_po=customer_po,
        sales_rep_id=sales_rep_id,
        notes=notes,
    )
    site_of(opportunity.company, opportunity.site_id)
    contact_of(opportunity.company, opportunity.contact_id)
    save_checked(opportunity)
    record_changes(actor, "quotes.opportunity.changed", f"changed {opportunity.number}", changes, opportunity)
    return opportunity


def contact_of(company: Company, contact_id: int | None) -> Contact | None:
    """The company's contact with that id; ``None`` for ``None``.

    Raises:
        DomainError: ``not_found`` when it is another company's or none.
    """
    if contact_id is None:
        return None
    if (contact := company.contacts.filter(pk=contact_id).first()) is None:
        raise DomainError("not_found", f"{company.name} has no contact with the id {contact_id}.", field="contact_id")
    return contact


# -- lines -------------------------------------------------------------------------------------------------------------


@command(roles=SELLERS)
def add_quote_line(*, actor: Actor, opportunity_id: int, line: QuoteLineInput) -> QuoteLine:
    """Quote a product.

    Raises:
        DomainError: ``wrong_state`` unless the opportunity is open; ``invalid``, ``not_found``;
            ``price_on_internal_company``.
    """
    opportunity = _open_opportunity(opportunity_id)
    return _add_lines(actor, opportunity, [line])[0]


def _add_lines(actor: Actor, opportunity: Opportunity, inputs: Sequence[QuoteLineInput]) -> list[QuoteLine]:
    products = products_for_lines(given.product_id for given in inputs)
    last = opportunity.lines.aggregate(last=Max("position"))["last"] or 0
    lines = []
    for index, given in enumerate(inputs):
        product = products[given.product_id]
        line = QuoteLine(
            opportunity=opportunity,
            position=last + index + 1,
            product=product,
            description=(given.description if given.description is not None else product.description).strip(),
            quantity=given.quantity,
            unit_price=product.price if given.unit_price is None else given.unit_price,
            unit_cost=product.cost if given.unit_cost is None else given.unit_cost,
            taxable=product.taxable if given.taxable is None else given.taxable,
            billing_cycle=product.billing_cycle if given.billing_cycle is None else given.billing_cycle.strip(),
            cycles=given.cycles,
            start_date=given.start_date,
        )
        _check_line(line, product, prefix=f"lines[{index}].")
        lines.append(line)
        audit.record(
            actor, "quotes.line.added",
            f"quoted {plain_number(line.quantity)} × {product.identifier} at {format_money(line.unit_price)}"
            f" (cost {format_money(line.unit_cost)}) on {opportunity.number}",
            opportunity,
        )  # fmt: skip
    return QuoteLine.objects.bulk_create(lines)


def _check_line(line: QuoteLine, product: Product, prefix: str = "") -> None:
    refuse_not_positive("quantity", line.quantity, prefix)
    refuse_negative({"unit_price": line.unit_price, "unit_cost": line.unit_cost}, prefix)
    assert line.opportunity is not None  # those of versions are changed by counterfoil.quotes.lines
    ensure_billable(line.opportunity.company, price_total=multiply(line.quantity, line.unit_price))
    if product.product_class == ProductClass.AGREEMENT:
        line.billing_cycle = cycle_code(line.billing_cycle or product.billing_cycle, f"{prefix}billing_cycle")
    elif line.billing_cycle or line.cycles is not None or line.start_date is not None:
        raise DomainError(
            "invalid",
            f"{product.identifier} is of class {product.product_class}, sold once; only agreement products recur.",
            field=f"{prefix}billing_cycle",
            hint="Leave the recurrence empty, or quote an agreement product.",
        )
    if line.cycles is not None and line.cycles < 1:
        raise DomainError("invalid", "A line runs for at least one cycle.", field=f"{prefix}cycles")
    check_fields(line, prefix=prefix, relations=False)


@command(roles=SELLERS)
def update_quote_line(
    *,
    actor: Actor,
    line_id: int,
    description: str | Unset = UNSET,
    quantity: Decimal | Unset = UNSET,
    unit_price: Decimal | Unset = UNSET,
    unit_cost: Decimal | Unset = UNSET,
    taxable: bool | Unset = UNSET,
    billing_cycle: str | Unset = UNSET,
    cycles: int | Unset | None = UNSET,
    start_date: date | Unset | None = UNSET,
) -> QuoteLine:
    """Change what is given of a quote line.

    Raises:
        DomainError: ``already_converted``; ``wrong_state`` unless the opportunity is open; ``invalid``;
            ``price_on_internal_company``.
    """
    line = _changeable_line(line_id)
    changes = change(
        line,
        description=description,
        quantity=quantity,
        unit_price=unit_price,
        unit_cost=unit_cost,
        taxable=taxable,
        billing_cycle=billing_cycle,
        cycles=cycles,
        start_date=start_date,
    )
    _check_line(line, line.product)
    line.save()
    _record_line(actor, line, "changed", f"changed {line.product} on {line.opportunity}", changes)
    return line


@command(roles=SELLERS)
def remove_quote_line(*, actor: Actor, line_id: int) -> None:
    """Take a line off the quote.

    Raises:
        DomainError: ``already_converted``; ``wrong_state`` unless the opportunity is open.
    """
    line = _changeable_line(line_id)
    _record_line(
        actor, line, "removed", f"took {plain_number(line.quantity)} × {line.product} off {line.opportunity}", {}
    )
    line.delete()


@command(roles=SELLERS)
def reorder_quote_lines(*, actor: Actor, opportunity_id: int, line_ids: Sequence[int]) -> None:
    """Put the lines in another order.

    Raises:
        DomainError: ``wrong_state``; ``invalid`` unless ``line_ids`` names each line once.
    """
    opportunity = _open_opportunity(opportunity_id)
    lines = {line.pk: line for line in opportunity.lines.filter(version__isnull=True)}
    if sorted(line_ids) != sorted(lines):
        raise DomainError("invalid", "Name every line of the opportunity once.", field="line_ids")
    clear_of_old = max((line.position for line in lines.values()), default=0)
    for offset in (clear_of_old, 0):  # two steps: no two lines may have one position in between
        for index, line_id in enumerate(line_ids, start=1):
            lines[line_id].position = offset + index
        for line in lines.values():
            line.save(update_fields=["position"])
    audit.record(actor, "quotes.lines.reordered", f"put the lines of {opportunity} in another order", opportunity)


def _record_line(actor: Actor, line: QuoteLine, verb: str, deed: str, changes: Changes) -> None:
    if verb == "changed" and not changes:
        audit.record_nothing()
        return
    said = f"{deed}: {changes_in_words(changes)}" if verb == "changed" else deed
    audit.record(actor, f"quotes.line.{verb}", said, line.opportunity, line_id=line.pk)


def _changeable_line(line_id: int) -> QuoteLine:
    line = fetch(QuoteLine, line_id)
    if line.version is not None or line.opportunity_id is None:
        raise DomainError("wrong_state", f"“{line}” stands on {line.version}.", hint="Change it there, in a draft.")
    opportunity = fetch(Opportunity, line.opportunity_id, lock=True)
    line = fetch(QuoteLine, line_id)  # again, now that nobody else can change it
    line.opportunity = opportunity
    _refuse_converted([line])
    _ensure_open(opportunity)
    return line


def _open_opportunity(opportunity_id: int) -> Opportunity:
    opportunity = fetch(Opportunity, opportunity_id, lock=True)
    _ensure_open(opportunity)
    return opportunity


def _ensure_open(opportunity: Opportunity) -> None:
    if opportunity.status != OpportunityStatus.OPEN:
        raise DomainError(
            "wrong_state",
            f"{opportunity.number} is {opportunity.status}; its lines stay as they were quoted.",
            hint="Open another opportunity for what comes on top."
            if opportunity.status == OpportunityStatus.WON
            else "Reopen it first.",
        )


# -- the deal ----------------------------------------------------------------------------------------------------------


@command(roles=SELLERS)
def win_opportunity(*, actor: Actor, opportunity_id: int) -> Opportunity:
    """The customer signed.

    Raises:
        DomainError: ``wrong_state``; ``required`` when nothing is quoted.
    """
    opportunity = fetch(Opportunity, opportunity_id, lock=True)
    if not opportunity.lines.exists():
        raise DomainError("required", f"{opportunity.number} has no lines: nothing was sold.", field="lines")
    return _set_status(actor, opportunity, OpportunityStatus.WON, "won")


@command(roles=SELLERS)
def lose_opportunity(*, actor: Actor, opportunity_id: int, reason: str = "") -> Opportunity:
    """The customer said no.

    Raises:
        DomainError: ``wrong_state``.
    """
    opportunity = fetch(Opportunity, opportunity_id, lock=True)
    return _set_status(actor, opportunity, OpportunityStatus.LOST, "lost", reason.strip())


@command(roles=SELLERS)
def reopen_opportunity(*, actor: Actor, opportunity_id: int) -> Opportunity:
    """Take up a lost opportunity again.

    Raises:
        DomainError: ``wrong_state``.
    """
    opportunity = fetch(Opportunity, opportunity_id, lock=True)
    return _set_status(actor, opportunity, OpportunityStatus.OPEN, "reopened")


def _set_status(
    actor: Actor, opportunity: Opportunity, status: OpportunityStatus, deed: str, reason: str = ""
) -> Opportunity:
    check_transition("opportunity", opportunity.number, opportunity.status, status)
    opportunity.status = status
    opportunity.save(update_fields=["status"])
    said = f"{deed} {opportunity.number}, {opportunity.name}" + (f": {reason}" if reason else "")
    audit.record(actor, f"quotes.opportunity.{deed}", said, opportunity)
    return opportunity


# -- conversion (the flow is counterfoil.flows.conversion) -------------------------------------------------------------


def lock_for_conversion(opportunity_id: int, line_ids: Sequence[int]) -> tuple[Opportunity, list[QuoteLine]]:
    """The opportunity and the chosen lines, held until the transaction ends, in the order they are quoted.

    Raises:
        DomainError: ``not_found``; ``required`` when no line is chosen; ``wrong_state`` when it is lost;
            ``already_converted``, naming the lines and what they became.
    """
    opportunity = fetch(Opportunity, opportunity_id, field="opportunity_id", lock=True)
    if opportunity.status == OpportunityStatus.LOST:
        raise DomainError("wrong_state", f"{opportunity.number} is lost.", hint="Reopen it first.")
    if not line_ids:
        raise DomainError("required", "Choose at least one line to convert.", field="line_ids")
    rows = QuoteLine.objects.filter(opportunity=opportunity, pk__in=line_ids).select_related("product", "conversion")
    lines = list(rows.order_by("position"))
    if missing := set(line_ids) - {line.pk for line in lines}:
        raise DomainError(
            "not_found", f"{opportunity.number} has no line with the id {min(missing)}.", field="line_ids"
        )
    _refuse_converted(lines)
    return opportunity, lines


def _refuse_converted(lines: Sequence[QuoteLine]) -> None:
    done = [
        f"“{line.description}” (to {line.conversion.target_number})" for line in lines if hasattr(line, "conversion")
    ]
    if done:
        raise DomainError(
            "already_converted",
            f"A line is converted once, and this is done: {', '.join(done)}.",
            field="line_ids",
            hint="Choose lines that are not converted yet.",
        )


@command(roles=SELLERS)
def record_conversion(
    *,
    actor: Actor,
    opportunity_id: int,
    line_ids: Sequence[int],
    target: str,
    target_id: int,
    target_number: str,
    converted: Iterable[QuoteLine] = (),
) -> list[LineConversion]:
    """Note what quote lines became, which locks them; an open opportunity is won by it.

    ``converted`` are the lines as they were converted, where price or cost was not the signed line's own.

    Raises:
        DomainError: as :func:`lock_for_conversion`.
    """
    opportunity, lines = lock_for_conversion(opportunity_id, line_ids)
    at = {line.pk: (line.unit_price, line.unit_cost) for line in converted}
    conversions = LineConversion.objects.bulk_create(
        LineConversion(
            line=line,
            target=target,
            target_id=target_id,
            target_number=target_number,
            **_converted_at(line, *at.get(line.pk, (line.unit_price, line.unit_cost))),
            converted_at=Now(),
            converted_by=actor.name,
        )
        for line in lines
    )
    names = ", ".join(line.description for line in lines)
    audit.record(
        actor, "quotes.lines.converted", f"converted {names} of {opportunity} to {target_number}", opportunity,
        line_ids=[line.pk for line in lines],
    )  # fmt: skip
    if opportunity.status == OpportunityStatus.OPEN:
        _set_status(actor, opportunity, OpportunityStatus.WON, "won")
    return conversions


def _converted_at(line: QuoteLine, unit_price: Decimal, unit_cost: Decimal) -> dict[str, Decimal]:
    """Price and cost a line was converted at, as far as they are not its own."""
    given = {"unit_price": unit_price, "unit_cost": unit_cost}
    return {name: value for name, value in given.items() if value != getattr(line, name)}
