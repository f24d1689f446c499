"""A vendor's statement against what is billed: unbilled, under-billed, over-billed, orphaned, in dollars a month.

Quantities are those of the last day of the statement's period. What the vendor has then is the sum of the charges in
effect on that day: a credit for the rest of the period takes away what the charge brought, so that a month with
additions, reductions and cancellations comes to what is left at its end, not to the sum of its rows. A charge for
longer than its statement's period (a year paid at once) counts until it ends. Charges without days count in their own
statement alone. Of two statements for one period and one reference the later replaces the earlier.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from hashlib import sha256
from typing import Final

from django.db.models import Count, Min, Q, QuerySet, Sum

from counterfoil.agreements.models import BillingOption
from counterfoil.agreements.quantities import AdditionOn, additions_on
from counterfoil.agreements.queries import running_on
from counterfoil.catalog.models import Offer, PricingScheduleCompany, Product
from counterfoil.catalog.prices import PriceAsk, prices_for
from counterfoil.companies.models import Company
from counterfoil.core.calendar import Cycle, add_months, format_date, months_between
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, format_money, round_money, sum_money
from counterfoil.matching.comparing import Compared, Ours, Theirs, compare
from counterfoil.matching.exceptions import Finding, Settled, settle
from counterfoil.matching.holding import documents_of, refresh_holds
from counterfoil.matching.models import MatchException, MatchKind, NameMatch, VendorStatement, VendorStatementLine
from counterfoil.matching.words import is_seats, signed
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import existing, locked
from counterfoil.platform.records import plain_number

CLERKS: Final = (Role.PROCUREMENT, Role.FINANCE)

#: A change of an addition that is entered for so many months after the period counts as mending a difference.
_MONTHS_AHEAD: Final = 2
_UNDERSTOOD: Final = (NameMatch.EXACT.value, NameMatch.ALIAS.value)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What a reconciliation came to. ``counts`` is by status, ``unknown`` counts names that nobody has confirmed.

    ``unbilled`` is what is not billed a month, ``over_billed`` what is billed a month and the vendor does not have,
    ``orphaned`` what the vendor bills a month for customers without an agreement.
    """

    statement_id: int
    number: str
    on: date
    counts: dict[str, int]
    unknown: int
    unbilled: Decimal
    over_billed: Decimal
    orphaned: Decimal
    exceptions: Settled


@command(roles=CLERKS)
def reconcile_statement(*, actor: Actor, statement_id: int, now: datetime) -> Reconciliation:
    """Hold a vendor's statement against what is billed; differences become exceptions, those that are gone are mended.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` when a statement for a later period has been reconciled.
    """
    statement = locked(VendorStatement.objects.select_related("vendor"), statement_id)
    later = VendorStatement.objects.filter(
        vendor=statement.vendor_id, period_end__gt=statement.period_end, reconciled_at__isnull=False
    ).first()
    if later is not None:
        raise DomainError(
            "wrong_state",
            f"{later.number} is for a later period and is reconciled; {statement.number} would find what is past.",
            hint=f"Reconcile {later.number} again.",
        )
    result = _reconcile(statement, now=now)
    said = ", ".join(f"{count} {status.replace('_', '-')}" for status, count in sorted(result.counts.items()))
    text = f"reconciled {statement.number} of {statement.vendor.name} as of {format_date(result.on)}: {said or 'empty'}"
    audit.record(actor, "matching.statement.reconciled", text, statement)
    return result


def look_again(
    vendor_id: int, *, companies: Collection[int] = (), products: Collection[int] = (), now: datetime
) -> Settled | None:
    """Compare these customers and these products of the vendor once more, and its names, within another command."""
    statement = latest_reconciled(vendor_id)
    if statement is None:
        return None
    compared = compared_of(statement, companies=companies) if companies else []
    compared += compared_of(statement, products=products) if products else []
    findings = [*findings_of(statement, compared), *_unknown_names(statement)]
    looked_at = Q(company__in=companies) | Q(product__in=products) | Q(code__startswith="unknown_")
    return settle_reconciled(Q(looked_at, vendor=vendor_id), findings, now=now)


def settle_reconciled(scope: Q, findings: Iterable[Finding], *, now: datetime) -> Settled:
    """Make the exceptions within ``scope`` those found, and hold what they hold by the rules."""
    settled = settle(MatchKind.RECONCILIATION, scope, findings, now=now)
    if settled.rows:
        refresh_holds(documents_of(MatchException.objects.filter(key__any=[row.key for row in settled.rows])))
    return settled


