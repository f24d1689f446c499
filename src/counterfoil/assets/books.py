"""How an asset is depreciated: its sets of books with their schedules, and the accounts its entries go to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from counterfoil.assets.models import Asset, AssetCategory, BookName, DepreciationBook, DepreciationLine
from counterfoil.core.depreciation import Convention, DepreciationTerms, Method, schedule
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO
from counterfoil.core.posting import Accounts, GlRole, Key
from counterfoil.ledger.models import Account


@dataclass(frozen=True, slots=True)
class Depreciation:
    """How an asset is depreciated in one set of books; what is ``None`` is as usual for the asset's category.

    Attributes:
        method: a value of :class:`counterfoil.core.depreciation.Method`.
        convention: a value of :class:`counterfoil.core.depreciation.Convention`.
        life_months: not used by MACRS, whose class has its own life.
        salvage: what it will be worth at the end; not used by MACRS.
        total_units: expected units in all, for units of use.
    """

    method: str | None = None
    convention: str | None = None
    life_months: int | None = None
    salvage: Decimal = ZERO
    total_units: Decimal | None = None


#: Servers and computers are 5-year property (Pub. 946).
MACRS_5 = Depreciation(method=Method.MACRS_5, convention=Convention.HALF_YEAR)


WITH_ACCOUNTS = Asset.objects.select_related(
    "category__asset_account",
    "category__accumulated_account",
    "category__expense_account",
    "category__disposal_account",
)


def write_book(asset: Asset, name: BookName, how: Depreciation) -> None:
    """Write one set of books of a new asset, with its whole schedule.

    Raises:
        DomainError: ``invalid`` or ``required``, with the field.
    """
    terms = terms_of(how, asset.category, asset.cost, asset.in_service_date)
    if terms.method is Method.UNITS_OF_USE and (how.total_units is None or how.total_units <= 0):
        raise DomainError("required", "Enter the units expected in all.", field="total_units")
    book = DepreciationBook.objects.create(
        asset=asset,
        name=name,
        method=terms.method.value,
        convention=terms.convention.value,
        life_months=terms.life_months,
        salvage=terms.salvage,
        total_units=how.total_units,
    )
    if terms.method is Method.UNITS_OF_USE:
        return  # each month follows the use: record_units
    DepreciationLine.objects.bulk_create(
        DepreciationLine(
            book=book,
            sequence=line.sequence,
            start=line.start,
            end=line.end,
            amount=line.amount,
            accumulated=line.accumulated,
            net_book_value=line.net_book_value,
            explanation=line.explanation[:200],
        )
        for line in schedule(terms)
    )


def terms_of(how: Depreciation, category: AssetCategory, cost: Decimal, in_service: date) -> DepreciationTerms:
    """The terms with the category's where none are given.

    Raises:
        DomainError: ``invalid``.
    """
    try:
        method = Method(how.method or category.method)
    except ValueError:
        raise DomainError("invalid", f"“{how.method}” is not a depreciation method.", field="method") from None
    usual = Convention.HALF_YEAR if method.macrs_years else category.convention
    try:
        convention = Convention(how.convention or usual)
    except ValueError:
        raise DomainError("invalid", f"“{how.convention}” is not a convention.", field="convention") from None
    years = method.macrs_years
    life = how.life_months if how.life_months is not None else category.life_months
    return DepreciationTerms(
        method=method,
        convention=convention,
        cost=cost,
        salvage=ZERO if years else how.salvage,
        in_service=in_service,
        life_months=12 * years if years else life,
    )


def asset_accounts(
    assets: Iterable[Asset], *, cogs: str = "", inventory: str = "", bank: Account | None = None
) -> Accounts:
    """A resolver over the accounts of each asset's category, and the accounts its cost comes from or goes to."""
    categories: dict[Key, AssetCategory] = {asset.pk: asset.category for asset in assets}
    given = {GlRole.COGS: cogs, GlRole.INVENTORY: inventory, GlRole.BANK: bank.code if bank else ""}

    def account(role: GlRole, key: Key) -> str:
        if role in given:
            return given[role]
        category = categories[key]
        return {
            GlRole.FIXED_ASSET: category.asset_account,
            GlRole.ACCUMULATED_DEPRECIATION: category.accumulated_account,
            GlRole.DEPRECIATION_EXPENSE: category.expense_account,
            GlRole.GAIN_LOSS_ON_DISPOSAL: category.disposal_account,
        }[role].code

    return account
