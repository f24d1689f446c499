"""What is known about sales tax, and what it comes to: :class:`TaxTable` taxes invoices of a day.

    table = tax_table(on=invoice_date, buyer_ids=[bill_to_id])
    result = table.tax(tax_code_id, bill_to_id, lines)

A table is loaded with a constant number of statements and taxes any number of invoices of its day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, cast

from django.db import connection
from django.db.models import F, Prefetch, Q, QuerySet

from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.salestax import (
    EVERYWHERE,
    NOWHERE,
    Basis,
    TaxableLine,
    TaxLevels,
    TaxResult,
    compute_tax,
)
from counterfoil.core.salestax import RateType as CoreRateType
from counterfoil.core.salestax import TaxLevel as Level
from counterfoil.platform.aggregates import sum_of
from counterfoil.platform.anyof import array_text
from counterfoil.platform.fields import price_field
from counterfoil.tax.models import (
    ExemptionCertificate,
    LevelRateType,
    TaxBasis,
    TaxCode,
    TaxExemption,
    TaxLevel,
    TaxRemittance,
    TaxSettings,
)

NO_LEVELS: Final = TaxLevels()

# -- records -----------------------------------------------------------------------------------------------------------


def in_effect(on: date | None, prefix: str = "") -> Q:
    """Rows that hold on a day; for no day those that hold until further notice."""
    first, after = f"{prefix}valid_from", f"{prefix}valid_to"
    if on is None:
        return Q(**{f"{after}__isnull": True})
    return (Q(**{f"{first}__isnull": True}) | Q(**{f"{first}__lte": on})) & (
        Q(**{f"{after}__isnull": True}) | Q(**{f"{after}__gt": on})
    )


def tax_codes(*, search: str = "", active: bool | None = None, on: date | None = None) -> QuerySet[TaxCode]:
    """Tax codes with their levels and ``combined_rate`` (0.06 is 6 %, amounts a unit aside) on a day.

    Without a day the levels are those that hold until further notice.
    """
    holds = in_effect(on, "levels__")
    rows = TaxCode.objects.prefetch_related(Prefetch("levels", TaxLevel.objects.filter(in_effect(on)))).annotate(
        combined_rate=sum_of(TaxCode, "levels__rate", price_field(), holds & Q(levels__rate_type=LevelRateType.PERCENT))
    )
    for word in search.split():
        rows = rows.filter(Q(identifier__icontains=word) | Q(description__icontains=word))
    return rows if active is None else rows.filter(active=active)


def level_rows(tax_code_id: int, *, on: date | None = None) -> QuerySet[TaxLevel]:
    """The levels as records, with the agencies they are paid to, in order, as they hold on a day."""
    return TaxLevel.objects.filter(in_effect(on), tax_code_id=tax_code_id).order_by("position")


def tax_levels(tax_code_id: int | None, *, on: date | None = None) -> TaxLevels:
    """The levels of a tax code on a day, as the core reckons with them; none for no code."""
    return NO_LEVELS if tax_code_id is None else TaxLevels(core_level(row) for row in level_rows(tax_code_id, on=on))


def level_history(tax_code_id: int) -> QuerySet[TaxLevel]:
    """The levels as they were, are and will be."""
    return TaxLevel.objects.filter(tax_code_id=tax_code_id).order_by("position", F("valid_from").asc(nulls_first=True))


def exemptions(tax_code_id: int) -> QuerySet[TaxExemption]:
    """What a tax code exempts."""
    return TaxExemption.objects.filter(tax_code_id=tax_code_id).select_related("category", "expense_type", "work_role")


def certificates(
    *, search: str = "", company_id: int | None = None, on: date | None = None
) -> QuerySet[ExemptionCertificate]:
    """Exemption certificates; of one company, or those that count on a day."""
    rows = ExemptionCertificate.objects.select_related("company", "tax_code")
    for word in search.split():
        rows = rows.filter(Q(company__name__icontains=word) | Q(number__icontains=word) | Q(reason__icontains=word))
    if company_id is not None:
        rows = rows.filter(company_id=company_id)
    return rows if on is None else rows.filter(_counts(on))


def certificates_expiring(*, on: date, days: int = 60) -> QuerySet[ExemptionCertificate]:
    """Certificates that expire within so many days, or did in as many days before; the soonest first."""
    span = timedelta(days=days)
    return certificates().filter(expires_on__gte=on - span, expires_on__lte=on + span).order_by("expires_on", "id")


def remittances(*, agency: str = "") -> QuerySet[TaxRemittance]:
    """Sales tax paid to agencies, newest first."""
    found = TaxRemittance.objects.select_related("bank_account")
    return found.filter(agency=agency) if agency else found


def tax_basis() -> Basis:
    """What is rounded: the tax on each line, or on the whole invoice."""
    basis = TaxSettings.objects.filter(pk=1).values_list("basis", flat=True).first()
    return cast(Basis, basis or TaxBasis.INVOICE.value)


def _counts(on: date) -> Q:
    return Q(valid_from__lte=on) & (Q(expires_on__isnull=True) | Q(expires_on__gte=on))


# -- taxing ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class TaxRules:
    """A tax code on a day: its levels, and the positions at which categories, expense types and roles are exempt."""

    identifier: str
    state: str
    problem: str = ""
    levels: TaxLevels = NO_LEVELS
    categories: dict[int, frozenset[int]] = field(default_factory=dict)
    expense_types: dict[int, frozenset[int]] = field(default_factory=dict)
    work_roles: dict[int, frozenset[int]] = field(default_factory=dict)

    @property
    def exempts(self) -> bool:
        """Whether anything is exempt by what it is."""
        return bool(self.categories or self.expense_types or self.work_roles)

    def exempt(
        self, category_id: int | None = None, expense_type_id: int | None = None, work_role_id: int | None = None
    ) -> frozenset[int]:
        """The positions of the levels that do not tax such a line."""
        found = NOWHERE
        if category_id is not None:
            found = self.categories.get(category_id, found)
        if expense_type_id is not None:
            found |= self.expense_types.get(expense_type_id, NOWHERE)
        if work_role_id is not None:
            found |= self.work_roles.get(work_role_id, NOWHERE)
        return found


@dataclass(frozen=True, slots=True)
class TaxTable:
    """All there is to know to tax the invoices of a day."""

    on: date
    basis: Basis
    rules: Mapping[int, TaxRules]
    certified: Mapping[int, Sequence[tuple[int | None, str]]]

    def tax(self, tax_code_id: int | None, buyer_id: int, lines: Sequence[TaxableLine]) -> TaxResult:
        """The tax of an invoice to the buyer (the bill-to); none without a tax code.

        Raises:
            DomainError: ``tax_code_not_in_effect``; ``not_found`` for a code that is not in the table.
        """
        rules = self.rules_of(tax_code_id)
        if self.is_certified(buyer_id, tax_code_id):
            lines = [line._replace(exempt=EVERYWHERE) for line in lines]
        elif rules.exempts:
            lines = [line._replace(exempt=rules.exempt(*line[5:8])) for line in lines]
        return compute_tax(lines, rules.levels, self.basis)

    def rules_of(self, tax_code_id: int | None) -> TaxRules:
        """The levels and exemptions of a tax code.

        Raises:
            DomainError: ``tax_code_not_in_effect`` before its effective date and from its cancel date; ``not_found``.
        """
        if tax_code_id is None:
            return _UNTAXED
        rules = self.rules.get(tax_code_id)
        if rules is None:
            raise DomainError("not_found", f"There is no tax code with the id {tax_code_id}.", field="tax_code")
        if rules.problem:
            raise DomainError(
                "tax_code_not_in_effect",
                rules.problem,
                field="tax_code",
                hint="Choose another tax code, change the date of the invoice, or change the dates of the tax code.",
            )
        return rules

    def exempt(
        self,
        tax_code_id: int | None,
        buyer_id: int,
        *,
        category_id: int | None = None,
        expense_type_id: int | None = None,
        work_role_id: int | None = None,
    ) -> frozenset[int]:
        """The positions of the levels that do not tax such a line for the buyer; :data:`EVERYWHERE` by certificate."""
        if self.is_certified(buyer_id, tax_code_id):
            return EVERYWHERE
        return self.rules_of(tax_code_id).exempt(category_id, expense_type_id, work_role_id)

    def is_certified(self, buyer_id: int, tax_code_id: int | None) -> bool:
        """Whether a certificate of the buyer counts for the tax code."""
        held = self.certified.get(buyer_id)
        if not held or tax_code_id is None:
            return False
        state = self.rules_of(tax_code_id).state
        return any(code == tax_code_id or (code is None and of in ("", state)) for code, of in held)


_UNTAXED: Final = TaxRules("", "")


def tax_table(
    *, on: date, buyer_ids: Iterable[int] | None = None, tax_code_ids: Iterable[int] | None = None
) -> TaxTable:
    """What it takes to tax invoices dated ``on``, in three statements.

    Args:
        on: the date of the invoices: rates and certificates are those of that day.
        buyer_ids: whose certificates are looked at; ``None`` is everybody's.
        tax_code_ids: the tax codes used; ``None`` is all.
    """
    basis, rules = rates_on(on, tax_code_ids)
    return TaxTable(on, basis, rules, exemptions_on(on, buyer_ids))


#: Tax codes, what is rounded, and of each the levels that hold on a day (as :func:`in_effect` says).
_OF_LEVEL: Final = tuple(each.name for each in fields(Level))
_RATES: Final = f"""
    SELECT c.id, c.identifier, c.state, c.effective_date, c.cancel_date, s.basis, l.{", l.".join(_OF_LEVEL)}
    FROM tax_taxcode c
        LEFT JOIN tax_taxsettings s ON s.id = 1
        LEFT JOIN tax_taxlevel l ON l.tax_code_id = c.id AND daterange(l.valid_from, l.valid_to) @> %(on)s::date
    WHERE %(all)s OR c.id = ANY(%(of)s)
    ORDER BY c.id, l.position
