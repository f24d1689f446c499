"""What people do with price models and pricing schedules; their tiers, companies and breaks are set as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, cast

from counterfoil.catalog import policies
from counterfoil.catalog.models import (
    Category,
    Offer,
    PriceMethod,
    PriceModel,
    PriceModelKind,
    PriceTier,
    PricingBreak,
    PricingSchedule,
    PricingScheduleCompany,
    Product,
)
from counterfoil.catalog.offers import SELLING
from counterfoil.catalog.prices import offer_name
from counterfoil.companies.models import Company
from counterfoil.core.bills import price_text, quantity_text
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO
from counterfoil.core.pricing import Tier, TierKind, TierModel
from counterfoil.platform import audit
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor
from counterfoil.platform.records import (
    UNSET,
    Unset,
    change,
    check_fields,
    fetch,
    record_changes,
    refuse_negative,
    save_checked,
)

_SHARES: Final = frozenset({PriceMethod.MARKUP, PriceMethod.MARGIN, PriceMethod.DISCOUNT})

refuse_as("catalog_pricemodel_name_key", "duplicate", "There is a price model of that name already.")
refuse_as("catalog_pricingschedule_name_key", "duplicate", "There is a pricing schedule of that name already.")
refuse_as("one_schedule_for_all_companies", "duplicate", "There is a schedule for all companies already.")


@dataclass(frozen=True, slots=True)
class PriceTierInput:
    """A tier of a price model.

    Attributes:
        up_to: it holds up to and with this quantity; empty: no end.
        unit_price: per unit, per package, or the share of a percentage (0.02 is 2 %).
        flat_amount: once, when the tier is reached.
    """

    up_to: Decimal | None = None
    unit_price: Decimal = ZERO
    flat_amount: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class PricingBreakInput:
    """A price of a schedule, for one of offer, product and category, or for everything.

    Attributes:
        method: ``price`` takes the value as it is, ``markup`` and ``margin`` go from the cost, ``discount`` and
            ``amount_off`` from the catalog's price.
        value: a price, an amount, or per cent (5 is 5 %).
        offer_id: it is for this offer.
        product_id: it is for this product.
        category_id: it is for the products of this category.
        from_quantity: it holds from so many on.
        start_date: first day.
        end_date: last day.
    """

    method: PriceMethod
    value: Decimal
    offer_id: int | None = None
    product_id: int | None = None
    category_id: int | None = None
    from_quantity: Decimal = Decimal(0)
    start_date: date | None = None
    end_date: date | None = None


# -- price models ------------------------------------------------------------------------------------------------------


@command(roles=SELLING)
def create_price_model(
    *,
    actor: Actor,
    name: str,
    kind: PriceModelKind,
    tiers: Sequence[PriceTierInput],
    minimum_quantity: Decimal = ZERO,
    included_quantity: Decimal = ZERO,
    minimum_amount: Decimal = ZERO,
    package_size: Decimal = Decimal(1),
) -> PriceModel:
    """Add a price model: how a price follows from a quantity.

    Args:
        actor: who adds it.
        name: what it is called.
        kind: per_unit, volume, graduated, stair_step, package or percentage.
        tiers: in ascending order; the last one may be without an end. Per unit, package and percentage have one.
        minimum_quantity: billed at least.
        included_quantity: not billed.
        minimum_amount: the price is at least this much.
        package_size: units in a package.

    Raises:
        DomainError: ``required``, ``invalid``, ``duplicate``, with the field.
    """
    model = PriceModel(
        name=name.strip(),
        kind=PriceModelKind(kind),
        minimum_quantity=minimum_quantity,
        included_quantity=included_quantity,
        minimum_amount=minimum_amount,
        package_size=package_size,
    )
    _save_price_model(model, tiers)
    said = f"added the price model {model.name}: {model.get_kind_display()}; {_tiers_in_words(tiers)}"
    audit.record(actor, "catalog.price_model.created", said, model)
    return model


@command(roles=SELLING)
def update_price_model(
    *,
    actor: Actor,
    price_model_id: int,
    name: str | Unset = UNSET,
    kind: PriceModelKind | Unset = UNSET,
    tiers: Sequence[PriceTierInput] | Unset = UNSET,
    minimum_quantity: Decimal | Unset = UNSET,
    included_quantity: Decimal | Unset = UNSET,
    minimum_amount: Decimal | Unset = UNSET,
    package_size: Decimal | Unset = UNSET,
    active: bool | Unset = UNSET,
) -> PriceModel:
    """Change what is given of a price model; tiers are set as a whole. What documents are priced by stays as it is.

    Raises:
        DomainError: as :func:`create_price_model`; ``conflict`` when quotes or agreements are priced by it and it would
            come to something else; ``not_found``.
    """
    model = fetch(PriceModel, price_model_id, lock=True)
    changes = change(
        model,
        name=name if name is UNSET else name.strip(),
        kind=kind if kind is UNSET else PriceModelKind(kind),
        minimum_quantity=minimum_quantity,
        included_quantity=included_quantity,
        minimum_amount=minimum_amount,
        package_size=package_size,
        active=active,
    )
    kept = [PriceTierInput(tier.up_to, tier.unit_price, tier.flat_amount) for tier in model.tiers.all()]
    if changes.keys() - {"name", "active"} or (tiers is not UNSET and list(tiers) != kept):
        _refuse_repriced(model)
    _save_price_model(model, kept if tiers is UNSET else tiers)
    also = []
    if tiers is not UNSET and list(tiers) != kept:
        also.append(f"tiers from {_tiers_in_words(kept)} to {_tiers_in_words(tiers)}")
    deed = f"changed the price model {model.name}"
    record_changes(actor, "catalog.price_model.changed", deed, changes, model, *also)
    return model


def _refuse_repriced(model: PriceModel) -> None:
    """What a customer was offered or pays by it would change without anybody's word."""
    if policies.is_used(model):
        raise DomainError(
            "conflict",
            f"Quotes or agreements are priced by {model.name} already, so what it comes to stays.",
            field="tiers",
            hint="Make a new price model and deactivate this one.",
        )


