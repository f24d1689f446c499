"""The columns that billing agreements takes, loaded for many of them with a constant number of statements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple

from django.db import connection
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from counterfoil.agreements.billing_state import HELD
from counterfoil.agreements.models import Agreement
from counterfoil.billing.earned import earned_by
from counterfoil.core.calendar import Cycle, CycleBase, billing_period
from counterfoil.core.charges import Booked
from counterfoil.platform.anyof import AMONG, array_text
from counterfoil.usage import allocating
from counterfoil.usage.models import Charge, OpenPart
from counterfoil.usage.queries import is_split

_DAY: Final = timedelta(days=1)


class AgreementRow(NamedTuple):
    """What of an agreement decides its invoices; the fields are the columns that are loaded."""

    id: int
    number: str
    name: str
    type_id: int
    type__invoice_prefix: str
    type__terms_id: int | None
    company_id: int
    bill_to_id: int
    site_id: int | None
    parent_id: int | None
    bill_start_date: date
    end_date: date | None
    cancelled_on: date | None
    billing_cycle: str
    cycle_base: CycleBase
    billing_timing: str
    bill_one_time: bool
    billing_amount: Decimal
    billing_amount_taxable: bool
    prorate: bool
    prorate_first_bill: bool
    proration: str
    credits: str
    changes: str
    prepayment: bool
    application_limit: Decimal | None
    application_unlimited: bool
    terms_id: int | None
    tax_code_id: int | None
    customer_po: str
    invoice_text: str

    @property
    def is_deferred(self) -> bool:
        """Whether what it bills is earned as it is used; without a limit there is nothing to measure the use by."""
        return self.prepayment and bool(self.application_limit) and not self.application_unlimited


class AdditionRow(NamedTuple):
    """What of an addition decides its lines."""

    id: int
    agreement_id: int
    product_id: int
    product__product_class: str
    product__category_id: int
    description: str
    invoice_text: str
    quantity: Decimal
    less_included: Decimal
    unit_price: Decimal
    unit_cost: Decimal
    billing_option: str
    taxable: bool
    effective_date: date
    cancelled_date: date | None
    origin_id: int | None


class StateRow(NamedTuple):
    """How far an agreement is billed; the columns of its :class:`~counterfoil.agreements.models.BillingState`."""

    next_period: int
    changed_from: date | None
    parked_code: str
    parked_at: datetime | None
    run_id: int | None


class CompanyRow(NamedTuple):
    """What of a company stands on its invoices."""

    id: int
    kind: str
    name: str
    active: bool
    account_number: str
    terms_id: int | None
    tax_code_id: int | None


class LastInvoice(NamedTuple):
    """The last regular invoice of an agreement."""

    agreement_id: int
    period_start: date
    period_end: date
    subtotal: Decimal


@dataclass(slots=True)
class History:
    """What is on invoices from the first period on that is looked at.

    ``billed`` are the first days of the periods that have their invoice; ``revisions`` those that are taken, by first
    day; ``reversed`` the invoices that were taken back and not yet issued anew.
    """

    billed: set[date] = field(default_factory=set)
    reversed: dict[date, int] = field(default_factory=dict)
    revisions: dict[date, set[int]] = field(default_factory=dict)
    booked: list[Booked] = field(default_factory=list)


@dataclass(slots=True)
class Loaded:
    """Everything about some agreements (and their children) that their invoices follow from.

    ``first`` is the period from which on to look, where it is not the next one. ``site_tax_codes`` are keyed by site,
    and by company (negated) for its default site. ``earned`` is what covered work earns of what was billed ahead.
    ``parents`` are those that agreements have or have had, in pairs; ``held`` those that something holds.
    """

    agreements: dict[int, AgreementRow] = field(default_factory=dict)
    children: dict[int, list[AgreementRow]] = field(default_factory=dict)
    states: dict[int, StateRow] = field(default_factory=dict)
    changed: dict[int, date] = field(default_factory=dict)
    additions: dict[int, list[AdditionRow]] = field(default_factory=dict)
    changes: dict[int, list[tuple[date, Decimal, Decimal, Decimal, Decimal]]] = field(default_factory=dict)
    amounts: dict[int, list[tuple[date, Decimal]]] = field(default_factory=dict)
    cancelled: dict[int, set[date]] = field(default_factory=dict)
    parents: set[tuple[int, int]] = field(default_factory=set)
    held: set[int] = field(default_factory=set)
    overages: dict[int, list[Charge]] = field(default_factory=dict)
    earned: dict[int, Decimal] = field(default_factory=dict)
    companies: dict[int, CompanyRow] = field(default_factory=dict)
    addresses: dict[int, str] = field(default_factory=dict)
    attention: dict[int, str] = field(default_factory=dict)
    site_tax_codes: dict[int, int | None] = field(default_factory=dict)
    first: dict[int, int] = field(default_factory=dict)
    history: dict[int, History] = field(default_factory=dict)
    last: dict[int, LastInvoice] = field(default_factory=dict)


def load(agreement_ids: Sequence[int], *, through: date, with_last: bool = True, with_overages: bool = True) -> Loaded:
    """Load agreements that are nobody's children, with their children."""
    found = Loaded()
    family = _agreements(found, agreement_ids)
    _charges(found, family)
    if with_overages:
        _overages(found, family, through)
    _companies(found)
    _history(found, with_last=with_last)
    return found