"""  # noqa: S608 - our own
_EXEMPT: Final = """
    SELECT tax_code_id, positions, category_id, expense_type_id, work_role_id FROM tax_taxexemption
    WHERE %(all)s OR tax_code_id = ANY(%(of)s)
"""


def rates_on(on: date, tax_code_ids: Iterable[int] | None = None) -> tuple[Basis, dict[int, TaxRules]]:
    """What is rounded, and tax codes with their levels and exemptions on a day, by id.

    Those not in effect have a ``problem`` and no levels. Without any tax code there is nothing to round.
    """
    asked: dict[str, Any] = {"on": on, "all": tax_code_ids is None, "of": array_text(tax_code_ids or ())}
    with connection.cursor() as cursor:
        cursor.execute(_RATES, asked)
        rows = cursor.fetchall()
        cursor.execute(_EXEMPT, asked)
        spared = cursor.fetchall()
    basis: str = TaxBasis.INVOICE.value
    rules: dict[int, TaxRules] = {}
    for (pk, identifier, state, begins, ends, rounded), of_code in groupby(rows, itemgetter(slice(6))):
        basis = rounded or basis
        levels = [_level(values[6:]) for values in of_code if values[6] is not None]
        problem = _out_of_effect(identifier, begins, ends, on)
        rules[pk] = TaxRules(identifier, state, problem, NO_LEVELS if problem else TaxLevels(levels))
    for tax_code_id, positions, category_id, expense_type_id, work_role_id in spared:
        at, of = frozenset(positions) or EVERYWHERE, rules.get(tax_code_id)
        if of is None:  # its code has come since
            continue
        for held, key in (
            (of.categories, category_id),
            (of.expense_types, expense_type_id),
            (of.work_roles, work_role_id),
        ):
            if key is not None:
                held[key] = at
    return cast(Basis, basis), rules


def _level(values: Sequence[Any]) -> Level:
    given = dict(zip(_OF_LEVEL, values, strict=True))
    return Level(**given | {"compound_on": tuple(given["compound_on"])})


#: Certificates that count on a day, as :func:`_counts` says.
_CERTIFIED: Final = """
    SELECT company_id, tax_code_id, state FROM tax_exemptioncertificate
    WHERE valid_from <= %(on)s AND coalesce(expires_on >= %(on)s, true) AND (%(all)s OR company_id = ANY(%(of)s))