def latest_reconciled(vendor_id: int) -> VendorStatement | None:
    """The vendor's reconciled statement of the latest period: the one that its exceptions are of."""
    reconciled = VendorStatement.objects.filter(vendor=vendor_id, reconciled_at__isnull=False)
    return reconciled.select_related("vendor").order_by("-period_end", "-id").first()


def _reconcile(statement: VendorStatement, *, now: datetime) -> Reconciliation:
    compared = compared_of(statement)
    unknown = _unknown_names(statement)
    findings = [*findings_of(statement, compared), *unknown]
    settled = settle_reconciled(Q(vendor=statement.vendor_id), findings, now=now)
    VendorStatement.objects.filter(pk=statement.pk).update(reconciled_at=now)
    return Reconciliation(
        statement_id=statement.pk,
        number=statement.number,
        on=statement.period_end - _DAY,
        counts=dict(Counter(row.status for row in compared)),
        unknown=len(unknown),
        unbilled=sum_money(row.monthly for row in compared if row.status in ("unbilled", "under_billed")),
        over_billed=-sum_money(row.monthly for row in compared if row.monthly < 0),
        orphaned=sum_money(row.monthly for row in compared if row.status == "orphaned" and row.monthly > 0),
        exceptions=settled,
    )


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """A customer, product and term of a statement, with what the vendor says and what is billed.

    ``status`` is exact, unbilled, under_billed, over_billed or orphaned; ``monthly`` the dollars a month.
    """

    company_id: int
    company: str
    product_id: int
    product: str
    term: str
    status: str
    their_quantity: Decimal
    our_quantity: Decimal
    monthly: Decimal
    addition_id: int | None
    statement_line_id: int | None


def comparison(*, statement_id: int, status: str = "", company_id: int | None = None) -> list[ComparedRow]:
    """A statement's quantities against what is billed, as things stand, by customer and product.

    Args:
        statement_id: whose.
        status: of one status alone.
        company_id: of one customer alone.

    Raises:
        DomainError: ``not_found``.
    """
    statement = existing(VendorStatement.objects.select_related("vendor"), statement_id, "statement_id")
    of = None if company_id is None else {company_id}
    rows = [row for row in compared_of(statement, companies=of) if status in ("", row.status)]
    names = dict(Company.objects.filter(pk__in={row.company_id for row in rows}).values_list("pk", "name"))
    products = dict(Product.objects.filter(pk__in={row.product_id for row in rows}).values_list("pk", "description"))
    return [
        ComparedRow(
            row.company_id, names[row.company_id], row.product_id, products[row.product_id], row.term, row.status,
            row.theirs, row.ours, row.monthly, row.addition_id, row.line_id,
        )
        for row in rows
    ]  # fmt: skip


# -- both sides --------------------------------------------------------------------------------------------------------


def compared_of(
    statement: VendorStatement, *, companies: Collection[int] | None = None, products: Collection[int] | None = None
) -> list[Compared]:
    """The statement's quantities against ours; of these customers or products alone where they are given."""
    on = statement.period_end - _DAY
    theirs = list(_theirs(statement, on, companies, products))
    named = _sold_by(statement.vendor_id)
    if companies is None:
        named |= {line.product_id for line in theirs}
    else:  # what others have of it tells that the vendor sells it
        lines = in_effect(statement, on).filter(product_match__in=_UNDERSTOOD)
        named |= set(lines.order_by().values_list("product_id", flat=True).distinct())
    ours = list(_ours(on, named if products is None else named & set(products), companies))
    customers = frozenset(running_on(on).values_list("company", flat=True))
    return _priced(compare(theirs, ours, customers=customers), on)


def _theirs(
    statement: VendorStatement, on: date, companies: Collection[int] | None, products: Collection[int] | None
) -> Iterable[Theirs]:
    """The charges in effect on the day, of names that are understood."""
    lines = in_effect(statement, on).filter(company_match__in=_UNDERSTOOD, product_match__in=_UNDERSTOOD)
    if companies is not None:
        lines = lines.filter(company__in=companies)
    if products is not None:
        lines = lines.filter(product__in=products)
    for pk, company, product, term, quantity, cost, amount, kind, cycle, first, end in lines.values_list(
        "pk", "company_id", "product_id", "term", "quantity", "unit_cost", "amount", "charge_type", "billing_cycle",
        "charge_start", "charge_end",
    ).iterator(chunk_size=5000):  # fmt: skip
        if is_seats(kind):
            days = (end - first).days if first and end else 0
            yield Theirs(company, product, term, signed(quantity, amount, kind), _monthly(cost, cycle), pk, days)