def _columns(fields: Sequence[str], own: str, **joined: str) -> str:
    """What is selected for the fields of a row: ``type__terms_id`` is the column of the table joined for ``type``."""
    parts = [(field, *field.partition("__")) for field in fields]
    return ", ".join(f"{joined[table]}.{name}" if name else f"{own}.{field}" for field, table, _, name in parts)


_OF_AGREEMENT: Final = len(AgreementRow._fields)
_AGREEMENTS: Final = f"""
    SELECT {_columns(AgreementRow._fields, "a", type="t")}, {_columns(StateRow._fields, "s")},
        a.id IN (SELECT object_id FROM platform_hold WHERE label = %(held)s AND released_at IS NULL)
    FROM agreements_agreement a
        JOIN agreements_agreementtype t ON t.id = a.type_id
        JOIN agreements_billingstate s ON s.agreement_id = a.id
    WHERE a.id = {AMONG} OR a.parent_id = {AMONG}
    ORDER BY a.id
"""  # noqa: S608 - our names


def _agreements(found: Loaded, agreement_ids: Sequence[int]) -> dict[int, int]:
    """The agreements and their children, with how far they are billed; answers with the parent of each."""
    parents: dict[int, int] = {}
    for values in _rows(_AGREEMENTS, {"of": array_text(agreement_ids), "held": HELD}):
        row, state = AgreementRow._make(values[:_OF_AGREEMENT]), StateRow._make(values[_OF_AGREEMENT:-1])
        if values[-1]:
            found.held.add(row.id)
        parent = row.parent_id or row.id
        if row.parent_id is None:
            found.agreements[row.id], found.states[row.id] = row, state
        else:
            found.children.setdefault(parent, []).append(row)
        if state.changed_from is not None:  # a change of a child is one of its parent
            found.changed[parent] = min(state.changed_from, found.changed.get(parent, state.changed_from))
        parents[row.id] = parent
    return parents


_ADDITIONS: Final = f"""
    SELECT {_columns(AdditionRow._fields, "a", product="p")}
    FROM agreements_addition a JOIN catalog_product p ON p.id = a.product_id
    WHERE a.agreement_id = {AMONG} ORDER BY a.agreement_id, a.position
"""  # noqa: S608 - our names

