"""Invoices of time, expenses and products: one for each group of a rule that is stated, with what agreements cover."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

from django.db import transaction
from django.db.models import BooleanField, Case, Q, Value, When

from counterfoil.agreements.models import Agreement, AgreementStatus, BillingOption
from counterfoil.billing.drafts import (
    amounts,
    attention_of,
    check_billable,
    set_bill_to,
    set_terms,
    terms_for,
    write_draft,
)
from counterfoil.billing.earned import earned_by
from counterfoil.billing.holds import hold_charges
from counterfoil.billing.models import BillingSettings, Grouping, Invoice, InvoiceLine, InvoiceType, LineKind
from counterfoil.companies.models import Company, Site
from counterfoil.core.calendar import format_date
from counterfoil.core.coverage import CoverageTerms
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, allocate, extend, format_money, round_money, sum_money
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import locked_all
from counterfoil.platform.records import plain_number as plain
from counterfoil.tax.models import TaxCode
from counterfoil.usage import allocating
from counterfoil.usage import queries as usage
from counterfoil.usage.models import Allocation, Charge, ChargeKind, OpenPart
from counterfoil.usage.queries import SPLIT, is_split

FINANCE = (Role.FINANCE,)

_KINDS: Final = {
    ChargeKind.TIME.value: LineKind.SERVICE,
    ChargeKind.EXPENSE.value: LineKind.EXPENSE,
    ChargeKind.PRODUCT.value: LineKind.PRODUCT,
}
_SHOWN: Final = {
    ChargeKind.TIME.value: "show_covered_time",
    ChargeKind.EXPENSE.value: "show_covered_expenses",
    ChargeKind.PRODUCT.value: "show_covered_products",
}


@dataclass(frozen=True, slots=True)
class Group:
    """Work that comes on one invoice: of one company and bill-to, under one tax code, and as the rule says."""

    company: Company
    bill_to: Company
    tax_code: TaxCode | None
    site: Site | None
    customer_po: str
    ticket: str
    charges: tuple[Charge, ...] = field(repr=False)

    @property
    def amount(self) -> Decimal:
        """What it comes to before tax."""
        return sum_money(due_of(charge) for charge in self.charges)

    @property
    def covered_amount(self) -> Decimal:
        """What agreements cover of it."""
        return sum_money(row.covered_amount for charge in self.charges if (row := allocation_of(charge)))

    @property
    def first_date(self) -> date:
        """The day of the first of it."""
        return min(charge.date for charge in self.charges)


def allocation_of(charge: Charge) -> Allocation | None:
    """What its agreement covers of a charge, if it has been decided."""
    return getattr(charge, "allocation", None)


def due_of(charge: Charge) -> Decimal:
    """What of a charge is billed, before tax; of its ``part``, where it is billed in two."""
    if charge.billing_option != BillingOption.BILLABLE:
        return ZERO
    covered = allocation_of(charge)
    due: Decimal = charge.amount if covered is None else covered.overage_amount
    if covered is None or not charge.part:
        return due
    within: Decimal = covered.overrun_amount
    return within if charge.part == OpenPart.OVERRUN else sum_money([due, -within])


def quantity_of(charge: Charge) -> Decimal:
    """How much of a charge is shown where it is billed: what is covered and overrun, what is beyond, or all of it."""
    covered, whole = allocation_of(charge), Decimal(charge.billed_quantity)
    if covered is None or not charge.part:
        return whole
    beyond: Decimal = covered.overage_quantity - covered.overrun_quantity
    return beyond if charge.part == OpenPart.BEYOND else whole - beyond


def cost_of(charge: Charge) -> Decimal:
    """What that costs; the parts come to the cost of the whole."""
    whole = extend(charge.quantity, charge.unit_cost)
    covered = allocation_of(charge)
    if covered is None or not charge.part:
        return whole
    beyond = Fraction(covered.overage_quantity - covered.overrun_quantity) / Fraction(charge.billed_quantity)
    of_beyond = round_money(Fraction(whole) * beyond)
    return of_beyond if charge.part == OpenPart.BEYOND else sum_money([whole, -of_beyond])


def charges_to_bill(*, through: date, company_id: int | None = None, grouping: Grouping | None = None) -> list[Group]:
    """The invoices that :func:`bill_charges` would make of what is open through a day, by customer.

    Args:
        through: the last day of the work.
        company_id: of one customer.
        grouping: what makes an invoice of its own; the company's rule, else the MSP's, when it is not given.
    """
    return _groups(_open_charges(through, None if company_id is None else [company_id]), grouping)


def _open_charges(through: date, company_ids: Iterable[int] | None) -> list[Charge]:
    """What can be billed by itself: overruns go with the agreement's own invoice, as long as there is a next one.

    Of what goes beyond an overrun limit, the part beyond is billed by itself, and the part within goes along with it
    only where there is no next invoice.
    """
    rows = usage.charges_to_bill(through=through)
    if company_ids is not None:
        rows = rows.filter(company__in=list(company_ids))
    with_agreement = Q(allocation__bill_from__isnull=False, agreement__status=AgreementStatus.ACTIVE) & (
        Q(agreement__billing_state__due_on__isnull=False) | Q(agreement__parent__billing_state__due_on__isnull=False)
    )
    rides = Case(When(with_agreement, then=Value(True)), default=Value(False), output_field=BooleanField())
    rows = rows.annotate(rides=rides).filter(~with_agreement | SPLIT).select_related(
        "company__bill_to__terms", "company__bill_to__tax_code", "company__tax_code", "company__terms",
        "site__tax_code", "agreement__bill_to__terms", "agreement__tax_code", "agreement__terms",
        "agreement__type__terms", "allocation", "product",
    )  # fmt: skip
    return [charge for charge in rows if _can_be_billed(charge, bool(getattr(charge, "rides", False)), through)]


def _can_be_billed(charge: Charge, rides: bool, through: date) -> bool:
    """Whether anything of it is billed by itself now; notes which part, where it is not all."""
    if not is_split(charge):
        return True
    covered = allocation_of(charge)
    is_over = covered is not None and covered.bill_from is not None and covered.bill_from <= through + timedelta(days=1)
    may_all = is_over and not rides
    if charge.open_part == OpenPart.OVERRUN:
        charge.part = OpenPart.OVERRUN
        return may_all
    charge.part = OpenPart.BEYOND if charge.open_part or not may_all else OpenPart.NOTHING
    return True


def _groups(charges: Sequence[Charge], grouping: Grouping | None) -> list[Group]:
    settings = BillingSettings.objects.filter(pk=1).first()
    usual = settings.grouping if settings else Grouping.COMPANY.value
    sites = {site.company_id: site for site in _default_sites({charge.company_id for charge in charges})}
    found: dict[tuple[object, ...], list[Charge]] = defaultdict(list)
    heads: dict[tuple[object, ...], tuple[Company, Company, TaxCode | None]] = {}
    for charge in charges:
        company = charge.company
        bill_to = charge.agreement.bill_to if charge.agreement else company.bill_to or company
        code = _tax_code(charge, sites.get(company.pk))
        rule = grouping or company.invoice_grouping or usual
        key = (company.name, company.pk, bill_to.pk, code.pk if code else 0, *_part(charge, rule))
        found[key].append(charge)
        heads[key] = company, bill_to, code
    return [_group(*heads[key], found[key]) for key in sorted(found, key=str)]


def _default_sites(company_ids: set[int]) -> Iterable[Site]:
    return Site.objects.filter(company__in=company_ids, is_default=True).select_related("tax_code")


def _tax_code(charge: Charge, default_site: Site | None) -> TaxCode | None:
    """As :func:`~.drafts.tax_code_of`: the agreement's, the site's (or default site's), the company's."""
    site = charge.site or default_site
    of_agreement = charge.agreement.tax_code if charge.agreement else None
    return of_agreement or (site.tax_code if site else None) or charge.company.tax_code


def _part(charge: Charge, rule: str) -> tuple[object, ...]:
    return {
        Grouping.COMPANY: (),
        Grouping.SITE: (charge.site_id or 0,),
        Grouping.CUSTOMER_PO: (charge.customer_po,),
        Grouping.TICKET: (charge.ticket,),
    }[Grouping(rule)]


def _group(company: Company, bill_to: Company, code: TaxCode | None, charges: Sequence[Charge]) -> Group:
    """What all of it has in common stands in the head of the invoice."""
    sites = {charge.site for charge in charges}
    orders, tickets = {charge.customer_po for charge in charges}, {charge.ticket for charge in charges}
    return Group(
        company=company,
        bill_to=bill_to,
        tax_code=code,
        site=sites.pop() if len(sites) == 1 else None,
        customer_po=orders.pop() if len(orders) == 1 else "",
        ticket=tickets.pop() if len(tickets) == 1 else "",
        charges=tuple(charges),
    )


# -- billing -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A company whose work could not be billed, and why."""

    company_id: int
    company: str
    reason: DomainError


@dataclass(frozen=True, slots=True)
class ChargesBilled:
    """What was drafted, and what had to be left out."""

    invoices: tuple[Invoice, ...]
    left_out: tuple[LeftOut, ...]


@command(roles=FINANCE)
def bill_charges(
    *,
    actor: Actor,
    through: date,
    on: date,
    company_ids: Sequence[int] | None = None,
    grouping: Grouping | None = None,
) -> ChargesBilled:
    """Draft standard invoices of the time, expenses and products that are open through a day.

    What agreements cover is decided anew first, and stays from then on. Covered work is shown at nothing due, or is
    not shown, as the agreement says; either way it earns its share of what was billed ahead (see :mod:`~.earned`). An
    invoice has one tax code: work that is taxed differently comes on invoices of its own, whatever the rule. A company
    that cannot be billed is left out with its reason. Running it twice adds nothing.

    Args:
        actor: who invoices.
        through: the last day of the work.
        on: the invoice date.
        company_ids: only these customers.
        grouping: what makes an invoice of its own: ``company``, ``site``, ``customer_po`` or ``ticket``; the company's
            rule, else the MSP's, when it is not given.

    Raises:
        DomainError: ``not_found`` for a company that is not there.
    """
    if company_ids is not None:
        locked_all(Company.objects.all(), set(company_ids), "company_ids")
    found = _open_charges(through, company_ids)
    outcomes = allocating.refresh({charge.agreement_id for charge in found if charge.agreement_id is not None})
    terms = {pk: outcome.terms for pk, outcome in outcomes.items() if outcome.agreement.prepayment}
    by_company: dict[int, list[Charge]] = defaultdict(list)
    held = _held(charge.pk for charge in found)
    for charge in _open_charges(through, company_ids) if held else ():
        if charge.pk in held:
            by_company[charge.company_id].append(charge)
    invoices: list[Invoice] = []
    left_out: list[LeftOut] = []
    for company_id, charges in by_company.items():
        try:
            with transaction.atomic():
                made = [_draft(group, terms, on) for group in _groups(charges, grouping)]
        except DomainError as reason:
            left_out.append(LeftOut(company_id, charges[0].company.name, reason))
        else:
            invoices += [invoice for invoice in made if invoice is not None]
    for invoice in invoices:
        text = f"drafted the invoice of work for {invoice.company.name} through {format_date(through)}"
        audit.record(actor, "billing.invoice.drafted", f"{text}: {amounts(invoice)}", invoice)
    text = f"billed work through {format_date(through)}: {len(invoices)} drafted, {len(left_out)} left out"
    audit.record(actor, "billing.charges.billed", text, left_out=[row.company for row in left_out])
    return ChargesBilled(tuple(invoices), tuple(left_out))


def _held(charge_ids: Iterable[int]) -> set[int]:
    """Hold work until the transaction ends; what somebody else has billed meanwhile is left out."""
    is_open = Q(billed=False) | ~Q(open_part=OpenPart.NOTHING)
    rows = Charge.objects.filter(is_open, pk__in=list(charge_ids)).order_by("pk")
    return set(rows.select_for_update(no_key=True).values_list("pk", flat=True))


def _draft(group: Group, terms: Mapping[int, CoverageTerms], on: date) -> Invoice | None:
    """The invoice of a group; none where there is nothing to show or to book: such work stays open."""
    check_billable(group.bill_to)
    earned = earned_by([charge.pk for charge in group.charges if charge.part != OpenPart.BEYOND], terms)
    lines = [line for charge in group.charges for line in lines_of_charge(charge, earned.get(charge.pk, ZERO))]
    if all(line.hidden and not line.released_amount for line in lines):
        return None
    agreements = {charge.agreement for charge in group.charges}
    agreement: Agreement | None = agreements.pop() if len(agreements) == 1 else None
    invoice = Invoice(
        type=InvoiceType.STANDARD,
        company=group.company,
        date=on,
        site=group.site,
        customer_po=group.customer_po,
        ticket=group.ticket,
        tax_code=group.tax_code,
    )
    set_bill_to(invoice, group.bill_to)
    invoice.attention = attention_of(group.bill_to)
    set_terms(invoice, terms_for(bill_to=group.bill_to, agreement=agreement))
    write_draft(invoice, lines)
    hold_charges(charge.pk for charge in group.charges)
    return invoice


def lines_of_charge(charge: Charge, earned: Decimal = ZERO) -> list[InvoiceLine]:
    """The unsaved lines of a charge: one, or one of what is covered and one of the overage at a price of its own.

    ``earned`` is what it earns of what was billed ahead. Of a ``part``, its lines alone; both come to the whole.
    """
    covered = allocation_of(charge)
    if covered is not None and charge.part:
        return _lines_of_part(charge, covered, earned)
    if charge.billing_option != BillingOption.BILLABLE:
        return [
            _line(
                charge, charge.billed_quantity, Decimal(0), ZERO, f"{_units(charge, charge.billed_quantity)}, no charge"
            )
        ]
    if covered is None or not (covered.covered_quantity or covered.covered_amount):
        price = charge.unit_price if covered is None else covered.overage_price
        return [
            _line(charge, charge.billed_quantity, price, due_of(charge), _priced(charge, charge.billed_quantity, price))
        ]
    rest = sum_money([charge.amount, -covered.covered_amount])
    if covered.overage_amount == rest and (not covered.overage_quantity or covered.overage_price == charge.unit_price):
        line = _line(charge, charge.billed_quantity, charge.unit_price, rest, _split(charge, covered))
        _cover(line, covered, earned, hidden=not covered.overage_quantity and _is_hidden(charge))
        return [line]
    first = _line(charge, covered.covered_quantity, charge.unit_price, ZERO, _split(charge, covered))
    _cover(first, covered, earned, hidden=_is_hidden(charge))
    words = f"{_priced(charge, covered.overage_quantity, covered.overage_price)}, overage of {covered.agreement}"
    second = _line(charge, covered.overage_quantity, covered.overage_price, covered.overage_amount, words)
    second.cost = sum_money([extend(charge.quantity, charge.unit_cost), -first.cost])
    return [first, second]


def _lines_of_part(charge: Charge, covered: Allocation, earned: Decimal) -> list[InvoiceLine]:
    """The lines of what is beyond the overrun limit, or of what is covered and overrun."""
    quantity, amount = quantity_of(charge), due_of(charge)
    if charge.part == OpenPart.BEYOND:
        words = _priced(charge, quantity, covered.overage_price)
        line = _line(
            charge, quantity, covered.overage_price, amount, f"{words}, beyond the limit of {covered.agreement}"
        )
        line.cost = cost_of(charge)
        return [line]
    within, drawn = copy(charge), copy(covered)
    within.part = OpenPart.NOTHING
    within.billed_quantity = quantity
    same_price = covered.overage_price == charge.unit_price
    rest = amount if same_price else extend(covered.overrun_quantity, charge.unit_price)
    within.amount = sum_money([covered.covered_amount, rest])
    drawn.overage_quantity, drawn.overage_amount = covered.overrun_quantity, amount
    within.allocation = drawn
    lines = lines_of_charge(within, earned)
    costs = allocate(cost_of(charge), [line.quantity for line in lines])
    for line, cost in zip(lines, costs, strict=True):
        line.charge, line.cost = charge, cost
    return lines


def _line(charge: Charge, quantity: Decimal, price: Decimal, amount: Decimal, words: str) -> InvoiceLine:
    part = Fraction(quantity) / Fraction(charge.billed_quantity) if charge.billed_quantity else Fraction(1)
    return InvoiceLine(
        kind=_KINDS[charge.kind],
        product=charge.product,
        description=charge.description,
        quantity=quantity,
        unit_price=price,
        amount=amount,
        cost=round_money(Fraction(charge.quantity) * part * Fraction(charge.unit_cost)),
        taxable=charge.taxable,
        explanation=words[:300],
        agreement=charge.agreement,
        charge=charge,
        service_start=charge.date,
        service_end=charge.date + timedelta(days=1),
        origin_id=charge.origin_id,
    )


def _cover(line: InvoiceLine, covered: Allocation, earned: Decimal, *, hidden: bool) -> None:
    line.covered_quantity, line.covered_amount = covered.covered_quantity, covered.covered_amount
    line.released_amount, line.hidden = earned, hidden


def _is_hidden(charge: Charge) -> bool:
    return charge.agreement is not None and not getattr(charge.agreement, _SHOWN[charge.kind])


def _split(charge: Charge, covered: Allocation) -> str:
    """``3 h × 100.00 = 300.00, 200.00 covered by AGR-0007, 1 h overage``."""
    words = _priced(charge, charge.billed_quantity, charge.unit_price)
    if not covered.overage_quantity:
        return f"{words}, covered by {covered.agreement}"
    rest = f"{_units(charge, covered.overage_quantity)} overage"
    return f"{words}, {format_money(covered.covered_amount)} covered by {covered.agreement}, {rest}"


def _priced(charge: Charge, quantity: Decimal, price: Decimal) -> str:
    return f"{_units(charge, quantity)} × {_price(price)} = {format_money(extend(quantity, price))}"


def _price(price: Decimal) -> str:
    shown = format_money(price)
    return shown if Decimal(shown.replace(",", "")) == price else plain(price)


def _units(charge: Charge, quantity: Decimal) -> str:
    return f"{plain(quantity)} h" if charge.kind == ChargeKind.TIME else plain(quantity)