def _save_price_model(model: PriceModel, tiers: Sequence[PriceTierInput]) -> None:
    """Check that the tiers make a model, then write both."""
    TierModel(
        cast(TierKind, model.kind),
        tuple(Tier(tier.up_to, tier.unit_price, tier.flat_amount) for tier in tiers),
        model.minimum_quantity,
        model.included_quantity,
        model.minimum_amount,
        model.package_size,
    )
    if PriceModel.objects.filter(name__iexact=model.name).exclude(pk=model.pk).exists():
        raise DomainError("duplicate", f"There is a price model “{model.name}” already.", field="name")
    save_checked(model)
    rows = [
        PriceTier(model=model, up_to=tier.up_to, unit_price=tier.unit_price, flat_amount=tier.flat_amount)
        for tier in tiers
    ]
    for index, row in enumerate(rows):
        check_fields(row, prefix=f"tiers[{index}].", relations=False)
    model.tiers.all().delete()
    PriceTier.objects.bulk_create(rows)


def _tiers_in_words(tiers: Sequence[PriceTierInput]) -> str:
    return ", ".join(
        (f"up to {quantity_text(tier.up_to)} " if tier.up_to is not None else "beyond " if index else "")
        + " and ".join(
            [
                *([price_text(tier.unit_price)] if tier.unit_price or not tier.flat_amount else []),
                *([f"{price_text(tier.flat_amount)} once"] if tier.flat_amount else []),
            ]
        )
        for index, tier in enumerate(tiers)
    )


# -- pricing schedules -------------------------------------------------------------------------------------------------