#: What holds from days on, of additions and of billing amounts; periods that are cancelled; parents they have had.
_DATED: Final = f"""
    SELECT 1, c.addition_id, c.effective_date, c.quantity, c.less_included, c.unit_price, c.unit_cost
    FROM agreements_addition a JOIN agreements_additionchange c ON c.addition_id = a.id
    WHERE a.agreement_id = {AMONG}
    UNION ALL
    SELECT 2, agreement_id, effective_date, billing_amount, 0, 0, 0
    FROM agreements_billingamountchange WHERE agreement_id = {AMONG}
    UNION ALL
    SELECT 3, agreement_id, period_start, 0, 0, 0, 0
    FROM agreements_cancelledperiod WHERE agreement_id = {AMONG}
    UNION ALL
    SELECT DISTINCT 4, pgh_obj_id, NULL::date, parent_id, 0, 0, 0
    FROM agreements_agreementevent WHERE pgh_obj_id = {AMONG} AND parent_id IS NOT NULL
    ORDER BY 1, 2, 3
"""  # noqa: S608 - our own


def _charges(found: Loaded, family: dict[int, int]) -> None:
    of = array_text(family)
    additions = found.additions
    for values in _rows(_ADDITIONS, {"of": of}):
        addition = AdditionRow._make(values)
        if addition.agreement_id in additions:
            additions[addition.agreement_id].append(addition)
        else:
            additions[addition.agreement_id] = [addition]
    for what, pk, day, *numbers in _rows(_DATED, {"of": of}):
        if what == 1:
            quantity, less_included, unit_price, unit_cost = numbers
            found.changes.setdefault(pk, []).append((day, quantity, less_included, unit_price, unit_cost))
        elif what == 2:
            found.amounts.setdefault(pk, []).append((day, numbers[0]))
        elif what == 4:
            found.parents.add((pk, int(numbers[0])))
        elif pk in found.agreements:
            found.cancelled.setdefault(pk, set()).add(day)


#: Work beyond what its agreement covers that is billed in arrears, with the agreement, when its period is over. Of what
#: goes beyond the overrun limit, the part within. It takes the first day after.
OVERAGES_DUE: Final = """
    SELECT c.id, c.agreement_id FROM usage_charge c JOIN usage_allocation l ON l.charge_id = c.id
    WHERE (NOT c.billed OR c.open_part = 'overrun') AND c.written_off_at IS NULL AND c.agreement_id IS NOT NULL
        AND c.billing_option = 'Billable' AND l.bill_from <= %s
"""


def overages_due(through: date) -> QuerySet[Charge]:
    """What :data:`OVERAGES_DUE` finds through a day."""
    return Charge.objects.filter(pk__in=RawSQL(f"SELECT id FROM ({OVERAGES_DUE}) due", [through + _DAY]))  # noqa: S608, S611


def _overages(found: Loaded, family: dict[int, int], through: date) -> None:
    rows = overages_due(through).filter(agreement__any=family).order_by("date", "pk")
    prepaid: dict[int, list[int]] = {}
    for row in rows.select_related("agreement", "product", "allocation__agreement"):
        assert row.agreement is not None
        row.part = OpenPart.OVERRUN if is_split(row) else OpenPart.NOTHING
        found.overages.setdefault(family[row.agreement.pk], []).append(row)
        if row.agreement.prepayment:
            prepaid.setdefault(row.agreement.pk, []).append(row.pk)
    if prepaid:
        outcomes = allocating.decide(Agreement.objects.filter(pk__in=prepaid))
        terms = {pk: outcome.terms for pk, outcome in outcomes.items()}
        found.earned = earned_by([pk for ids in prepaid.values() for pk in ids], terms)


_COMPANIES: Final = f"""
    SELECT c.id, c.kind, c.name, c.active, c.account_number, c.terms_id, c.tax_code_id,
        (SELECT p.name FROM companies_contact p WHERE p.company_id = c.id AND p.is_billing
            ORDER BY p.is_default DESC, p.name LIMIT 1),
        s.id, s.is_default, s.tax_code_id, s.line1, s.line2, s.city, s.state, s.postal_code
    FROM companies_company c
        LEFT JOIN companies_site s ON s.company_id = c.id AND s.company_id = {AMONG} -- or all sites are read
    WHERE c.id = {AMONG}
    ORDER BY c.id, s.is_default DESC, s.name
"""  # noqa: S608 - our own
_OF_COMPANY: Final = len(CompanyRow._fields)


