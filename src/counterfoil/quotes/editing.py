"""What every change of a version shares: it is held, it is still a draft, and what follows from it is written.

    version = open_version(version_id)
    ... change its records ...
    finish(actor, version, "quotes.line.added", "quoted 2 x SRV-9")

A version that is in approval goes back to draft, and what was asked or approved of the former content is void.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from counterfoil.core.errors import DomainError
from counterfoil.core.quoting import PricedQuote
from counterfoil.core.states import check_transition, words
from counterfoil.platform import audit
from counterfoil.platform.copying import update_rows
from counterfoil.platform.identity import Actor
from counterfoil.platform.lookup import existing
from counterfoil.quotes.loading import with_customer
from counterfoil.quotes.models import (
    CHANGEABLE,
    Approval,
    ApprovalStatus,
    OpportunityStatus,
    Quote,
    QuoteLine,
    QuoteVersion,
    VersionStatus,
)
from counterfoil.quotes.pricing import recalculate


def hold_version(version_id: int, quote_id: int | None = None) -> QuoteVersion:
    """The version and its quote, held until the transaction ends; with customer, site and contact.

    Args:
        version_id: of the version.
        quote_id: of its quote, where that is known.

    Raises:
        DomainError: ``not_found``.
    """
    if quote_id is None:
        quote_id = existing(QuoteVersion.objects.only("quote_id"), version_id, "version_id").quote_id
    hold_quote(quote_id)
    rows = with_customer(QuoteVersion.objects.select_for_update(of=("self",), no_key=True))
    return existing(rows, version_id, "version_id")


def hold_quote(quote_id: int) -> Quote:
    """The quote, held until the transaction ends: whoever changes one of its versions comes after.

    Raises:
        DomainError: ``not_found``.
    """
    return existing(Quote.objects.select_for_update(of=("self",), no_key=True), quote_id, "quote_id")


def open_version(version_id: int, quote_id: int | None = None) -> QuoteVersion:
    """A version that staff may still change, held; arguments as :func:`hold_version`.

    Raises:
        DomainError: ``not_found``; ``quote_is_sent``; ``wrong_state`` on a lost opportunity.
    """
    version = hold_version(version_id, quote_id)
    ensure_changeable(version)
    return version


def ensure_changeable(version: QuoteVersion) -> None:
    """Refuse to change what was sent, and a quote of a lost opportunity.

    Raises:
        DomainError: ``quote_is_sent``; ``wrong_state``.
    """
    if version.status not in CHANGEABLE:
        raise DomainError(
            "quote_is_sent",
            f"{version} is {words(version.status)}: what was sent stands still.",
            hint="Quote a change to what it became."
            if version.status == VersionStatus.ACCEPTED
            else "Make a new version; it takes this one's place.",
        )
    ensure_not_lost(version)


def ensure_not_lost(version: QuoteVersion) -> None:
    """Refuse to go on with a quote of a lost opportunity.

    Raises:
        DomainError: ``wrong_state``.
    """
    opportunity = version.quote.opportunity
    if opportunity is not None and opportunity.status == OpportunityStatus.LOST:
        raise DomainError("wrong_state", f"{opportunity} is lost.", hint="Reopen it first.")


def finish(
    actor: Actor,
    version: QuoteVersion,
    verb: str,
    sentence: str,
    *,
    lines: Sequence[QuoteLine] | None = None,
    shares: Mapping[int, Fraction] | None = None,
    unsaved: QuoteLine | None = None,
    notes: Mapping[int, str] | None = None,
    **data: Any,
) -> PricedQuote:
    """Bring prices up to date, void approvals of the former content, and say what was done.

    ``lines``, ``shares``, ``unsaved`` and ``notes`` are those of :func:`counterfoil.quotes.pricing.recalculate`.

    Raises:
        DomainError: ``invalid`` when the version as changed cannot be priced.
    """
    priced = recalculate(version, lines, shares=shares, unsaved=unsaved, notes=notes)
    void_approvals(version)
    audit.record(actor, verb, f"{sentence} on {version}", version.quote, version=version.number, **data)
    return priced


def void_approvals(version: QuoteVersion) -> None:
    """What was asked or approved was another content: the version is a draft again."""
    Approval.objects.filter(version=version).exclude(status=ApprovalStatus.VOID).update(status=ApprovalStatus.VOID)
    if version.status == VersionStatus.IN_APPROVAL:
        set_status(version, VersionStatus.DRAFT, content_sha256="")


def set_status(version: QuoteVersion, status: VersionStatus, **values: Any) -> None:
    """Take a legal step, and write it with ``values``.

    Raises:
        DomainError: ``wrong_state``.
    """
    check_transition("quote_version", str(version), version.status, status)
    version.status = status
    for name, value in values.items():
        setattr(version, name, value)
    version.save(update_fields=["status", *values])


def save_positions(lines: Iterable[QuoteLine]) -> None:
    """Write where lines stand, in one statement."""
    rows = [(line.pk, line.position) for line in lines]
    if rows:
        update_rows(QuoteLine, ["position"], rows)


def save_selected(lines: Iterable[QuoteLine]) -> None:
    """Write whether lines are taken, in one statement."""
    rows = [(line.pk, line.selected) for line in lines]
    if rows:
        update_rows(QuoteLine, ["selected"], rows)
