"""A customer's way to a quote: links without an account, and what was done by them.

The address of a link carries its number, signed with the installation's secret key; whether it still opens is in the
database. One link shows whatever version of the quote is the newest with the customer.

    https://books.example.com/q/12.kX3.../
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.core.mail import EmailMessage
from django.core.signing import BadSignature, Signer

from counterfoil.companies.queries import local_date, msp_settings, my_company
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.platform import audit, config, mail
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.records import check_fields, fetch
from counterfoil.quotes.models import (
    WITH_CUSTOMER,
    Quote,
    QuoteLink,
    QuoteVersion,
    QuoteVisit,
    VersionStatus,
    VisitKind,
)

SALES = (Role.SALES,)
#: Where the pages of links are, below the origin.
PATH: Final = "/q/"
#: A link to a quote that does not say until when it can be accepted lasts so long.
DAYS: Final = 90
#: A link opens some time longer than its quote can be accepted: what was signed can be looked up.
DAYS_AFTER: Final = 60
#: One who looks at the same version again within this time is on the same visit.
SAME_VISIT: Final = timedelta(minutes=30)

_signer = Signer(salt="counterfoil.quotes.link", sep=".")


@dataclass(frozen=True, slots=True)
class Visitor:
    """From where somebody comes: address and browser, as the request says."""

    ip_address: str | None = None
    user_agent: str = ""

    @property
    def browser(self) -> str:
        """The browser, as much of it as is kept."""
        return "".join(c for c in self.user_agent if c.isprintable())[:400]


# -- the address -------------------------------------------------------------------------------------------------------


def token_of(link: QuoteLink) -> str:
    """What the address of a link ends with."""
    return _signer.sign(str(link.pk))


def address_of(link: QuoteLink, origin: str = "") -> str:
    """The whole address of a link; ``origin`` where none is configured (``COUNTERFOIL_ORIGIN``)."""
    return f"{config.current().origin or origin.rstrip('/')}{PATH}{token_of(link)}/"


def resolve_link(token: str, *, now: datetime) -> QuoteLink:
    """The link of an address, with its quote, if it opens.

    Args:
        token: what the address ends with.
        now: aware.

    Raises:
        DomainError: ``not_found`` for what is no link of ours; ``link_revoked``; ``link_expired``.
    """
    link = link_of(token)
    if link.revoked_at is not None:
        raise DomainError("link_revoked", "This link has been withdrawn.", hint="Ask us for a new one.")
    if link.expires_at <= now:
        raise DomainError(
            "link_expired",
            f"This link expired on {format_date(local_date(link.expires_at))}.",
            hint="Ask us for a new one.",
        )
    return link


def link_of(token: str) -> QuoteLink:
    """The link of an address, whether it still opens or not.

    Raises:
        DomainError: ``not_found``.
    """
    unknown = DomainError(
        "not_found", "There is no quote at this address.", hint="Copy the whole address from our message."
    )
    try:
        pk = int(_signer.unsign(token))
    except (BadSignature, ValueError) as error:
        raise unknown from error
    rows = QuoteLink.objects.select_related("quote__opportunity__company", "quote__opportunity__contact")
    if (link := rows.filter(pk=pk).first()) is None:
        raise unknown
    return link


def shown_version(quote: Quote) -> QuoteVersion | None:
    """What a link of the quote shows: the version that is with the customer or accepted, else the last that was."""
    rows = quote.versions.filter(sent_at__isnull=False).order_by("-number")
    shown = rows.filter(status__in=(*WITH_CUSTOMER, VersionStatus.ACCEPTED)).first()
    return shown or rows.first()


# -- commands ----------------------------------------------------------------------------------------------------------


@command(roles=SALES)
def create_link(
    *, actor: Actor, quote_id: int, now: datetime, name: str = "", email: str = "", expires_at: datetime | None = None
) -> QuoteLink:
    """Make a link to a quote, for one person or for whoever has it.

    Args:
        actor: who makes it.
        quote_id: the quote; a version of it need not have been sent yet.
        now: aware.
        name: whom it is for; the contact of the quote if it is not given.
        email: where codes are sent to; the contact's if it is not given.
        expires_at: when it stops opening; 60 days after the quote's last day if it is not given.

    Raises:
        DomainError: ``not_found``; ``invalid`` for a template, an expiry in the past, or no e-mail address.
    """
    quote = fetch(Quote, quote_id, field="quote_id", lock=True)
    if quote.opportunity is None:
        raise DomainError("invalid", f"{quote} is a template: nobody is offered it.", field="quote_id")
    version = quote.versions.order_by("-number").first()
    contact = (version.contact if version else None) or quote.opportunity.contact
    if contact is not None and not name and not email:
        name, email = contact.name, contact.email
    if expires_at is None:
        expires_at = _usual_expiry(version, now)
    if expires_at <= now:
        raise DomainError("invalid", "The link would have expired already.", field="expires_at")
    link = QuoteLink(
        quote=quote,
        name=name.strip(),
        email=email.strip(),
        expires_at=expires_at,
        created_at=now,
        created_by=actor.name,
    )
    check_fields(link, relations=False)
    link.save()
    whom = f" for {link.name or link.email}" if link.name or link.email else ""
    text = f"made a link to {quote}{whom}, until {format_date(local_date(expires_at))}"
    audit.record(actor, "quotes.link.made", text, quote, link=link.pk)
    return link


def _usual_expiry(version: QuoteVersion | None, now: datetime) -> datetime:
    if version is None or version.expires_on is None:
        return now + timedelta(days=DAYS)
    left = max((version.expires_on - local_date(now)).days, 0)
    return now + timedelta(days=left + DAYS_AFTER)


@command(roles=SALES)
def revoke_link(*, actor: Actor, link_id: int, now: datetime) -> QuoteLink:
    """Close a link at once; what was done by it stays known.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` when it is closed already.
    """
    link = fetch(QuoteLink, link_id, lock=True)
    if link.revoked_at is not None:
        raise DomainError("wrong_state", "The link is revoked already.")
    link.revoked_at = now
    link.save(update_fields=["revoked_at"])
    audit.record(actor, "quotes.link.revoked", f"revoked a link to {link.quote} ({_whose(link)})", link.quote)
    return link


@command(roles=SALES)
def send_link(*, actor: Actor, link_id: int, now: datetime, message: str = "", origin: str = "") -> QuoteLink:
    """Mail a link to whom it is for, and wait until the mail server has taken it.

    Args:
        actor: who sends it.
        link_id: the link.
        now: aware.
        message: stands above the address.
        origin: of the address, where none is configured.

    Raises:
        DomainError: ``not_found``; ``mail_not_configured``; ``required`` when the link has no e-mail address;
            ``wrong_state`` when it does not open any more or nothing has been sent to the customer yet;
            ``mail_not_sent`` with what the server said.
    """
    mail.ensure_configured()
    link = fetch(QuoteLink, link_id)
    if not link.email:
        raise DomainError("required", "The link has no e-mail address.", hint="Make one for a person who has one.")
    version = shown_version(link.quote)
    if link.revoked_at is not None or link.expires_at <= now or version is None:
        raise DomainError("wrong_state", "The link opens nothing: send the quote first, or make a new link.")
    send_to_customer(
        link.email, f"Quote {link.quote.number}: {link.quote.name}", _letter(link, version, message, origin)
    )
    audit.record(actor, "quotes.link.mailed", f"mailed a link to {link.quote} to {link.email}", link.quote)
    return link


def _letter(link: QuoteLink, version: QuoteVersion, message: str, origin: str) -> str:
    until = f"It can be accepted until {format_date(version.expires_on)}." if version.expires_on else ""
    greeting = f"Hello {link.name}," if link.name else "Hello,"
    body = message.strip() or f"here is our quote {link.quote.number}, {link.quote.name}."
    lines = [greeting, "", body, "", "See it, ask about it and accept it here:", address_of(link, origin), until]
    return "\n".join(lines).rstrip() + "\n"


def send_to_customer(email: str, subject: str, body: str) -> None:
    """Mail a text under the MSP's name and wait until the mail server has taken it.

    Raises:
        DomainError: ``mail_not_configured``; ``mail_not_sent`` with what the server said.
    """
    mail.ensure_configured()
    settings, company = msp_settings(), my_company()
    name = settings.legal_name or (company.name if company else "")
    message = EmailMessage(
        subject=" ".join(subject.split())[:200],
        body=f"{body}\n{name}\n",
        from_email=mail.sender_address(name),
        to=[email],
        reply_to=[settings.reply_to] if settings.reply_to else None,
        headers={"Message-ID": mail.new_message_id(), "Auto-Submitted": "auto-generated"},
    )
    try:
        mail.send(message)
    except mail.MailError as error:
        raise DomainError("mail_not_sent", f"The mail to {email} was not sent: {error}") from error


def _whose(link: QuoteLink) -> str:
    return link.name or link.email or f"link {link.pk}"


# -- visits ------------------------------------------------------------------------------------------------------------


def customer_of(link: QuoteLink, name: str = "") -> Actor:
    """The one who comes by a link, as actor of the commands that are for customers."""
    company = link.quote.opportunity.company.name if link.quote.opportunity else ""
    who = name.strip() or link.name or link.email or "Somebody"
    return Actor(user_id=None, name=f"{who} ({company})"[:200], roles=frozenset({Role.CUSTOMER}), channel="link")


def note_visit(link: QuoteLink, version: QuoteVersion, kind: VisitKind, visitor: Visitor, *, now: datetime) -> None:
    """Keep that somebody did something by a link; looking again within half an hour is the same visit."""
    visit = QuoteVisit(
        link=link, version=version, kind=kind, at=now, ip_address=visitor.ip_address, user_agent=visitor.browser
    )
    if kind == VisitKind.VIEWED:
        same = {"ip_address": visit.ip_address, "user_agent": visit.user_agent, "at__gt": now - SAME_VISIT}
        if QuoteVisit.objects.filter(link=link, version=version, kind=kind, **same).exists():
            return
    visit.save()
