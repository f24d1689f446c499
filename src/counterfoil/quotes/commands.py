"""Everything people do with opportunities and quotes."""

from __future__ import annotations

from counterfoil.quotes.approvals import (
    approve_quote,
    create_approval_rule,
    reject_quote,
    submit_for_approval,
    update_approval_rule,
)
from counterfoil.quotes.lines import (
    Moved,
    NewQuoteLine,
    add_version_lines,
    choose_offer,
    remove_version_line,
    reorder_version_lines,
    reprice_version,
    update_version_line,
)
from counterfoil.quotes.opportunities import (
    SELLERS,
    QuoteLineInput,
    add_quote_line,
    create_opportunity,
    lock_for_conversion,
    lose_opportunity,
    record_conversion,
    remove_quote_line,
    reopen_opportunity,
    reorder_quote_lines,
    update_opportunity,
    update_quote_line,
    win_opportunity,
)
from counterfoil.quotes.sections import add_section, remove_section, reorder_sections, update_section
from counterfoil.quotes.settings import update_quote_settings
from counterfoil.quotes.versions import (
    create_quote,
    decline_version,
    duplicate_quote,
    expire_quotes,
    make_template,
    mark_viewed,
    new_version,
    remove_version,
    send_quote,
    update_version,
    withdraw_quote,
)

__all__ = [
    "SELLERS",
    "Moved",
    "NewLine",
    "NewQuoteLine",
    "QuoteLineInput",
    "add_quote_line",
    "add_section",
    "add_version_lines",
    "approve_quote",
    "choose_offer",
    "create_approval_rule",
    "create_opportunity",
    "create_quote",
    "decline_version",
    "duplicate_quote",
    "expire_quotes",
    "lock_for_conversion",
    "lose_opportunity",
    "make_template",
    "mark_viewed",
    "new_version",
    "record_conversion",
    "reject_quote",
    "remove_quote_line",
    "remove_section",
    "remove_version",
    "remove_version_line",
    "reopen_opportunity",
    "reorder_quote_lines",
    "reorder_sections",
    "reorder_version_lines",
    "reprice_version",
    "send_quote",
    "submit_for_approval",
    "update_approval_rule",
    "update_opportunity",
    "update_quote_line",
    "update_quote_settings",
    "update_section",
    "update_version",
    "update_version_line",
    "win_opportunity",
    "withdraw_quote",
]

#: Where no other new lines are about.
NewLine = NewQuoteLine