def in_effect(statement: VendorStatement, on: date) -> QuerySet[VendorStatementLine]:
    """The lines that hold on a day: of the statements of this period, and longer charges of earlier ones."""
    same: set[int] = set()
    earlier: set[int] = set()
    replaced: set[tuple[date, date, str]] = set()
    rows = VendorStatement.objects.filter(vendor=statement.vendor_id, period_end__lte=statement.period_end)
    for pk, start, end, reference in rows.order_by("-id").values_list("pk", "period_start", "period_end", "reference"):
        if (start, end, reference) in replaced:
            continue
        replaced.add((start, end, reference))
        (same if end == statement.period_end else earlier).add(pk)
    undated = Q(charge_start=None) | Q(charge_end=None)
    on_day = Q(charge_start__lte=on, charge_end__gt=on)
    return VendorStatementLine.objects.filter(
        Q(statement__in=same) & (undated | on_day) | Q(statement__in=earlier) & on_day
    ).order_by("pk")


def _sold_by(vendor_id: int) -> set[int]:
    """Products that this vendor should have on its statements: its own, by product or offer."""
    of_vendor = Product.objects.filter(Q(vendor=vendor_id) | Q(offers__vendor=vendor_id))
    return set(of_vendor.order_by().values_list("pk", flat=True))


def _ours(on: date, products: Collection[int], companies: Collection[int] | None) -> Iterable[Ours]:
    for row in additions_on(on=on, later=add_months(on, _MONTHS_AHEAD), product_ids=products, company_ids=companies):
        yield Ours(
            company_id=row.company_id,
            product_id=row.product_id,
            term=row.term,
            quantity=row.quantity,
            later_quantity=row.later_quantity,
            unit_price=_price_of(row),
            unit_cost=_monthly(row.unit_cost, row.billing_cycle),
            addition_id=row.addition_id,
            ends=row.ends,
        )


def _price_of(row: AdditionOn) -> Fraction:
    """The price a month; nothing where the customer is not charged for it, or is charged once."""
    if row.bill_one_time or row.billing_option != BillingOption.BILLABLE:
        return Fraction(0)
    return _monthly(row.unit_price, row.billing_cycle)


@lru_cache(maxsize=8192)
def _monthly(amount: Decimal, cycle: str) -> Fraction:
    return Fraction(amount) * (Cycle.parse(cycle).per_month if cycle else 1)


def _priced(compared: list[Compared], on: date) -> list[Compared]:
    """The unbilled ones with the price that would be charged: the schedule's, the offer's or the product's."""
    wanted = [row for row in compared if row.status == "unbilled"]
    if not wanted:
        return compared
    products = Product.objects.in_bulk({row.product_id for row in wanted})
    offers = usual_offers(products)
    with_schedules = set(PricingScheduleCompany.objects.values_list("company", flat=True))
    by_company: dict[int | None, list[Compared]] = defaultdict(list)
    for row in wanted:
        by_company[row.company_id if row.company_id in with_schedules else None].append(row)
    prices: dict[Compared, Fraction] = {}
    for company, rows in by_company.items():
        asks = [PriceAsk(products[row.product_id], row.theirs, offers.get((row.product_id, row.term))) for row in rows]
        for row, ask, found in zip(rows, asks, prices_for(asks, company_id=company, on=on), strict=True):
            cycle = ask.offer.billing_cycle if ask.offer else ask.product.billing_cycle
            prices[row] = _monthly(found.price, cycle)
    return [replace(row, unit_price=prices[row]) if row in prices else row for row in compared]


def usual_offers(products: Collection[int]) -> dict[tuple[int, str], Offer]:
    """The offer of each product and term that is billed most often: what an addition would be sold by."""
    rows = Offer.objects.filter(product__in=products, active=True)
    by_length = sorted(rows, key=lambda offer: (Cycle.parse(offer.billing_cycle).per_month if offer.billing_cycle
                                                else Fraction(0), -offer.pk))  # fmt: skip
    return {(offer.product_id, offer.term): offer for offer in by_length}


