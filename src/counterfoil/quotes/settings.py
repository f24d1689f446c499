"""How quotes are made and accepted here."""

from __future__ import annotations

from counterfoil.core.errors import DomainError
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.records import UNSET, Unset, change, changes_in_words, save_checked
from counterfoil.quotes.models import QuoteSettings


@command(roles=(Role.OWNER,))
def update_quote_settings(
    *,
    actor: Actor,
    valid_days: int | Unset = UNSET,
    terms_and_conditions: str | Unset = UNSET,
    consent: str | Unset = UNSET,
    ask_code: bool | Unset = UNSET,
) -> QuoteSettings:
    """Change what new quotes begin with, and what customers agree to; quotes that are there stay as they are.

    Args:
        actor: who.
        valid_days: a new quote expires after so many days, 1 to 365.
        terms_and_conditions: of new quotes.
        consent: the sentence a customer agrees to when accepting.
        ask_code: whether accepting a new quote takes a one-time code.

    Raises:
        DomainError: ``invalid``, ``required``.
    """
    settings = QuoteSettings.objects.select_for_update().filter(pk=1).first() or QuoteSettings()
    changes = change(
        settings, valid_days=valid_days, terms_and_conditions=terms_and_conditions, consent=consent, ask_code=ask_code
    )
    if not 1 <= settings.valid_days <= 365:
        raise DomainError("invalid", "A quote can be accepted for 1 to 365 days.", field="valid_days")
    if settings._state.adding:
        QuoteSettings.objects.get_or_create(pk=1)
        settings._state.adding = False
    save_checked(settings)
    audit.record(
        actor, "quotes.settings.changed", f"changed how quotes are made: {changes_in_words(changes)}", settings
    )
    return settings