def _companies(found: Loaded) -> None:
    """Whom it is for and who pays, each with its sites, the default one in front, and its contact for bills."""
    ids = {pk for row in found.agreements.values() for pk in (row.company_id, row.bill_to_id)}
    for values in _rows(_COMPANIES, {"of": array_text(ids)}):
        contact, site, is_default, tax_code_id, *address = values[_OF_COMPANY:]
        pk = values[0]
        if pk not in found.companies:
            found.companies[pk] = CompanyRow._make(values[:_OF_COMPANY])
            found.addresses[pk] = _address(*address) if site else ""
            found.attention[pk] = contact or ""
        if site:
            found.site_tax_codes[site] = tax_code_id
            if is_default:
                found.site_tax_codes[-pk] = tax_code_id


def _address(line1: str, line2: str, city: str, state: str, postal_code: str) -> str:
    """As :attr:`Site.address_lines`, without a model instance."""
    town = " ".join(part for part in (state, postal_code) if part)
    place = ", ".join(part for part in (city, town) if part)
    return "\n".join(line for line in (line1, line2, place) if line)


# -- history -----------------------------------------------------------------------------------------------------------

#: The invoices from the first day on that is looked at, and the last regular one before any.
_INVOICES: Final = """
    SELECT i.agreement_id, i.period_start, i.revision, i.id, i.is_adjustment OR i.type = 'credit_memo',
        EXISTS (SELECT 1 FROM billing_invoice r WHERE r.reverses_id = i.id),
        EXISTS (SELECT 1 FROM billing_invoice r WHERE r.reissues_id = i.id),
        NULL::date, NULL::numeric
    FROM unnest(%s::bigint[], %s::date[]) t(id, since)
    JOIN billing_invoice i ON i.agreement_id = t.id AND i.period_start >= t.since
    WHERE i.agreement_id IS NOT NULL AND i.period_start IS NOT NULL
    UNION ALL
    SELECT l.agreement_id, l.period_start, NULL, NULL, NULL, NULL, NULL, l.period_end, l.subtotal
    FROM unnest(%s::bigint[]) t(id) CROSS JOIN LATERAL (
        SELECT i.agreement_id, i.period_start, i.period_end, i.subtotal FROM billing_invoice i
        WHERE i.agreement_id = t.id AND i.agreement_id IS NOT NULL AND i.period_start IS NOT NULL AND i.revision = 0
        ORDER BY i.period_start DESC LIMIT 1
    ) l
"""

#: Lines of the agreements' invoices, then what was credited of them by hand. What was reversed is billed again: neither
#: a reversed invoice nor its reversal counts.
_BOOKED: Final = """
    SELECT t.id, l.agreement_id, l.addition_id, l.period_start, l.amount, l.cost, l.quantity, l.unit_price,
        l.service_start, l.service_end, FALSE, l.id
    FROM unnest(%s::bigint[], %s::date[]) t(id, since)
    JOIN billing_invoice i ON i.agreement_id = t.id
    JOIN billing_invoiceline l ON l.invoice_id = i.id
    WHERE i.agreement_id IS NOT NULL AND i.period_start IS NOT NULL AND i.credits_id IS NULL
        AND NOT EXISTS (SELECT 1 FROM billing_invoice r WHERE r.reverses_id = i.id)
        AND l.period_start >= t.since AND l.charge_id IS NULL AND l.service_start IS NOT NULL
    UNION ALL
    SELECT t.id, l.agreement_id, l.addition_id, l.period_start, c.amount, c.cost, c.quantity, c.unit_price,
        l.service_start, l.service_end, TRUE, c.id
    FROM unnest(%s::bigint[], %s::date[]) t(id, since)
    JOIN billing_invoice i ON i.agreement_id = t.id
    JOIN billing_invoiceline l ON l.invoice_id = i.id
    JOIN billing_invoiceline c ON c.credited_line_id = l.id
    JOIN billing_invoice m ON m.id = c.invoice_id AND m.reverses_id IS NULL
    WHERE i.agreement_id IS NOT NULL AND i.period_start IS NOT NULL AND l.period_start >= t.since
        AND l.charge_id IS NULL AND l.service_start IS NOT NULL
    ORDER BY 12
"""

