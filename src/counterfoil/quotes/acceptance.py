"""Accepting a quote: one acceptance or none.

What is accepted is what the customer saw: the version, the picks and the totals come back with the signature, and are
checked against what the records say under a lock. From then on the record, its hash, the signed PDF and its hash
stand in one row that nothing changes, and the audit trail keeps both hashes.

:func:`counterfoil.flows.acceptance.accept_quote` does this together with what follows from it, in one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, cast

from counterfoil.core.canonical import sha256_of
from counterfoil.core.errors import DomainError
from counterfoil.platform import audit
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.copying import update_rows
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.records import change, check_fields, fetch, record_changes, save_checked
from counterfoil.quotes.codes import is_confirmed
from counterfoil.quotes.customer import CustomerTotals, view_of
from counterfoil.quotes.editing import ensure_not_lost, hold_version, set_status
from counterfoil.quotes.links import Visitor, note_visit
from counterfoil.quotes.models import (
    Acceptance,
    Opportunity,
    Quote,
    QuoteLine,
    QuoteLink,
    QuoteMessage,
    QuoteSettings,
    QuoteVersion,
    SignatureKind,
    VersionStatus,
    VisitKind,
)
from counterfoil.quotes.paper import STROKES, accepted_pdf
from counterfoil.quotes.pricing import Picks, PricedQuote, lines_of, price_version
from counterfoil.quotes.record import Signed, offer_of, record_of
from counterfoil.quotes.versions import decline_version, ensure_acceptable

CUSTOMER: Final = (Role.CUSTOMER,)
SALES: Final = (Role.SALES,)
#: Columns of a line that the customer's picks decide.
_TAKEN: Final = ("opportunity", "quantity", "selected", "unit_price", "first_amount")

refuse_as("quotes_acceptance_pkey", "already_accepted", "This quote has been accepted a moment ago.")


@dataclass(frozen=True, slots=True)
class Signature:
    """What the customer gave on accepting.

    Attributes:
        name: who accepts; ``title``: as what.
        email: where the signed copy may be sent.
        consent: the box was ticked.
        kind: ``typed`` or ``drawn``; ``value``: the typed name, or the strokes as an SVG path within 600 x 200.
        customer_po: the customer's purchase order number.
    """

    name: str
    title: str
    email: str
    consent: bool
    kind: str
    value: str
    customer_po: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """The totals that stood on the page when the customer accepted, before tax."""

    one_time: Decimal
    monthly: Decimal
    whole_term: Decimal

    @classmethod
    def of(cls, totals: CustomerTotals) -> Seen:
        """Those of a view."""
        return cls(totals.one_time, totals.monthly, totals.whole_term)

    @classmethod
    def parse(cls, text: str) -> Seen | None:
        """From the text that the page carried; ``None`` when it is none."""
        try:
            one_time, monthly, whole_term = (Decimal(part) for part in text.split())
        except (ValueError, ArithmeticError):
            return None
        finite = one_time.is_finite() and monthly.is_finite() and whole_term.is_finite()
        return cls(one_time, monthly, whole_term) if finite else None

    def __str__(self) -> str:
        return f"{self.one_time} {self.monthly} {self.whole_term}"


@dataclass(frozen=True, slots=True)
class Accepted:
    """An acceptance; ``repeated`` when the same one had been made before."""

    acceptance: Acceptance
    repeated: bool


# -- accepting ---------------------------------------------------------------------------------------------------------


@command(roles=CUSTOMER)
def accept_version(
    *,
    actor: Actor,
    link_id: int,
    version_id: int,
    picks: Picks,
    seen: Seen | None,
    signature: Signature,
    visitor: Visitor,
    now: datetime,
    on: date,
) -> Accepted:
    """Accept a version of a quote: the record is made, signed and kept.

    Args:
        actor: the customer.
        link_id: the link it is done by.
        version_id: the version that was on the page.
        picks: what the customer picked.
        seen: the totals that were on the page.
        signature: who accepts, and how.
        visitor: from where.
        now: aware; ``on``: the day it is for the MSP.

    Returns:
        The acceptance. Asking again for the same (the same person by the same link) gives the one there is.

    Raises:
        DomainError: ``link_revoked``, ``link_expired``; ``already_accepted`` by somebody else; what
            :func:`counterfoil.quotes.versions.ensure_acceptable` refuses; ``required``, ``invalid`` for what was
            entered or picked; ``code_required``; ``quote_changed`` when the totals are not those that were seen.
    """
    version, link = _locked(link_id, version_id)
    if version.status == VersionStatus.ACCEPTED:
        return Accepted(_same_again(actor, version, link, signature), repeated=True)
    _ensure_opens(link, now)
    ensure_acceptable(version, now)
    ensure_not_lost(version)
    _check(signature)
    verified = is_confirmed(link, version, signature.email, now=now)
    if version.ask_code and not verified:
        raise DomainError("code_required", "Enter the code that we have sent you.", field="code")
    priced = price_version(version, picks, on=on)
    view = view_of(version, priced)
    if seen != Seen.of(view.totals):
        raise DomainError(
            "quote_changed", "The totals are not those you saw.", hint="Look at them once more, then accept."
        )
    signed = _signed(link, signature, visitor, verified, now)
    record = record_of(offer_of(version, view), signed)
    acceptance = _keep(version, link, signed, record)
    _take(version, priced, signature.customer_po)
    set_status(version, VersionStatus.ACCEPTED, closed_at=now)
    note_visit(link, version, VisitKind.ACCEPTED, visitor, now=now)
    audit.record(
        actor, "quotes.version.accepted",
        f"accepted {version} as {signature.name}, {signature.title}: {acceptance.record_sha256}",
        version.quote, version=version.number, record_sha256=acceptance.record_sha256, pdf_sha256=acceptance.pdf_sha256,
        certificate_sha256=acceptance.certificate_sha256,
        totals={"one_time": view.totals.one_time, "monthly": view.totals.monthly, "term": view.totals.term},
    )  # fmt: skip
    return Accepted(acceptance, repeated=False)


def _locked(link_id: int, version_id: int) -> tuple[QuoteVersion, QuoteLink]:
    """The quote first, so that two who accept wait for one another; everything is read after that."""
    version = hold_version(version_id)
    link = fetch(QuoteLink, link_id, lock=True)
    if version.quote_id != link.quote_id:
        raise DomainError("not_found", "That is another quote.", field="version_id")
    return version, link


def _same_again(actor: Actor, version: QuoteVersion, link: QuoteLink, signature: Signature) -> Acceptance:
    made = version.acceptance
    same = (made.link_id, made.name, made.email) == (link.pk, signature.name.strip(), signature.email.strip())
    if not same:
        raise DomainError("already_accepted", f"{made.name} has accepted {version} already.")
    audit.record(actor, "quotes.version.accepted_again", f"asked once more to accept {version}", version.quote)
    return made


def _ensure_opens(link: QuoteLink, now: datetime) -> None:
    if link.revoked_at is not None:
        raise DomainError("link_revoked", "This link has been withdrawn.", hint="Ask us for a new one.")
    if link.expires_at <= now:
        raise DomainError("link_expired", "This link has expired.", hint="Ask us for a new one.")


def _check(signature: Signature) -> None:
    """Refuse a signature in which something is missing."""
    for field, words_for in (("name", "your name"), ("title", "your title"), ("email", "your e-mail address")):
        if not getattr(signature, field).strip():
            raise DomainError("required", f"Enter {words_for}.", field=field)
    for field, value in (
        ("name", signature.name), ("title", signature.title), ("email", signature.email),
        ("customer_po", signature.customer_po), ("signature", signature.value),
    ):  # fmt: skip
        _refuse_too_long(field, value.strip())
    if not signature.consent:
        raise DomainError("required", "Tick that you accept the quote.", field="consent")
    if signature.kind not in SignatureKind.values:
        raise DomainError("invalid", "Type your name or draw your signature.", field="signature")
    value = signature.value.strip()
    if signature.kind == SignatureKind.TYPED and not 2 <= len(value) <= 100:
        raise DomainError("required", "Type your name as signature.", field="signature")
    if signature.kind == SignatureKind.DRAWN and not STROKES.fullmatch(value):
        raise DomainError("required", "Draw your signature.", field="signature")


def _refuse_too_long(field: str, value: str) -> None:
    """Before all of it is set on paper."""
    most = cast(int, cast(Any, Acceptance._meta.get_field(field)).max_length)
    if len(value) > most:
        raise DomainError("invalid", f"At most {most:,} characters may stand here.", field=field)


def _signed(link: QuoteLink, signature: Signature, visitor: Visitor, verified: bool, now: datetime) -> Signed:
    return Signed(
        name=signature.name.strip(),
        title=signature.title.strip(),
        email=signature.email.strip(),
        customer_po=signature.customer_po.strip(),
        consent=quote_settings().consent,
        signature_kind=signature.kind,
        signature=signature.value.strip(),
        code_verified=verified,
        accepted_at=now,
        ip_address=visitor.ip_address,
        user_agent=visitor.browser,
        link=link.pk,
        link_made_for=link.name or link.email,
    )


def _keep(version: QuoteVersion, link: QuoteLink, signed: Signed, record: bytes) -> Acceptance:
    """Make the PDF of the record, sign it, and keep all of it."""
    row = Acceptance(
        version=version,
        link=link,
        name=signed.name,
        title=signed.title,
        email=signed.email,
        customer_po=signed.customer_po,
        consent=signed.consent,
        signature_kind=signed.signature_kind,
        signature=signed.signature,
        code_verified=signed.code_verified,
        accepted_at=signed.accepted_at,
        ip_address=signed.ip_address,
        user_agent=signed.user_agent,
        record=record,
        record_sha256=sha256_of(record),
    )
    content: dict[str, Any] = json.loads(record)
    from counterfoil.platform import signing  # loading it takes a third of a second, which few processes need

    certificate = signing.current(content["seller"]["name"])
    row.pdf = signing.sign_pdf(
        accepted_pdf(content, record, timestamp=signed.accepted_at),
        certificate=certificate,
        reason=f"{version} accepted by {signed.name}; record SHA-256 {row.record_sha256}",
        name=content["seller"]["name"],
    )
    row.pdf_sha256, row.certificate_sha256 = sha256_of(row.pdf), certificate.sha256
    check_fields(row, relations=False)
    row.save(force_insert=True)
    return row


def _take(version: QuoteVersion, priced: PricedQuote, customer_po: str) -> None:
    """Write on the lines what was picked; those that were taken stand on the opportunity from now on."""
    update_rows(QuoteLine, _TAKEN, list(_rows(version.quote, lines_of(version), priced)))
    if customer_po.strip() and version.quote.opportunity:
        Opportunity.objects.filter(pk=version.quote.opportunity.pk).update(customer_po=customer_po.strip())


def _rows(quote: Quote, lines: Iterable[QuoteLine], priced: PricedQuote) -> Iterable[tuple[Any, ...]]:
    done = {line.key: line for line in priced.lines}
    for line in lines:
        of_line = done[line.pk]
        first = None if of_line.first_amount is None else abs(of_line.first_amount)
        opportunity = quote.opportunity_id if of_line.counts else None
        yield line.pk, opportunity, of_line.quantity, of_line.counts, of_line.unit_price, first


# -- declining, asking -------------------------------------------------------------------------------------------------


@command(roles=CUSTOMER)
def decline_quote(
    *, actor: Actor, link_id: int, version_id: int, reason: str, visitor: Visitor, now: datetime
) -> QuoteVersion:
    """Decline a version by a link; saying it twice changes nothing.

    Raises:
        DomainError: ``link_revoked``, ``link_expired``; ``required`` without a reason; ``wrong_state``.
    """
    version, link = _locked(link_id, version_id)
    if version.status == VersionStatus.DECLINED:
        audit.record(actor, "quotes.version.declined_again", f"declined {version} once more", version.quote)
        return version
    _ensure_opens(link, now)
    if not reason.strip():
        raise DomainError("required", "Tell us why, in a few words.", field="reason")
    note_visit(link, version, VisitKind.DECLINED, visitor, now=now)
    return decline_version(actor=actor, version_id=version_id, now=now, reason=reason)


@command(roles=CUSTOMER)
def ask_question(
    *, actor: Actor, link_id: int, version_id: int, text: str, visitor: Visitor, now: datetime, name: str = ""
) -> QuoteMessage:
    """Ask the MSP something about a version.

    Raises:
        DomainError: ``link_revoked``, ``link_expired``; ``required`` without a text; ``invalid`` when it is too long.
    """
    version, link = _locked(link_id, version_id)
    _ensure_opens(link, now)
    message = _message(version, text, name.strip() or link.name or link.email or "Customer", now, from_customer=True)
    note_visit(link, version, VisitKind.ASKED, visitor, now=now)
    audit.record(actor, "quotes.question.asked", f"asked about {version}: {message.text[:200]}", version.quote)
    return message


@command(roles=SALES)
def answer_question(*, actor: Actor, version_id: int, text: str, now: datetime) -> QuoteMessage:
    """Answer the customer; it stands on the page of the quote.

    Raises:
        DomainError: ``not_found``; ``required`` without a text; ``invalid`` when it is too long.
    """
    version = fetch(QuoteVersion, version_id, lock=True)
    message = _message(version, text, actor.name, now, from_customer=False)
    audit.record(actor, "quotes.question.answered", f"answered about {version}: {message.text[:200]}", version.quote)
    return message


def _message(version: QuoteVersion, text: str, author: str, now: datetime, *, from_customer: bool) -> QuoteMessage:
    message = QuoteMessage(version=version, from_customer=from_customer, author=author[:200], text=text.strip(), at=now)
    check_fields(message, relations=False)
    message.save()
    return message


# -- settings ----------------------------------------------------------------------------------------------------------


def quote_settings() -> QuoteSettings:
    """How quotes are made and accepted here; as it is at first when nothing was set."""
    return QuoteSettings.objects.filter(pk=1).first() or QuoteSettings()


@command(roles=SALES)
def change_quote_settings(
    *, actor: Actor, valid_days: int, terms_and_conditions: str, consent: str, ask_code: bool
) -> QuoteSettings:
    """Set what new quotes begin with, and what customers agree to on accepting.

    Raises:
        DomainError: ``required`` without a consent; ``invalid``.
    """
    settings, _ = QuoteSettings.objects.select_for_update().get_or_create(pk=1)
    changes = change(
        settings, valid_days=valid_days, terms_and_conditions=terms_and_conditions, consent=consent, ask_code=ask_code
    )
    save_checked(settings)
    record_changes(actor, "quotes.settings.changed", "changed what new quotes begin with", changes, settings)
    return settings
