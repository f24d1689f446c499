"""The leak board: dollars that the match found, mended, accepted and open; by customer, vendor and cause; over months.

What counts is an exception with money at stake: dollars a month, or over the term, above zero. Those below zero (a
customer billed for more than the vendor has) are a claim of the customer's, no leak, and are counted apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final, Literal

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import TruncMonth

from counterfoil.companies.queries import time_zone
from counterfoil.core.calendar import add_months, month_start
from counterfoil.core.money import ZERO
from counterfoil.matching.models import ExceptionStatus, MatchException

Cause = Literal["company", "vendor", "code", "kind"]

#: What an exception must have to be a leak.
AT_STAKE: Final = Q(monthly__gt=0) | Q(over_term__gt=0)

_NAMES: Final[dict[str, str]] = {"company": "company__name", "vendor": "vendor__name", "code": "code", "kind": "kind"}


@dataclass(frozen=True, slots=True)
class Dollars:
    """So many exceptions, what they cost a month, and over the rest of their terms."""

    count: int
    monthly: Decimal
    over_term: Decimal


@dataclass(frozen=True, slots=True)
class LeakTotals:
    """All that was found, and how it stands. ``found`` is the sum of the others.

    ``overcharged`` are customers billed for more than there is, with dollars above zero.
    """

    found: Dollars
    open: Dollars
    mended: Dollars
    overridden: Dollars
    overcharged: Dollars


@dataclass(frozen=True, slots=True)
class LeakRow:
    """What was found for a customer, vendor or cause, and how it stands. ``pk`` is that of the company, if one."""

    pk: int | None
    name: str
    found: Dollars
    open: Dollars
    mended: Dollars
    overridden: Dollars


@dataclass(frozen=True, slots=True)
class LeakMonth:
    """A month: what was found in it, mended and overridden in it, and open at its end."""

    month: date
    found: Dollars
    mended: Dollars
    overridden: Dollars
    open: Dollars


def leak_totals(
    *,
    since: date | None = None,
    through: date | None = None,
    kind: str = "",
    company_id: int | None = None,
    vendor_id: int | None = None,
) -> LeakTotals:
    """What the matches found, and how it stands now; one query.

    Args:
        since: found on this day or later.
        through: found on this day or before.
        kind: of one match alone, a value of :class:`MatchKind`.
        company_id: of one customer alone.
        vendor_id: of one vendor alone.
    """
    rows = _exceptions(since, through, kind, company_id, vendor_id)
    sums = rows.aggregate(
        **_sums("found", AT_STAKE), **_by_status(), **_sums("overcharged", ~AT_STAKE & Q(monthly__lt=0))
    )
    over = _dollars(sums, "overcharged")
    return LeakTotals(
        found=_dollars(sums, "found"),
        open=_dollars(sums, "open"),
        mended=_dollars(sums, "mended"),
        overridden=_dollars(sums, "overridden"),
        overcharged=Dollars(over.count, -over.monthly, -over.over_term),
    )


def leaks_by(
    by: Cause,
    *,
    since: date | None = None,
    through: date | None = None,
    kind: str = "",
    company_id: int | None = None,
    vendor_id: int | None = None,
    limit: int | None = None,
) -> list[LeakRow]:
    """What was found for each customer, vendor, cause or match, the most dollars a month open first; one query.

    Args:
        by: ``company``, ``vendor``, ``code`` (the cause) or ``kind`` (which match).
        since: as in :func:`leak_totals`, like the others.
        through: likewise.
        kind: likewise.
        company_id: likewise.
        vendor_id: likewise.
        limit: so many rows at most.
    """
    name = _NAMES[by]
    keys = [f"{by}_id"] if by in ("company", "vendor") else []
    rows = (
        _exceptions(since, through, kind, company_id, vendor_id)
        .filter(AT_STAKE)
        .order_by()
        .values(*keys, name)
        .annotate(**_sums("found", Q()), **_by_status())
        .order_by("-open_monthly", "-open_term", "-found_monthly", name)
    )
    return [
        LeakRow(
            pk=row[keys[0]] if keys else None,
            name=row[name] or "",
            found=_dollars(row, "found"),
            open=_dollars(row, "open"),
            mended=_dollars(row, "mended"),
            overridden=_dollars(row, "overridden"),
        )
        for row in (rows if limit is None else rows[: max(limit, 0)])
    ]


def leaks_over_months(
    *, through: date, months: int = 12, kind: str = "", company_id: int | None = None, vendor_id: int | None = None
) -> list[LeakMonth]:
    """The last ``months`` months with that of the day ``through``, oldest first; a month without any is all zeros.

    Months are those of the MSP's time zone. What is open at a month's end was found by then and not settled by then.
    """
    first = add_months(month_start(through), 1 - months)
    rows = _exceptions(None, through, kind, company_id, vendor_id).filter(AT_STAKE)
    found = _in_months(rows, "found_at")
    settled = {
        status: _in_months(rows.filter(status=status), "settled_at")
        for status in (ExceptionStatus.MENDED, ExceptionStatus.OVERRIDDEN)
    }
    every = sorted({*found, *settled[ExceptionStatus.MENDED], *settled[ExceptionStatus.OVERRIDDEN]})
    begin = min([first, *every])
    open_now, result = _NOTHING, []
    month = begin
    while month <= through:
        new = found.get(month, _NOTHING)
        mended = settled[ExceptionStatus.MENDED].get(month, _NOTHING)
        overridden = settled[ExceptionStatus.OVERRIDDEN].get(month, _NOTHING)
        open_now = _add(_add(_add(open_now, new), mended, -1), overridden, -1)
        if month >= first:
            result.append(LeakMonth(month, new, mended, overridden, open_now))
        month = add_months(month, 1)
    return result


_NOTHING: Final = Dollars(0, ZERO, ZERO)


def _exceptions(
    since: date | None, through: date | None, kind: str, company_id: int | None, vendor_id: int | None
) -> QuerySet[MatchException]:
    rows = MatchException.objects.all()
    if since is not None:
        rows = rows.filter(found_at__gte=datetime.combine(since, time.min, time_zone()))
    if through is not None:
        rows = rows.filter(found_at__lte=datetime.combine(through, time.max, time_zone()))
    for name, value in (("kind", kind), ("company", company_id), ("vendor", vendor_id)):
        if value:
            rows = rows.filter(**{name: value})
    return rows


def _sums(name: str, condition: Q) -> dict[str, Any]:
    """Count and dollars of the exceptions for which ``condition`` holds."""
    chosen = condition or Q(pk__isnull=False)
    return {
        f"{name}_count": Count("pk", filter=chosen),
        f"{name}_monthly": Sum("monthly", filter=chosen, default=ZERO),
        f"{name}_term": Sum("over_term", filter=chosen, default=ZERO),
    }


def _by_status() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status in ExceptionStatus:
        found |= _sums(status.value, AT_STAKE & Q(status=status))
    return found


def _in_months(rows: QuerySet[MatchException], when: str) -> dict[date, Dollars]:
    """Count and dollars by the month of an instant."""
    by_month = rows.order_by().annotate(month=TruncMonth(when, tzinfo=time_zone())).values("month")
    return {row["month"].date(): _dollars(row, "all") for row in by_month.annotate(**_sums("all", Q()))}


def _dollars(row: Mapping[str, Any], name: str) -> Dollars:
    return Dollars(row[f"{name}_count"], row[f"{name}_monthly"], row[f"{name}_term"])


def _add(one: Dollars, other: Dollars, times: int = 1) -> Dollars:
    return Dollars(
        one.count + times * other.count,
        one.monthly + times * other.monthly,
        one.over_term + times * other.over_term,
    )
