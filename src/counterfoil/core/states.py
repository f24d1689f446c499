"""The life of each document: one transition table each.

The commands ask :func:`check_transition` for a clear refusal; the same tables become triggers, so that the database
refuses what a bug would try.
"""

from __future__ import annotations

from typing import Final

from counterfoil.core.errors import DomainError

Transition = tuple[str, str]

#: What may become of a quote's version that the customer can see.
_CUSTOMER_MAY_SEE_THEN: Final = ("accepted", "declined", "expired", "superseded", "withdrawn")

TRANSITIONS: Final[dict[str, frozenset[Transition]]] = {
    "opportunity": frozenset({("open", "won"), ("open", "lost"), ("lost", "open")}),
    "quote_version": frozenset(
        {
            ("draft", "in_approval"),
            ("draft", "sent"),
            ("draft", "superseded"),
            ("draft", "withdrawn"),
            ("in_approval", "draft"),
            ("in_approval", "sent"),
            ("in_approval", "superseded"),
            ("in_approval", "withdrawn"),
            *((here, there) for here in ("sent", "viewed") for there in _CUSTOMER_MAY_SEE_THEN),
            ("sent", "viewed"),
        }
    ),
    "agreement": frozenset({("active", "cancelled"), ("active", "ended")}),
    "sales_order": frozenset({("open", "closed"), ("open", "cancelled"), ("closed", "open")}),
    "purchase_order": frozenset(
        {("draft", "sent"), ("draft", "cancelled"), ("sent", "closed"), ("sent", "cancelled"), ("closed", "sent")}
    ),
    "invoice": frozenset({("draft", "closed")}),
    "delivery": frozenset(
        {
            ("queued", "sending"),
            ("sending", "queued"),
            ("sending", "sent"),
            ("sending", "failed"),
            ("sending", "uncertain"),
        }
    ),
    "billing_run": frozenset(
        {
            ("rating", "numbered"),
            ("rating", "paused"),
            ("rating", "finished"),
            ("rating", "cancelled"),
            ("numbered", "paused"),
            ("numbered", "finished"),
            ("paused", "rating"),
            ("paused", "numbered"),
            ("paused", "cancelled"),
        }
    ),
    "match_exception": frozenset(
        {
            ("open", "mended"),
            ("open", "overridden"),
            ("overridden", "open"),
            ("overridden", "mended"),
            ("mended", "open"),
        }
    ),
    "batch": frozenset({("open", "transferred")}),
    "asset": frozenset(
        {("in_service", "fully_depreciated"), ("in_service", "disposed"), ("fully_depreciated", "disposed")}
    ),
    "period": frozenset({("open", "closed"), ("closed", "open")}),
    "export": frozenset({("exported", "confirmed"), ("exported", "not_imported"), ("not_imported", "exported")}),
}


def allowed(document: str) -> frozenset[Transition]:
    """The legal (from, to) pairs of ``document``."""
    return TRANSITIONS[document]


def check_transition(document: str, label: str, old: str, new: str) -> None:
    """Refuse an illegal step of ``label`` (its number, as people know it) from ``old`` to ``new``.

    Raises:
        DomainError: ``wrong_state``.
    """
    if (old, new) not in TRANSITIONS[document]:
        raise DomainError("wrong_state", f"{label} is {words(old)}; it cannot become {words(new)}.", field="status")


def words(state: str) -> str:
    """A state as it is said: ``in_service`` is *in service*."""
    return state.replace("_", " ")