@command(roles=SELLING)
def create_pricing_schedule(
    *,
    actor: Actor,
    name: str,
    for_all_companies: bool = False,
    company_ids: Sequence[int] = (),
    breaks: Sequence[PricingBreakInput] = (),
    start_date: date | None = None,
    end_date: date | None = None,
) -> PricingSchedule:
    """Add prices that hold for some companies, or for all.

    Args:
        actor: who adds them.
        name: what the schedule is called; pages and quotes say it beside a price.
        for_all_companies: it holds where no schedule of the company has a price; there is one such schedule.
        company_ids: whom it is for.
        breaks: its prices.
        start_date: first day.
        end_date: last day.

    Raises:
        DomainError: ``required``, ``invalid``, ``not_found``, ``duplicate``, with the field.
    """
    schedule = PricingSchedule(
        name=name.strip(), for_all_companies=for_all_companies, start_date=start_date, end_date=end_date
    )
    _save_schedule(schedule, company_ids)
    _write_companies(schedule, company_ids)
    _write_breaks(schedule, breaks)
    whom = "all companies" if for_all_companies else f"{len(set(company_ids))} companies"
    said = f"added the pricing schedule {schedule.name} for {whom}: {_breaks_in_words(schedule)}"
    audit.record(actor, "catalog.pricing_schedule.created", said, schedule)
    return schedule


@command(roles=SELLING)
def update_pricing_schedule(
    *,
    actor: Actor,
    pricing_schedule_id: int,
    name: str | Unset = UNSET,
    for_all_companies: bool | Unset = UNSET,
    company_ids: Sequence[int] | Unset = UNSET,
    breaks: Sequence[PricingBreakInput] | Unset = UNSET,
    start_date: date | Unset | None = UNSET,
    end_date: date | Unset | None = UNSET,
    active: bool | Unset = UNSET,
) -> PricingSchedule:
    """Change what is given of a pricing schedule; companies and breaks are set as a whole. Quotes keep their prices.

    Raises:
        DomainError: as :func:`create_pricing_schedule`.
    """
    schedule = fetch(PricingSchedule, pricing_schedule_id, lock=True)
    changes = change(
        schedule,
        name=name if name is UNSET else name.strip(),
        for_all_companies=for_all_companies,
        start_date=start_date,
        end_date=end_date,
        active=active,
    )
    theirs = list(schedule.companies.values_list("company_id", flat=True))
    _save_schedule(schedule, theirs if company_ids is UNSET else company_ids)
    also = []
    if company_ids is not UNSET and set(company_ids) != set(theirs):
        _write_companies(schedule, company_ids)
        also.append(f"for {len(set(company_ids))} companies")
    if breaks is not UNSET:
        before = _breaks_in_words(schedule)
        _write_breaks(schedule, breaks)
        if (now := _breaks_in_words(schedule)) != before:
            also.append(f"prices from {before} to {now}")
    deed = f"changed the pricing schedule {schedule.name}"
    record_changes(actor, "catalog.pricing_schedule.changed", deed, changes, schedule, *also)
    return schedule


def _save_schedule(schedule: PricingSchedule, company_ids: Sequence[int]) -> None:
    _check_days(schedule.start_date, schedule.end_date, "")
    if schedule.for_all_companies and company_ids:
        raise DomainError(
            "invalid",
            "A schedule is for all companies or for those named, not both.",
            field="company_ids",
            hint="Make a second schedule: that of a company goes before the one for all.",
        )
    if PricingSchedule.objects.filter(name__iexact=schedule.name).exclude(pk=schedule.pk).exists():
        raise DomainError("duplicate", f"There is a pricing schedule “{schedule.name}” already.", field="name")
    others = PricingSchedule.objects.filter(for_all_companies=True, active=True).exclude(pk=schedule.pk)
    if schedule.for_all_companies and schedule.active and (other := others.first()):
        raise DomainError(
            "duplicate",
            f"{other.name} is the schedule for all companies already.",
            field="for_all_companies",
            hint="Change that one, or put it away first.",
        )
    save_checked(schedule)