"""


def exemptions_on(on: date, buyer_ids: Iterable[int] | None = None) -> dict[int, list[tuple[int | None, str]]]:
    """Certificates that count on a day, by company: (tax code or none, state or empty)."""
    held: dict[int, list[tuple[int | None, str]]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_CERTIFIED, {"on": on, "all": buyer_ids is None, "of": array_text(buyer_ids or ())})
        for company_id, tax_code_id, state in cursor.fetchall():
            held[company_id].append((tax_code_id, state))
    return dict(held)


def core_level(row: TaxLevel) -> Level:
    """A level as the core reckons with it."""
    return Level(
        name=row.name,
        rate=row.rate,
        position=row.position,
        rate_type=cast(CoreRateType, row.rate_type),
        taxes_services=row.taxes_services,
        taxes_expenses=row.taxes_expenses,
        taxes_products=row.taxes_products,
        taxable_max=row.taxable_max,
        single_unit_minimum=row.single_unit_minimum,
        single_unit_maximum=row.single_unit_maximum,
        compound_on=tuple(row.compound_on),
        agency=row.agency,
    )


def _out_of_effect(identifier: str, begins: date | None, ends: date | None, on: date) -> str:
    if begins and on < begins:
        return f"The tax code {identifier} is not in effect before {format_date(begins)}."
    if ends and on >= ends:
        return f"The tax code {identifier} is cancelled as of {format_date(ends)}."
    return ""