#: As :data:`_BOOKED`, what stands on the invoices of another agreement than the one that bills it now.
_BOOKED_ELSEWHERE: Final = """
    SELECT t.head, l.agreement_id, l.addition_id, l.period_start, l.amount, l.cost, l.quantity, l.unit_price,
        l.service_start, l.service_end, FALSE, l.id
    FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::date[]) t(id, head, biller, since)
    JOIN billing_invoice i ON i.agreement_id = t.biller AND i.period_start >= t.since
    JOIN billing_invoiceline l ON l.invoice_id = i.id AND l.agreement_id = t.id
    WHERE i.agreement_id IS NOT NULL AND i.period_start IS NOT NULL AND i.credits_id IS NULL
        AND NOT EXISTS (SELECT 1 FROM billing_invoice r WHERE r.reverses_id = i.id)
        AND l.period_start >= t.since AND l.charge_id IS NULL AND l.service_start IS NOT NULL
    ORDER BY l.id
"""


def _history(found: Loaded, *, with_last: bool) -> None:
    """What is billed from the period on that is looked at: the next one, or the one that a change reaches back to."""
    since: dict[int, date] = {}
    for pk, agreement in found.agreements.items():
        n, changed = found.states[pk].next_period, found.changed.get(pk)
        start = _start(agreement, n)
        while n and changed is not None and start > changed:
            n -= 1
            start = _start(agreement, n)
        if n != found.states[pk].next_period:
            found.first[pk] = n
        since[pk] = min([start, *(row.date for row in found.overages.get(pk, ()))])
    wanted = [array_text(since), array_text(since.values()), array_text(since if with_last else ())]
    for pk, start, revision, invoice, is_other, is_reversed, is_reissued, end, subtotal in _rows(_INVOICES, wanted):
        if end is not None:
            found.last[pk] = LastInvoice(pk, start, end, subtotal)
            continue
        history = found.history.setdefault(pk, History())
        history.revisions.setdefault(start, set()).add(revision)
        if not is_other and not is_reversed:
            history.billed.add(start)
        elif not is_other and not is_reissued:
            history.reversed[start] = invoice
    looked = [pk for pk in since if pk in found.history]
    if looked:
        asked = [array_text(looked), array_text(since[pk] for pk in looked)]
        for row in _rows(_BOOKED, [*asked, *asked]):
            _book(found, row)
    for row in _booked_elsewhere(found, since):
        _book(found, row)
        if row[0] == row[1]:  # the parent that it had has billed the period
            found.history[row[0]].billed.add(row[3])


def _booked_elsewhere(found: Loaded, since: dict[int, date]) -> list[tuple[Any, ...]]:
    """What is billed of children that were billed by themselves before, and of those that had another parent."""
    heads = {member.id: pk for pk in since for member in (found.agreements[pk], *found.children.get(pk, ()))}
    billers = {(pk, pk) for pk, head in heads.items() if pk != head}
    billers |= {(pk, parent) for pk, parent in found.parents if parent != heads.get(pk, parent)}
    if not billers:
        return []
    ids, others = zip(*sorted(billers), strict=True)
    of = [heads[pk] for pk in ids]
    columns: tuple[Iterable[int | date], ...] = (ids, of, others, [since[pk] for pk in of])
    return _rows(_BOOKED_ELSEWHERE, [array_text(column) for column in columns])


def _book(found: Loaded, row: tuple[Any, ...]) -> None:
    pk, agreement_id, addition_id, *rest, _line = row
    key = addition_id or -(agreement_id or pk)
    found.history.setdefault(pk, History()).booked.append(Booked(key, *rest))


def _start(agreement: AgreementRow, n: int) -> date:
    return period_start(agreement.billing_cycle, agreement.bill_start_date, agreement.cycle_base, n)


@lru_cache(maxsize=4096)
def period_start(cycle: str, anchor: date, base: CycleBase, n: int) -> date:
    """The first day of the n-th billing period; many agreements have the same."""
    return billing_period(anchor, Cycle.parse(cycle), n, base).start


def _rows(statement: str, parameters: Sequence[Any] | dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