def _write_companies(schedule: PricingSchedule, company_ids: Sequence[int]) -> None:
    wanted = dict.fromkeys(company_ids)
    known = set(Company.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    for index, pk in enumerate(wanted):
        if pk not in known:
            raise DomainError("not_found", f"There is no company with the id {pk}.", field=f"company_ids[{index}]")
    schedule.companies.exclude(company_id__in=wanted).delete()
    there = set(schedule.companies.values_list("company_id", flat=True))
    PricingScheduleCompany.objects.bulk_create(
        PricingScheduleCompany(schedule=schedule, company_id=pk) for pk in wanted if pk not in there
    )


def _write_breaks(schedule: PricingSchedule, breaks: Sequence[PricingBreakInput]) -> None:
    rows = []
    for index, given in enumerate(breaks):
        prefix = f"breaks[{index}]."
        row = PricingBreak(
            schedule=schedule,
            offer_id=given.offer_id,
            product_id=given.product_id,
            category_id=given.category_id,
            from_quantity=given.from_quantity,
            method=PriceMethod(given.method),
            value=given.value,
            start_date=given.start_date,
            end_date=given.end_date,
        )
        _check_break(row, prefix)
        check_fields(row, prefix=prefix, relations=False)
        rows.append(row)
    _refuse_unknown(rows)
    schedule.breaks.all().delete()
    PricingBreak.objects.bulk_create(rows)


def _check_break(row: PricingBreak, prefix: str) -> None:
    subjects = [name for name in ("offer_id", "product_id", "category_id") if getattr(row, name) is not None]
    if len(subjects) > 1:
        raise DomainError(
            "invalid", "A price is for an offer, a product or a category: name one.", field=prefix + subjects[1]
        )
    if row.method == PriceMethod.PRICE and row.offer_id is None and row.product_id is None:
        raise DomainError(
            "invalid",
            "One price for many products makes no sense.",
            field=f"{prefix}method",
            hint="Name a product or an offer, or choose a markup, margin or discount.",
        )
    refuse_negative({"value": row.value, "from_quantity": row.from_quantity}, prefix)
    if row.method == PriceMethod.MARGIN and row.value >= 100:
        raise DomainError("invalid", "A margin is below 100 %.", field=f"{prefix}value")
    if row.method == PriceMethod.DISCOUNT and row.value > 100:
        raise DomainError("invalid", "A discount is at most 100 %.", field=f"{prefix}value")
    _check_days(row.start_date, row.end_date, prefix)


def _check_days(start: date | None, end: date | None, prefix: str) -> None:
    if start and end and end < start:
        raise DomainError(
            "invalid", f"It would end on {format_date(end)}, before it begins.", field=f"{prefix}end_date"
        )


def _refuse_unknown(rows: Sequence[PricingBreak]) -> None:
    """Refuse breaks that point nowhere, with one query for each kind of record."""
    for name, kind in (("offer_id", Offer), ("product_id", Product), ("category_id", Category)):
        wanted = {getattr(row, name) for row in rows} - {None}
        known = set(kind._default_manager.filter(pk__in=wanted).values_list("pk", flat=True)) if wanted else set()
        for index, row in enumerate(rows):
            pk = getattr(row, name)
            if pk is not None and pk not in known:
                what = kind._meta.verbose_name
                raise DomainError("not_found", f"There is no {what} with the id {pk}.", field=f"breaks[{index}].{name}")


def _breaks_in_words(schedule: PricingSchedule) -> str:
    rows = schedule.breaks.select_related("offer__product", "product", "category")
    return "; ".join(break_words(row) for row in rows) or "no prices"


def break_words(row: PricingBreak) -> str:
    """``SaaS: discount 10 %, from 5``, ``M365 1 year, prepaid: price 250.00``, ``everything: markup 20 %``."""
    what = "everything"
    if row.offer is not None:
        what = f"{row.offer.product} {offer_name(row.offer)}"
    elif subject := row.product or row.category:
        what = str(subject)
    value = f"{quantity_text(row.value)} %" if row.method in _SHARES else price_text(row.value)
    reached = f", from {quantity_text(row.from_quantity)}" if row.from_quantity else ""
    return f"{what}: {PriceMethod(row.method).value.replace('_', ' ')} {value}{reached}"