# -- findings ----------------------------------------------------------------------------------------------------------


def findings_of(statement: VendorStatement, compared: Iterable[Compared]) -> list[Finding]:
    """What differs, as findings."""
    rows = [row for row in compared if row.status != "exact"]
    names = dict(Company.objects.filter(pk__in={row.company_id for row in rows}).values_list("pk", "name"))
    products = dict(Product.objects.filter(pk__in={row.product_id for row in rows}).values_list("pk", "description"))
    return [_finding(statement, row, names[row.company_id], products[row.product_id]) for row in rows]


def _finding(statement: VendorStatement, row: Compared, customer: str, product: str) -> Finding:
    vendor = statement.vendor.name
    what = f"{product}, {_term_in_words(row.term)}" if row.term else product
    theirs, ours, gap = (plain_number(each) for each in (row.theirs, row.ours, abs(row.difference)))
    monthly = row.monthly
    dollars = f"{format_money(abs(monthly))} a month"
    if row.status == "unbilled":
        message = f"{customer} has {theirs} {what} at {vendor}, and none is billed: {dollars}."
        to_do = "Add them to the agreement from the day they came, or cancel them at the vendor."
    elif row.status == "under_billed":
        message = f"{customer} has {theirs} {what} at {vendor}, and {ours} are billed: {gap} are not, {dollars}."
        to_do = f"Raise the addition to {theirs} from the day they came, or give {gap} back to the vendor."
    elif row.status == "over_billed":
        message = f"{customer} is billed {ours} {what}, and has {theirs} at {vendor}: {gap} too many, {dollars}."
        to_do = f"Lower the addition to {theirs}, or order the {gap} that are missing."
    elif row.ours:
        message = f"{customer} is billed {ours} {what}, and {vendor} has none: {dollars}."
        to_do = "End the addition, or order at the vendor. Confirm the names that are unknown first."
    else:
        message = f"{vendor} bills {theirs} {what} of {customer}, who has no agreement: {dollars} of cost."
        to_do = "Make an agreement for the customer, or cancel them at the vendor."
    return Finding(
        key=f"reconciliation:{statement.vendor_id}:{row.company_id}:{row.product_id}:{row.term}",
        code=row.status,
        expected_leg="statement",
        actual_leg="addition",
        expected=theirs,
        actual=ours,
        message=message,
        what_to_do=to_do,
        monthly=monthly,
        over_term=round_money(monthly * _months_left(statement, row.ends)),
        company_id=row.company_id,
        vendor_id=statement.vendor_id,
        product_id=row.product_id,
        addition_id=row.addition_id,
        statement_line_id=row.line_id,
    )


def _months_left(statement: VendorStatement, ends: date | None) -> int:
    """Whole months from the period's start to the end of the term; the period itself where there is no end."""
    return max(months_between(statement.period_start, ends + _DAY), 1) if ends else 1


def _term_in_words(term: str) -> str:
    unit, _, count = term.partition(":")
    return f"{count} {unit}{'' if count == '1' else 's'}"


def _unknown_names(statement: VendorStatement) -> list[Finding]:
    """A finding for each name on the lines in effect that nobody has confirmed, with its quantity and cost."""
    lines = in_effect(statement, statement.period_end - _DAY)
    sums = {"lines": Count("pk"), "first": Min("pk"), "cost": Sum("amount")}
    customers = lines.exclude(company_match__in=_UNDERSTOOD).order_by()
    products = lines.exclude(product_match__in=_UNDERSTOOD).order_by()
    found = [
        (kind, name, row)
        for kind, column, rows in (
            ("customer", "customer_name", customers),
            ("product", "product_name", products),
        )
        for row in rows.values(column).annotate(**sums).order_by(column)
        for name in [row[column]]
    ]
    return [
        Finding(
            key=f"reconciliation:{statement.vendor_id}:{kind}:{sha256(name.encode()).hexdigest()[:40]}",
            code=f"unknown_{kind}",
            expected_leg="statement",
            actual_leg=kind,
            expected=name,
            message=f"{statement.vendor.name} names a {kind} “{name}” that is not known here, on {row['lines']} lines"
            f" for {format_money(row['cost'] or ZERO)}.",
            what_to_do=f"Say which {kind} of ours it is; its lines are compared then.",
            vendor_id=statement.vendor_id,
            statement_line_id=row["first"],
        )
        for kind, name, row in found
    ]
