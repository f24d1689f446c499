"""What somebody saw of a line or a section before changing it: what others have changed since is not overwritten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Any

from counterfoil.core.errors import DomainError
from counterfoil.platform.records import UNSET, Unset, changes_in_words
from counterfoil.quotes.models import QuoteLine, QuoteSection


@dataclass(frozen=True, slots=True)
class SeenLine:
    """Values of a line as they were seen, named as they are changed; what is left out is not compared."""

    section_id: int | Unset | None = UNSET
    description: str | Unset = UNSET
    customer_text: str | Unset = UNSET
    quantity: Decimal | Unset = UNSET
    quantity_min: Decimal | Unset | None = UNSET
    quantity_max: Decimal | Unset | None = UNSET
    list_price: Decimal | Unset = UNSET
    unit_cost: Decimal | Unset = UNSET
    discount_kind: str | Unset = UNSET
    discount_value: Decimal | Unset = UNSET
    price_model_id: int | Unset | None = UNSET
    taxable: bool | Unset = UNSET
    term: str | Unset = UNSET
    billing_cycle: str | Unset = UNSET
    cycles: int | Unset | None = UNSET
    is_usage: bool | Unset = UNSET
    start_policy: str | Unset = UNSET
    start_date: date | Unset | None = UNSET
    align_to: date | Unset | None = UNSET
    proration: str | Unset = UNSET
    optional: bool | Unset = UNSET
    selected: bool | Unset = UNSET
    choice_group: str | Unset = UNSET
    bundle_quantity: Decimal | Unset | None = UNSET
    fixed_quantity: bool | Unset = UNSET
    hidden: bool | Unset = UNSET


@dataclass(frozen=True, slots=True)
class SeenSection:
    """The same of a section."""

    title: str | Unset = UNSET
    text: str | Unset = UNSET
    discount_kind: str | Unset = UNSET
    discount_value: Decimal | Unset = UNSET


def ensure_as_seen(
    record: QuoteLine | QuoteSection, seen: SeenLine | SeenSection | None, changes: Mapping[str, Any]
) -> None:
    """Refuse to change what somebody else has changed since it was seen; what is not changed may be another by now.

    Args:
        record: held, as it is now.
        seen: values as they were seen; without, nothing is compared.
        changes: values by field that are to be set.

    Raises:
        DomainError: ``conflict``, with the field and its value.
    """
    names = set() if seen is None else {each.name for each in fields(seen)} & changes.keys()
    for name in sorted(names):
        was, there = getattr(seen, name), getattr(record, name)
        if was is not UNSET and there not in (was, changes[name]):
            raise DomainError(
                "conflict",
                f"Somebody has changed this meanwhile: {changes_in_words({name: (was, there)})}.",
                field=name,
                hint="Yours was not saved. Enter it once more if it is still to be so.",
            )
