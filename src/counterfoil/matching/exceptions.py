"""What a match found, laid over what it had found before: one place where exceptions are opened, changed and mended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db.models import Q

from counterfoil.core.money import ZERO
from counterfoil.matching.models import ExceptionStatus, MatchException, MatchKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A difference that a match found; the fields are those of :class:`MatchException`, keys for foreign keys.

    ``key`` must be the same whenever the same difference between the same lines is found, and at most 200 long.
    """

    key: str
    code: str
    expected_leg: str
    actual_leg: str
    message: str
    expected: str = ""
    actual: str = ""
    what_to_do: str = ""
    monthly: Decimal = ZERO
    over_term: Decimal = ZERO
    company_id: int | None = None
    vendor_id: int | None = None
    product_id: int | None = None
    origin_id: int | None = None
    addition_id: int | None = None
    order_line_id: int | None = None
    purchase_order_line_id: int | None = None
    bill_line_id: int | None = None
    invoice_line_id: int | None = None
    statement_line_id: int | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the exceptions: found for the first time or again, found with other words, gone.

    ``rows`` are all of these exceptions.
    """

    opened: int
    changed: int
    mended: int
    rows: tuple[MatchException, ...] = field(default=(), compare=False)


_FOUND: Final = tuple(each.name for each in fields(Finding))
_STANDING: Final = ("status", "found_at", "settled_at", "overridden_by", "override_reason")
_LENGTHS: Final[dict[str, int]] = {
    column.name: column.max_length
    for column in MatchException._meta.concrete_fields
    if column.name in _FOUND and column.name != "key" and column.max_length
}


def settle(kind: MatchKind, scope: Q, findings: Iterable[Finding], *, now: datetime) -> Settled:
    """Make the exceptions of a kind within ``scope`` be exactly ``findings``; call it in a transaction.

    What is found for the first time is opened; what was mended and is found again opens again, as found now; what was
    overridden opens again when its expected or actual value has changed, since those two were accepted. What was there
    within the scope and is not found any more is mended.

    Args:
        kind: which match found it.
        scope: which exceptions were looked at again, by their columns: ``Q(origin_id__in=...)``; ``Q()`` for all.
        findings: by key; of two with one key the last counts.
        now: an aware instant.
    """
    found = {finding.key: _clipped(finding) for finding in findings}
    looked_at = scope & ~Q(status=ExceptionStatus.MENDED)
    rows_there = MatchException.objects.filter(looked_at | Q(key__any=list(found)), kind=kind).order_by()
    there = {row.key: row for row in rows_there}
    gone = [row for key, row in there.items() if key not in found and row.status != ExceptionStatus.MENDED]
    opened, rows = 0, []
    for key in sorted(found):  # in one order whoever writes, so that two matches cannot deadlock
        values, old = found[key], there.get(key)
        standing = _standing(values, old, now)
        if old is not None and all(getattr(old, name) == value for name, value in (values | standing).items()):
            continue
        opened += standing["status"] == ExceptionStatus.OPEN and (old is None or old.status != ExceptionStatus.OPEN)
        rows.append(MatchException(kind=kind, **values, **standing))
    MatchException.objects.bulk_create(
        rows,
        batch_size=1000,
        update_conflicts=True,
        unique_fields=["key"],
        update_fields=[name for name in (*_FOUND, *_STANDING) if name != "key"],
    )
    if gone:
        MatchException.objects.filter(pk__any=[row.pk for row in gone]).update(
            status=ExceptionStatus.MENDED, settled_at=now
        )
    return Settled(opened, len(rows) - opened, len(gone), (*rows, *gone))


def _clipped(finding: Finding) -> dict[str, Any]:
    """The columns, words as long as they take: names that others wrote stand in them."""
    values = {name: getattr(finding, name) for name in _FOUND}
    for name, longest in _LENGTHS.items():
        if len(values[name]) > longest:
            values[name] = values[name][: longest - 1] + "…"
    return values


def _standing(values: dict[str, Any], old: MatchException | None, now: datetime) -> dict[str, Any]:
    """The status that a finding has, given what was there under its key."""
    fresh = {
        "status": ExceptionStatus.OPEN.value,
        "found_at": now,
        "settled_at": None,
        "overridden_by": "",
        "override_reason": "",
    }
    if old is None or old.status == ExceptionStatus.MENDED:
        return fresh
    accepted = (old.expected, old.actual) == (values["expected"], values["actual"])
    if old.status == ExceptionStatus.OPEN or accepted:
        return {name: getattr(old, name) for name in _STANDING}
    return fresh | {"found_at": old.found_at}
