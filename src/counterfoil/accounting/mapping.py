"""GL mapping: which account plays a role for a product, an agreement or nobody in particular.

The most particular mapping wins: product, agreement type (revenue and deferred revenue of agreements), subcategory,
category, and at last the default account of the role.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from django.db import connection

from counterfoil.core.errors import DomainError
from counterfoil.core.posting import GlRole, Key
from counterfoil.platform.anyof import array_text

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


#: What a mapping may be for, the most particular first.
_RECORDS: Final = ("product", "agreement_type", "subcategory", "category")


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
        records = (
            product_id,
            agreement_type_id,
            product.subcategory_id if product else None,
            product.category_id if product else None,
        )
        for kind, record_id in zip(_RECORDS, records, strict=True):
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


#: What plays a role for a product, subcategory, category or agreement type; for none of them: by default.
_ACCOUNTS: Final = """
    SELECT m.role, m.product_id, m.agreement_type_id, m.subcategory_id, m.category_id, a.id, a.code, a.name, a.active
    FROM accounting_glmapping m JOIN ledger_account a ON a.id = m.account_id
    UNION ALL
    SELECT d.role, NULL, NULL, NULL, NULL, a.id, a.code, a.name, a.active
    FROM ledger_defaultaccount d JOIN ledger_account a ON a.id = d.account_id
"""
_PRODUCTS: Final = """
    SELECT p.id, p.identifier, p.subcategory_id, p.category_id, c.name
    FROM catalog_product p JOIN catalog_category c ON c.id = p.category_id
    WHERE %(all)s OR p.id = ANY(%(of)s)
"""


def load_accounts(product_ids: Collection[int] | None) -> MappedAccounts:
    """The mapping for documents of these products (``None``: of all), in two statements."""
    defaults, mappings = {}, {}
    with connection.cursor() as cursor:
        cursor.execute(_ACCOUNTS)
        for role, *records, pk, code, name, active in cursor.fetchall():
            account = _Account(pk, code, name, active)
            of = next(((kind, key) for kind, key in zip(_RECORDS, records, strict=True) if key is not None), None)
            if of is None:
                defaults[role] = account
            else:
                mappings[role, *of] = account
        cursor.execute(_PRODUCTS, {"all": product_ids is None, "of": array_text(product_ids or ())})
        products = {pk: _Product(*values) for pk, *values in cursor.fetchall()}
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
