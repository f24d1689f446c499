"""The fixed-asset register, schedules, and what waits to be capitalised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from counterfoil.assets.models import Asset, AssetCategory, BookName, DepreciationLine
from counterfoil.billing.models import InvoiceLine, InvoiceStatus
from counterfoil.core.calendar import add_months, month_start
from counterfoil.core.depreciation import (
    Convention,
    DepreciationTerms,
    Method,
    ScheduleLine,
    schedule,
    units_depreciation,
)
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, sum_money
from counterfoil.ledger.models import JournalEntry


def preview_schedule(
    *,
    cost: Decimal,
    in_service_date: date,
    method: str = Method.STRAIGHT_LINE,
    convention: str = Convention.FULL_MONTH,
    life_months: int = 36,
    salvage: Decimal = ZERO,
    total_units: Decimal | None = None,
    usage: Sequence[Decimal] = (),
) -> tuple[ScheduleLine, ...]:
    """The schedule an asset would get, without writing anything; for units of use from an expected use by the month.

    Raises:
        DomainError: ``invalid`` or ``required``, with the field.
    """
    if method not in {each.value for each in Method}:
        raise DomainError("invalid", f"“{method}” is not a depreciation method.", field="method")
    if convention not in {each.value for each in Convention}:
        raise DomainError("invalid", f"“{convention}” is not a convention.", field="convention")
    if method != Method.UNITS_OF_USE:
        terms = DepreciationTerms(Method(method), Convention(convention), cost, salvage, in_service_date, life_months)
        return schedule(terms)
    if total_units is None:
        raise DomainError("required", "Enter the units expected in all.", field="total_units")
    amounts = units_depreciation(cost, salvage, total_units, usage)
    first, lines, accumulated = month_start(in_service_date), list[ScheduleLine](), ZERO
    for index, (amount, units) in enumerate(zip(amounts, usage, strict=True)):
        accumulated = sum_money([accumulated, amount])
        start = add_months(first, index)
        left = sum_money([cost, -accumulated])
        lines.append(
            ScheduleLine(index + 1, start, add_months(start, 1), amount, accumulated, left, f"{units} of {total_units}")
        )
    return tuple(lines)


@dataclass(frozen=True, slots=True)
class RegisterRow:
    """An asset at a date: cost, depreciation posted by then, and what is left."""

    asset: Asset
    method: str
    life_months: int
    cost: Decimal
    accumulated: Decimal
    net_book_value: Decimal


def register(
    *,
    as_of: date,
    company_id: int | None = None,
    category_id: int | None = None,
    agreement_id: int | None = None,
    search: str = "",
) -> list[RegisterRow]:
    """The assets in the books at the end of ``as_of``: capitalised by then and not disposed of by then."""
    posted = DepreciationLine.objects.filter(
        book__asset=OuterRef("pk"), book__name=BookName.BOOK, entry__date__lte=as_of
    ).order_by()
    capitalised = JournalEntry.objects.filter(
        source_type="asset", source_id=OuterRef("pk"), step="capitalisation", date__lte=as_of
    )
    found = (
        Asset.objects.filter(Exists(capitalised))
        .exclude(disposed_on__lte=as_of)
        .select_related("category", "company", "agreement", "product")
        .prefetch_related("books")
        .annotate(
            posted=Coalesce(Subquery(posted.values("book__asset").annotate(total=Sum("amount")).values("total")), ZERO)
        )
        .order_by("id")
    )
    if company_id is not None:
        found = found.filter(company=company_id)
    if category_id is not None:
        found = found.filter(category=category_id)
    if agreement_id is not None:
        found = found.filter(agreement=agreement_id)
    if search.strip():
        wanted = search.strip()
        found = found.filter(
            Q(number__icontains=wanted)
            | Q(description__icontains=wanted)
            | Q(serial_numbers__icontains=wanted)
            | Q(company__name__icontains=wanted)
        )
    rows = []
    for asset in found:
        book = next(book for book in asset.books.all() if book.name == BookName.BOOK)
        left = sum_money([asset.cost, -asset.posted])
        rows.append(RegisterRow(asset, book.method, book.life_months, asset.cost, asset.posted, left))
    return rows


def schedule_of(asset_id: int, book: str = BookName.BOOK) -> QuerySet[DepreciationLine]:
    """The schedule of an asset in one set of books; posted lines have their entry."""
    return (
        DepreciationLine.objects.filter(book__asset=asset_id, book__name=book)
        .select_related("entry", "book")
        .order_by("sequence")
    )


@dataclass(frozen=True, slots=True)
class DueRow:
    """Depreciation of an asset that is due and not posted."""

    asset_id: int
    asset: str
    description: str
    periods: int
    first: date
    amount: Decimal


def due_depreciation(*, through: date) -> list[DueRow]:
    """What :func:`counterfoil.assets.commands.post_depreciation` would post through a date, by asset."""
    lines = DepreciationLine.objects.filter(
        book__name=BookName.BOOK,
        book__asset__status="in_service",
        entry=None,
        amount__gt=0,
        start__lte=through,
    ).select_related("book__asset")
    by_asset: dict[int, list[DepreciationLine]] = {}
    for line in lines.order_by("book__asset_id", "start"):
        if (line.end - through).days <= 1:
            by_asset.setdefault(line.book.asset_id, []).append(line)
    return [
        DueRow(
            asset_id=pk,
            asset=mine[0].book.asset.number,
            description=mine[0].book.asset.description,
            periods=len(mine),
            first=mine[0].start,
            amount=sum_money(line.amount for line in mine),
        )
        for pk, mine in by_asset.items()
    ]


def invoice_lines_to_capitalise() -> QuerySet[InvoiceLine]:
    """Lines of transferred invoices to internal companies whose cost went to COGS and is not capitalised yet."""
    booked = JournalEntry.objects.filter(source_type="invoice", source_id=OuterRef("invoice"), reverses=None)
    return (
        InvoiceLine.objects.filter(
            Exists(booked),
            relieves_stock=True,
            cost__gt=0,
            asset__isnull=True,
            invoice__status=InvoiceStatus.CLOSED,
            invoice__bill_to_kind="internal",
        )
        .select_related("invoice__company", "product", "order_line__order")
        .order_by("invoice__date", "id")
    )


def categories() -> QuerySet[AssetCategory]:
    """Asset categories with their accounts."""
    return AssetCategory.objects.select_related(
        "asset_account", "accumulated_account", "expense_account", "disposal_account"
    )
