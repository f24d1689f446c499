"""What a batch's accounts, companies and items are called inside QuickBooks Desktop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from counterfoil.adapters.quickbooks_desktop import grammar
from counterfoil.adapters.quickbooks_desktop.text import identifier
from counterfoil.core.books import (
    AccountType,
    ExportAccount,
    IifBatch,
    IifInvoice,
    IifTaxItem,
)
from counterfoil.core.errors import DomainError


@dataclass(frozen=True, slots=True)
class Names:
    """QuickBooks names by our own: account code, company name, item name."""

    accounts: dict[str, str]
    account_numbers: dict[str, str]
    account_types: dict[str, AccountType]
    customers: dict[str, str]
    vendors: dict[str, str]
    items: dict[str, str]

    def account(self, code: str, where: str) -> str:
        """The account's full name, parents first."""
        return _found(self.accounts, code, where, "account", "accounts")

    def customer(self, name: str, where: str) -> str:
        """The customer's name."""
        return _found(self.customers, name, where, "customer", "customers")

    def vendor(self, name: str, where: str) -> str:
        """The vendor's name."""
        return _found(self.vendors, name, where, "vendor", "vendors")

    def item(self, name: str, where: str) -> str:
        """The item's name."""
        return _found(self.items, name, where, "item", "items")

    def company(self, name: str, where: str) -> str:
        """The customer or vendor of that name."""
        return _found(self.customers | self.vendors, name, where, "customer or vendor", "customers")


def names_of(batch: IifBatch) -> Names:
    """Work the names out.

    Raises:
        DomainError: ``invalid`` or ``required`` for a name QuickBooks cannot hold, ``duplicate`` for two records it
            would take for one, ``not_found`` for an account's parent that is not in the batch.
    """
    taxes = tax_items(batch)
    customers = _companies((customer.name for customer in batch.customers), "Customer")
    vendors = _companies(
        dict.fromkeys([*(v.name for v in batch.vendors), *(t.agency for t in taxes)]),
        "Vendor",
    )
    _told_apart({f"customer {n!r}": q for n, q in customers.items()} | {f"vendor {n!r}": q for n, q in vendors.items()})
    item_names = [*(item.name for item in batch.items), *(tax.name for tax in taxes)]
    _no_twice(item_names, "item")
    items = {
        name: identifier(name, grammar.ITEM_NAME, "Item", "Give the product a shorter identifier for QuickBooks.")
        for name in item_names
    }
    _told_apart({f"item {name!r}": quickbooks for name, quickbooks in items.items()})
    return Names(
        accounts=_account_paths(batch.accounts),
        account_numbers=_account_numbers(batch.accounts),
        account_types={account.code: AccountType(account.type) for account in batch.accounts},
        customers=customers,
        vendors=vendors,
        items=items,
    )


def tax_items(batch: IifBatch) -> tuple[IifTaxItem, ...]:
    """Every sales tax the batch names, each once, by name.

    Raises:
        DomainError: ``duplicate`` when one name stands for two rates, agencies or accounts.
    """
    found: dict[str, IifTaxItem] = {}
    for tax in _named_taxes(batch):
        if found.setdefault(tax.name, tax) != tax:
            raise DomainError(
                "duplicate",
                f"Tax item {tax.name!r} appears with two rates, agencies or accounts in this batch.",
                hint="Give the new rate a tax item of its own, or send the two rates in two batches.",
            )
    return tuple(found[name] for name in sorted(found))


def _named_taxes(batch: IifBatch) -> Iterable[IifTaxItem]:
    if batch.untaxed:
        yield batch.untaxed
    for customer in batch.customers:
        if customer.tax_item:
            yield customer.tax_item
    for document in batch.documents:
        if isinstance(document, IifInvoice):
            yield from (line.tax_item for line in document.taxes)


def _companies(names: Iterable[str], kind: str) -> dict[str, str]:
    given = list(names)
    _no_twice(given, kind.lower())
    mend = f"Give the {kind.lower()} a shorter name in plain letters for QuickBooks."
    return {name: identifier(name, grammar.COMPANY_NAME, kind, mend) for name in given}


def _account_paths(accounts: tuple[ExportAccount, ...]) -> dict[str, str]:
    _no_twice([account.code for account in accounts], "account")
    by_code = {account.code: account for account in accounts}
    paths = {code: ":".join(_path(account, by_code, ())) for code, account in by_code.items()}
    _told_apart({f"account {code!r}": path for code, path in paths.items()})
    return paths


def _account_numbers(accounts: tuple[ExportAccount, ...]) -> dict[str, str]:
    mend = "Give the account a number of at most seven characters."
    numbers = {a.code: identifier(a.code, grammar.ACCOUNT_NUMBER, "Account number", mend) for a in accounts}
    _told_apart({f"account number {code!r}": number for code, number in numbers.items()})
    return numbers


def _path(account: ExportAccount, by_code: dict[str, ExportAccount], below: tuple[str, ...]) -> tuple[str, ...]:
    """The account's name after its parents' names. QuickBooks nests only accounts of one type: others stand alone."""
    what = f"Account {account.code}"
    own = identifier(account.name, grammar.ACCOUNT_NAME, what, "Give the account a shorter name for QuickBooks.")
    if account.parent is None:
        return (own,)
    if account.parent not in by_code or account.parent in below or account.parent == account.code:
        raise DomainError(
            "not_found",
            f"{what}: its parent account {account.parent!r} is not in the batch, or lies below it.",
            field="accounts",
            hint="Send the parent account too, or take the parent away.",
        )
    parent = by_code[account.parent]
    above = _path(parent, by_code, (*below, account.code))
    return (*above, own) if quickbooks_type(parent) == quickbooks_type(account) else (own,)


def quickbooks_type(account: ExportAccount) -> str:
    """The account's ACCNTTYPE."""
    return grammar.ACCOUNT_TYPES[AccountType(account.type)]


def _no_twice(names: list[str], kind: str) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise DomainError("duplicate", f"The {kind} {name!r} is in the batch twice.", hint="Send it once.")


def _told_apart(quickbooks_names: dict[str, str]) -> None:
    """QuickBooks does not tell capitals from small letters, nor a customer from a vendor of one name."""
    seen: dict[str, str] = {}
    for ours, theirs in quickbooks_names.items():
        other = seen.setdefault(theirs.casefold(), ours)
        if other != ours:
            raise DomainError(
                "duplicate",
                f"QuickBooks Desktop would take {other} and {ours} for one record, {theirs!r}.",
                hint="Rename one of them, for example by adding (V) to the vendor's name.",
            )


def _found(names: dict[str, str], name: str, where: str, kind: str, field: str) -> str:
    try:
        return names[name]
    except KeyError:
        raise DomainError(
            "not_found",
            f"{where} names the {kind} {name!r}, which the batch does not bring.",
            field=field,
            hint="QuickBooks would create a wrong one without asking. Add it to the lists of the batch.",
        ) from None
