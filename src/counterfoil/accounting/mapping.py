"""GL mapping: which account plays a role for a product, an agreement or nobody in particular.

The most particular mapping wins: product, agreement type (revenue and deferred revenue of agreements), subcategory,
category, and at last the default account of the role.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from counterfoil.accounting.models import GLMapping
from counterfoil.catalog.models import Product
from counterfoil.core.errors import DomainError
from counterfoil.core.posting import GlRole, Key
from counterfoil.ledger.models import DefaultAccount

#: Roles whose account may differ by product, subcategory or category; the others have their default account alone.
MAPPABLE: Final = (
    GlRole.AGREEMENT_REVENUE,
    GlRole.PRODUCT_REVENUE,
    GlRole.SERVICE_REVENUE,
    GlRole.EXPENSE_REVENUE,
    GlRole.DEFERRED_REVENUE,
    GlRole.COGS,
    GlRole.INVENTORY,
    GlRole.GRNI,
    GlRole.PURCHASE_PRICE_VARIANCE,
)

#: Roles whose account may differ by agreement type.
BY_AGREEMENT_TYPE: Final = frozenset({GlRole.AGREEMENT_REVENUE, GlRole.DEFERRED_REVENUE})

_WORDS: Final = {
    GlRole.COGS: "cost of goods sold",
    GlRole.GRNI: "goods received, not invoiced",
    GlRole.GAIN_LOSS_ON_DISPOSAL: "gain or loss on disposal",
}


def role_in_words(role: GlRole) -> str:
    """The role as it is said: ``cost of goods sold``."""
    return _WORDS.get(role, role.value.replace("_", " "))


def agreement_key(product_id: int | None, agreement_type_id: int) -> str:
    """The key of agreement and deferred revenue: a product (or the agreement's own amount) under an agreement type."""
    return f"{product_id or ''}/{agreement_type_id}"


_OF_ACCOUNT: Final = ("account_id", "account__code", "account__name", "account__active")


@dataclass(frozen=True, slots=True)
class _Account:
    pk: int
    code: str
    name: str
    active: bool


@dataclass(frozen=True, slots=True)
class _Product:
    identifier: str
    subcategory_id: int | None
    category_id: int
    category: str


class MappedAccounts:
    """The GL mapping, loaded once: an :class:`counterfoil.core.posting.Accounts`.

    Keys are a product's id, :func:`agreement_key`, or whatever does not matter to the role (a company, a tax level).
    """

    def __init__(
        self,
        defaults: dict[str, _Account],
        mappings: dict[tuple[str, str, int], _Account],
        products: dict[int, _Product],
    ) -> None:
        self._defaults = defaults
        self._mappings = mappings
        self._products = products

    def __call__(self, role: GlRole, key: Key) -> str:
        """The account's code.

        Raises:
            DomainError: ``gl_mapping_missing``, naming the product and its category, or that the account is inactive.
        """
        product_id, agreement_type_id = _ids(role, key)
        account = self._find(role, product_id, agreement_type_id)
        if account is None or not account.active:
            raise self._missing(role, product_id, account)
        return account.code

    @property
    def ids(self) -> dict[str, int]:
        """The accounts that may be asked for, by code, and their ids; inactive ones are not among them."""
        return {each.code: each.pk for each in (*self._defaults.values(), *self._mappings.values()) if each.active}

    def _find(self, role: GlRole, product_id: int | None, agreement_type_id: int | None) -> _Account | None:
        product = self._products.get(product_id) if product_id is not None else None
        steps = (
            ("product", product_id),
            ("agreement_type", agreement_type_id),
            ("subcategory", product.subcategory_id if product else None),
            ("category", product.category_id if product else None),
        )
        for kind, record_id in steps:
            if record_id is not None and (found := self._mappings.get((role.value, kind, record_id))):
                return found
        return self._defaults.get(role.value)

    def _missing(self, role: GlRole, product_id: int | None, inactive: _Account | None) -> DomainError:
        what = role_in_words(role)
        product = self._products.get(product_id) if product_id is not None else None
        whose = f" of {product.identifier} (category {product.category})" if product else ""
        if inactive:
            message = f"{what.capitalize()}{whose} is mapped to {inactive.code} {inactive.name}, which is inactive."
        else:
            message = f"No GL account for {what}{whose}."
        target = f"the category {product.category}" if product else "the default account"
        hint = f"Map {what} for {target} under Books, GL mapping."
        return DomainError("gl_mapping_missing", message, field="account", hint=hint)


def _ids(role: GlRole, key: Key) -> tuple[int | None, int | None]:
    """Product and agreement type of a key."""
    if role not in MAPPABLE or key is None:
        return None, None
    if isinstance(key, int):
        return key, None
    product, _, agreement_type = key.partition("/")
    return (int(product) if product else None), (int(agreement_type) if agreement_type else None)


def load_accounts(product_ids: Collection[int] | None) -> MappedAccounts:
    """The mapping for documents of these products (``None``: of all), in three statements."""
    defaults = {role: _Account(*account) for role, *account in DefaultAccount.objects.values_list("role", *_OF_ACCOUNT)}
    mappings = {}
    records = ("product", "subcategory", "category", "agreement_type")
    for row in GLMapping.objects.values("role", *records, *_OF_ACCOUNT):
        kind = next(name for name in records if row[name] is not None)
        mappings[row["role"], kind, row[kind]] = _Account(*(row[name] for name in _OF_ACCOUNT))
    products = {
        row["id"]: _Product(row["identifier"], row["subcategory"], row["category"], row["category__name"])
        for row in (
            Product.objects.all() if product_ids is None else Product.objects.filter(pk__in=product_ids)
        ).values("id", "identifier", "subcategory", "category", "category__name")
    }
    return MappedAccounts(defaults, mappings, products)


class CollectingAccounts:
    """Asks another resolver and remembers what it lacks, so that all that is missing is named at once."""

    def __init__(self, accounts: MappedAccounts) -> None:
        self._accounts = accounts
        self.missing: list[DomainError] = []

    def __call__(self, role: GlRole, key: Key) -> str:
        """The account's code, or ``?`` where none is mapped."""
        try:
            return self._accounts(role, key)
        except DomainError as error:
            if error.message not in {known.message for known in self.missing}:
                self.missing.append(error)
            return "?"
