"""What people do with sales tax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from counterfoil.core.errors import DomainError
from counterfoil.platform import audit
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.records import (
    UNSET,
    Unset,
    change,
    changes_in_words,
    check_fields,
    fetch,
    plain_number,
    save_checked,
)
from counterfoil.tax.models import TaxCode, TaxLevel

refuse_as("tax_taxcode_identifier_key", "duplicate", "There is a tax code with that identifier already.")


@dataclass(frozen=True, slots=True)
class TaxLevelInput:
    """A jurisdiction's part of the tax: ``rate`` 0.06 is 6 %, paid to ``agency``."""

    name: str
    rate: Decimal
    agency: str


@command(roles=(Role.FINANCE,))
def create_tax_code(
    *, actor: Actor, identifier: str, description: str = "", levels: Sequence[TaxLevelInput]
) -> TaxCode:
    """Add a tax code with its levels, widest jurisdiction first. A code without levels taxes nothing.

    Raises:
        DomainError: ``required``, ``invalid``, ``duplicate``.
    """
    code = TaxCode(identifier=identifier.strip(), description=description.strip())
    save_checked(code)
    _write_levels(code, levels)
    audit.record(actor, "tax.code.created", f"added the tax code {code.identifier}: {_levels_in_words(levels)}", code)
    return code


@command(roles=(Role.FINANCE,))
def update_tax_code(
    *,
    actor: Actor,
    tax_code_id: int,
    identifier: str | Unset = UNSET,
    description: str | Unset = UNSET,
    active: bool | Unset = UNSET,
    levels: Sequence[TaxLevelInput] | Unset = UNSET,
) -> TaxCode:
    """Change what is given of a tax code; ``levels`` replaces them all. Invoices that are there keep their tax.

    Raises:
        DomainError: ``required``, ``invalid``, ``not_found``, ``duplicate``.
    """
    code = fetch(TaxCode, tax_code_id, lock=True)
    changes = change(code, identifier=identifier, description=description, active=active)
    save_checked(code)
    said = changes_in_words(changes)
    if levels is not UNSET:
        code.levels.all().delete()
        _write_levels(code, levels)
        said = f"levels now {_levels_in_words(levels)}" + (f", {said}" if changes else "")
    audit.record(actor, "tax.code.changed", f"changed the tax code {code.identifier}: {said}", code)
    return code


def _write_levels(code: TaxCode, levels: Sequence[TaxLevelInput]) -> None:
    rows = []
    for index, level in enumerate(levels):
        where = f"levels[{index}]."
        if not 0 <= level.rate < 1:
            raise DomainError(
                "invalid",
                f"The rate of {level.name} must lie between 0 and 100 %, not at {plain_number(level.rate * 100)} %.",
                field=f"{where}rate",
                hint="6 % is written as 0.06.",
            )
        row = TaxLevel(
            tax_code=code, position=index + 1, name=level.name.strip(), rate=level.rate, agency=level.agency.strip()
        )
        check_fields(row, prefix=where, relations=False)
        rows.append(row)
    TaxLevel.objects.bulk_create(rows)


def _levels_in_words(levels: Sequence[TaxLevelInput]) -> str:
    return " + ".join(f"{level.name} {plain_number(level.rate * 100)} %" for level in levels) or "no levels, no tax"
