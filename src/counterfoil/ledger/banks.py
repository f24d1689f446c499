"""The bank account money goes through."""

from __future__ import annotations

from counterfoil.core.errors import DomainError
from counterfoil.core.posting import Accounts, GlRole, Key
from counterfoil.ledger.models import Account, AccountType, DefaultAccount
from counterfoil.ledger.queries import default_accounts, missing_account


def bank_account(account_id: int | None) -> Account:
    """The bank account of that id; without one, the default bank account.

    Raises:
        DomainError: ``not_found``; ``invalid`` when it is no bank account; ``gl_mapping_missing`` without a default.
    """
    if account_id is None:
        default = DefaultAccount.objects.select_related("account").filter(role=GlRole.BANK).first()
        if default is None:
            raise missing_account(GlRole.BANK, "no default account")
        return default.account
    account = Account.objects.filter(pk=account_id).first()
    if account is None:
        raise DomainError("not_found", "There is no such account.", field="bank_account")
    if account.type != AccountType.BANK:
        raise DomainError("invalid", f"{account} is not a bank account.", field="bank_account")
    return account


def paid_through(bank: Account) -> Accounts:
    """The default accounts, with ``bank`` as the bank."""
    others = default_accounts()

    def account(role: GlRole, key: Key) -> str:
        return bank.code if role is GlRole.BANK else others(role, key)

    return account
