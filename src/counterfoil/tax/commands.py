"""What people do with sales tax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import models

from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money
from counterfoil.core.salestax import MAX_LEVELS, TaxLevels
from counterfoil.platform import audit
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.records import (
    UNSET,
    Unset,
    change,
    changes_in_words,
    check_fields,
    contents_of,
    fetch,
    plain_number,
    record_changes,
    save_checked,
)
from counterfoil.tax import queries
from counterfoil.tax.models import (
    ExemptionCertificate,
    LevelRateType,
    TaxBasis,
    TaxCode,
    TaxExemption,
    TaxLevel,
    TaxSettings,
)

refuse_as("tax_taxcode_identifier_key", "duplicate", "There is a tax code with that identifier already.")
refuse_as("certificate_once", "duplicate", "The company has that certificate already.")
refuse_as("tax_level_once_at_a_time", "conflict", "Two levels hold at one position at the same time.")
for _what in ("category", "expense_type", "work_role"):
    refuse_as(f"exemption_of_{_what}_once", "duplicate", f"That {_what.replace('_', ' ')} is named twice.")


@dataclass(frozen=True, slots=True)
class TaxLevelInput:
    """A jurisdiction's part of the tax: ``rate`` 0.06 is 6 %, paid to ``agency``.

    Of type ``amount`` the rate is the tax on one unit of quantity. Levels stand in order, widest jurisdiction first;
    ``compound_on`` names the places (1 to 6) of earlier ones whose tax is taxed as well. Bounds are in the currency.
    """

    name: str
    rate: Decimal
    agency: str
    rate_type: LevelRateType = LevelRateType.PERCENT
    taxes_services: bool = True
    taxes_expenses: bool = True
    taxes_products: bool = True
    taxable_max: Decimal | None = None
    single_unit_minimum: Decimal | None = None
    single_unit_maximum: Decimal | None = None
    compound_on: tuple[int, ...] = ()
    jurisdiction: str = ""


@dataclass(frozen=True, slots=True)
class TaxExemptionInput:
    """What a tax code does not tax: one category, expense type or work role; at these levels (1 to 6), or at all."""

    category_id: int | None = None
    expense_type_id: int | None = None
    work_role_id: int | None = None
    positions: tuple[int, ...] = ()


@command(roles=(Role.FINANCE,))
def create_tax_code(
    *,
    actor: Actor,
    identifier: str,
    description: str = "",
    levels: Sequence[TaxLevelInput],
    caption: str = "",
    shown: bool = True,
    state: str = "",
    effective_date: date | None = None,
    cancel_date: date | None = None,
    exemptions: Sequence[TaxExemptionInput] = (),
) -> TaxCode:
    """Add a tax code with its levels, widest jurisdiction first. A code without levels taxes nothing.

    Raises:
        DomainError: ``required``, ``invalid``, ``not_found``, ``duplicate``.
    """
    code = TaxCode(
        identifier=identifier.strip(),
        description=description.strip(),
        caption=caption.strip(),
        shown=shown,
        state=state.strip().upper(),
        effective_date=effective_date,
        cancel_date=cancel_date,
    )
    _check_dates(code)
    save_checked(code)
    TaxLevel.objects.bulk_create(_levels(code, levels, valid_from=None))
    _write_exemptions(code, exemptions)
    audit.record(actor, "tax.code.created", f"added the tax code {code.identifier}: {_levels_in_words(levels)}", code)
    return code


@command(roles=(Role.FINANCE,))
def update_tax_code(
    *,
    actor: Actor,
    tax_code_id: int,
    identifier: str | Unset = UNSET,
    description: str | Unset = UNSET,
    caption: str | Unset = UNSET,
    shown: bool | Unset = UNSET,
    state: str | Unset = UNSET,
    effective_date: date | Unset | None = UNSET,
    cancel_date: date | Unset | None = UNSET,
    active: bool | Unset = UNSET,
    levels: Sequence[TaxLevelInput] | Unset = UNSET,
    levels_from: date | None = None,
    exemptions: Sequence[TaxExemptionInput] | Unset = UNSET,
) -> TaxCode:
    """Change what is given of a tax code. Invoices that are there keep their tax.

    Args:
        actor: who changes it.
        tax_code_id: which.
        identifier: its key.
        description: in words.
        caption: what invoices call the tax where they do not show its levels.
        shown: whether invoices show each level, or one sum.
        state: two letters.
        effective_date: first day it can be billed.
        cancel_date: first day it no longer can.
        active: whether it is offered.
        levels: all levels, in place of those that hold now.
        levels_from: the day the levels take effect: what differs ends there and still holds for invoices dated before.
            Without it they correct what holds now, as if it had always been so.
        exemptions: all that the code exempts, in place of what it exempts now.

    Raises:
        DomainError: ``required``, ``invalid``, ``not_found``, ``duplicate``.
    """
    code = fetch(TaxCode, tax_code_id, lock=True)
    changes = change(
        code,
        identifier=identifier if identifier is UNSET else identifier.strip(),
        description=description,
        caption=caption,
        shown=shown,
        state=state if state is UNSET else state.strip().upper(),
        effective_date=effective_date,
        cancel_date=cancel_date,
        active=active,
    )
    _check_dates(code)
    save_checked(code)
    said = []
    if levels is not UNSET:
        before = _written(code.levels)
        _replace_levels(code, levels, levels_from)
        if _written(code.levels) != before:
            when = f" from {format_date(levels_from)}" if levels_from else ""
            said.append(f"levels now {_levels_in_words(levels)}{when}")
    if exemptions is not UNSET:
        before = _written(code.exemptions)
        code.exemptions.all().delete()
        now = _write_exemptions(code, exemptions)
        if _written(code.exemptions) != before:
            said.append(now)
    if changes:
        said.append(changes_in_words(changes))
    if said:
        audit.record(actor, "tax.code.changed", f"changed the tax code {code.identifier}: {', '.join(said)}", code)
    else:
        audit.record_nothing()
    return code


@command(roles=(Role.FINANCE,))
def set_tax_basis(*, actor: Actor, basis: TaxBasis) -> TaxSettings:
    """Choose what is rounded to the cent: the tax on each line, or that on the whole invoice, once.

    Invoices that are there keep their tax. The choice should not be changed to and fro: a seller keeps to one basis.
    """
    settings, _ = TaxSettings.objects.select_for_update().get_or_create(pk=1)
    changes = change(settings, basis=basis.value)
    settings.save()
    record_changes(actor, "tax.settings.changed", "set the tax settings", changes)
    return settings


@command(roles=(Role.FINANCE,))
def add_exemption_certificate(
    *,
    actor: Actor,
    company_id: int,
    number: str,
    reason: str,
    valid_from: date,
    expires_on: date | None = None,
    tax_code_id: int | None = None,
    state: str = "",
    notes: str = "",
) -> ExemptionCertificate:
    """Record a customer's exemption certificate, for one tax code, a state, or all.

    Args:
        actor: who records it.
        company_id: the buyer: the company that gets the invoices.
        number: on the certificate.
        reason: resale, government, non-profit, ...
        valid_from: the first day it counts.
        expires_on: the last day; ``None`` if it does not expire.
        tax_code_id: the code it is for.
        state: two letters; it is for all codes of the state.
        notes: anything else.

    Raises:
        DomainError: ``required``, ``invalid``, ``not_found``, ``duplicate``.
    """
    certificate = ExemptionCertificate(
        company_id=company_id,
        number=number.strip(),
        reason=reason.strip(),
        valid_from=valid_from,
        expires_on=expires_on,
        tax_code_id=tax_code_id,
        state=state.strip().upper(),
        notes=notes.strip(),
    )
    _check_certificate(certificate)
    save_checked(certificate)
    until = f" until {format_date(expires_on)}" if expires_on else ""
    audit.record(
        actor,
        "tax.certificate.added",
        f"added the exemption certificate {certificate.number} of {certificate.company}: {certificate.reason},"
        f" {_scope(certificate)}, from {format_date(valid_from)}{until}",
        certificate,
    )
    return certificate


@command(roles=(Role.FINANCE,))
def update_exemption_certificate(
    *,
    actor: Actor,
    certificate_id: int,
    number: str | Unset = UNSET,
    reason: str | Unset = UNSET,
    valid_from: date | Unset = UNSET,
    expires_on: date | Unset | None = UNSET,
    tax_code_id: int | Unset | None = UNSET,
    state: str | Unset = UNSET,
    notes: str | Unset = UNSET,
) -> ExemptionCertificate:
    """Change what is given of a certificate: a new expiry when it was renewed, an early one when it was withdrawn.

    Invoices that are there keep their tax.

    Raises:
        DomainError: ``required``, ``invalid``, ``not_found``, ``duplicate``.
    """
    certificate = fetch(ExemptionCertificate, certificate_id, lock=True)
    changes = change(
        certificate,
        number=number,
        reason=reason,
        valid_from=valid_from,
        expires_on=expires_on,
        tax_code_id=tax_code_id,
        state=state if state is UNSET else state.strip().upper(),
        notes=notes,
    )
    _check_certificate(certificate)
    save_checked(certificate)
    record_changes(
        actor,
        "tax.certificate.changed",
        f"changed the exemption certificate {certificate.number} of {certificate.company}",
        changes,
        certificate,
    )
    return certificate


# -- levels ------------------------------------------------------------------------------------------------------------


def _levels(code: TaxCode, levels: Sequence[TaxLevelInput], *, valid_from: date | None) -> list[TaxLevel]:
    """The rows of the levels, checked one by one and together."""
    if len(levels) > MAX_LEVELS:
        raise DomainError("invalid", f"A tax code has at most {MAX_LEVELS} levels.", field="levels")
    rows = []
    for index, level in enumerate(levels):
        where = f"levels[{index}]."
        percent = level.rate_type == LevelRateType.PERCENT
        if percent and not 0 <= level.rate < 1:
            raise DomainError(
                "invalid",
                f"The rate of {level.name} must lie between 0 and 100 %, not at {plain_number(level.rate * 100)} %.",
                field=f"{where}rate",
                hint="6 % is written as 0.06.",
            )
        row = TaxLevel(
            tax_code=code,
            position=index + 1,
            name=level.name.strip(),
            rate=level.rate,
            agency=level.agency.strip(),
            rate_type=level.rate_type.value,
            taxes_services=level.taxes_services,
            taxes_expenses=level.taxes_expenses,
            taxes_products=level.taxes_products,
            taxable_max=level.taxable_max,
            single_unit_minimum=level.single_unit_minimum,
            single_unit_maximum=level.single_unit_maximum,
            compound_on=sorted(set(level.compound_on)),
            jurisdiction=level.jurisdiction.strip(),
            valid_from=valid_from,
        )
        check_fields(row, prefix=where, relations=False)
        rows.append(row)
        try:  # together with those before it
            TaxLevels(queries.core_level(each) for each in rows)
        except DomainError as error:
            raise DomainError(error.code, error.message, f"{where}{error.field}", error.hint) from error
    return rows


#: What makes a level another one; when it holds aside.
_SAME = [
    field.attname
    for field in TaxLevel._meta.concrete_fields
    if field.name not in ("id", "tax_code", "valid_from", "valid_to")
]


def _replace_levels(code: TaxCode, levels: Sequence[TaxLevelInput], start: date | None) -> None:
    """Put the levels in place of those that hold, from ``start`` on or as a correction of what holds now."""
    rows = _levels(code, levels, valid_from=start)
    standing = {row.position: row for row in code.levels.filter(valid_to=None)}
    if start is None:
        since = max((row.valid_from for row in standing.values() if row.valid_from), default=None)
        for row in rows:
            former = standing.get(row.position)
            row.valid_from = former.valid_from if former else since
        code.levels.filter(valid_to=None).delete()
        TaxLevel.objects.bulk_create(rows)
        return
    keep = {row.position for row in rows if _is_same(row, standing.get(row.position), start)}
    code.levels.exclude(position__in=keep, valid_to=None).filter(valid_from__gte=start).delete()
    ending = code.levels.exclude(position__in=keep, valid_to=None)
    ending.filter(queries.in_effect(start)).update(valid_to=start)
    TaxLevel.objects.bulk_create(row for row in rows if row.position not in keep)


def _is_same(row: TaxLevel, standing: TaxLevel | None, start: date) -> bool:
    """Whether the level holds by ``start`` already and goes on unchanged."""
    if standing is None or (standing.valid_from and standing.valid_from > start):
        return False
    return all(getattr(row, name) == getattr(standing, name) for name in _SAME)


def _written(rows: models.Manager[Any]) -> list[dict[str, Any]]:
    """What rows say, whatever their ids."""
    return sorted(contents_of(rows.all()), key=repr)


def _levels_in_words(levels: Sequence[TaxLevelInput]) -> str:
    return " + ".join(f"{level.name} {_rate_in_words(level)}" for level in levels) or "no levels, no tax"


def _rate_in_words(level: TaxLevelInput) -> str:
    if level.rate_type == LevelRateType.AMOUNT:
        return f"{format_money(level.rate)} a unit"
    return f"{plain_number(level.rate * 100)} %"


# -- checks ------------------------------------------------------------------------------------------------------------


def _write_exemptions(code: TaxCode, exemptions: Sequence[TaxExemptionInput]) -> str:
    """Write what the code exempts, and say it."""
    rows = []
    for index, each in enumerate(exemptions):
        where = f"exemptions[{index}]."
        named = [key for key in (each.category_id, each.expense_type_id, each.work_role_id) if key is not None]
        if len(named) != 1:
            raise DomainError(
                "invalid",
                "An exemption names one thing: a category, an expense type or a work role.",
                field=f"{where}category_id",
            )
        if any(not 1 <= position <= MAX_LEVELS for position in each.positions):
            raise DomainError("invalid", "Levels stand at the positions 1 to 6.", field=f"{where}positions")
        row = TaxExemption(
            tax_code=code,
            category_id=each.category_id,
            expense_type_id=each.expense_type_id,
            work_role_id=each.work_role_id,
            positions=sorted(set(each.positions)),
        )
        check_fields(row, prefix=where)
        rows.append(row)
    TaxExemption.objects.bulk_create(rows)
    return "exempts " + (", ".join(str(row) for row in rows) or "nothing")


def _check_dates(code: TaxCode) -> None:
    if code.effective_date and code.cancel_date and code.cancel_date <= code.effective_date:
        raise DomainError("invalid", "A tax code is cancelled after the day it takes effect.", field="cancel_date")


def _check_certificate(certificate: ExemptionCertificate) -> None:
    if certificate.tax_code_id is not None and certificate.state:
        raise DomainError(
            "invalid", "A certificate is for a tax code or for a state, not both.", field="state", hint="Empty one."
        )
    if certificate.state and len(certificate.state) != 2:
        raise DomainError("invalid", "A state is written with two letters.", field="state")
    if certificate.expires_on and certificate.expires_on < certificate.valid_from:
        raise DomainError("invalid", "A certificate cannot expire before the day it counts from.", field="expires_on")


def _scope(certificate: ExemptionCertificate) -> str:
    if certificate.tax_code:
        return f"for the tax code {certificate.tax_code}"
    return f"for {certificate.state}" if certificate.state else "for all tax codes"
