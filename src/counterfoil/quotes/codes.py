"""One-time codes: who accepts proves that the mailbox is theirs.

A code has six digits, holds for 15 minutes and takes five attempts. It goes to the address the link was made for, so
that whoever found the link cannot have one sent to themselves. What is kept is a keyed hash of it.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import datetime, timedelta
from typing import Final

from django.utils.crypto import salted_hmac

from counterfoil.core.errors import DomainError
from counterfoil.platform import audit, mail
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.records import check_fields, fetch
from counterfoil.quotes.links import Visitor, note_visit, send_to_customer
from counterfoil.quotes.models import OneTimeCode, QuoteLink, QuoteVersion, VisitKind

HOLDS: Final = timedelta(minutes=15)
ATTEMPTS: Final = 5
#: So many codes can be sent by a link within an hour.
AN_HOUR: Final = 6


@command(roles=(Role.CUSTOMER,))
def send_code(
    *, actor: Actor, link_id: int, version_id: int, email: str, visitor: Visitor, now: datetime
) -> OneTimeCode:
    """Mail a code to who wants to accept. An earlier one holds no longer.

    Args:
        actor: the customer.
        link_id: the link; where it was made for somebody with an address, the code goes there.
        version_id: what is to be accepted.
        email: where it goes otherwise.
        visitor: from where it is asked for.
        now: aware.

    Raises:
        DomainError: ``mail_not_configured``, ``mail_not_sent``; ``required``, ``invalid`` for the address;
            ``conflict`` after too many codes.
    """
    mail.ensure_configured()
    link, version = fetch(QuoteLink, link_id, lock=True), fetch(QuoteVersion, version_id)
    if version.quote_id != link.quote_id:
        raise DomainError("not_found", "That is another quote.", field="version_id")
    sent = OneTimeCode.objects.filter(link=link, expires_at__gt=now + HOLDS - timedelta(hours=1))
    if sent.count() >= AN_HOUR:
        raise DomainError("conflict", "Enough codes were sent.", hint="Wait an hour, or ask us.")
    address = link.email or email.strip()
    if not address:
        raise DomainError("required", "Enter your e-mail address: the code is sent there.", field="email")
    code = f"{secrets.randbelow(1_000_000):06d}"
    row = OneTimeCode(
        link=link, version=version, email=address, code_sha256=_hash(link, version, code), expires_at=now + HOLDS
    )
    check_fields(row, relations=False)
    OneTimeCode.objects.filter(link=link, version=version, used_at=None, expires_at__gt=now).update(expires_at=now)
    row.save()
    note_visit(link, version, VisitKind.CODE_SENT, visitor, now=now)
    audit.record(actor, "quotes.code.sent", f"was sent a code for {version} to {address}", version.quote)
    subject = f"{code} is your code for quote {link.quote.number}"
    send_to_customer(
        address, subject, f"Your code for quote {link.quote.number} is {code}.\nIt holds for 15 minutes.\n"
    )
    return row


@command(roles=(Role.CUSTOMER,))
def try_code(*, actor: Actor, link_id: int, version_id: int, code: str, visitor: Visitor, now: datetime) -> bool:
    """Whether a code is the one that was sent. Each try counts; after the fifth a new code is needed.

    Called before accepting, in a transaction of its own, so that a wrong try stays counted.

    Raises:
        DomainError: ``not_found``.
    """
    link, version = fetch(QuoteLink, link_id), fetch(QuoteVersion, version_id)
    rows = OneTimeCode.objects.select_for_update().filter(link=link, version=version, expires_at__gt=now)
    row = rows.filter(attempts__lt=ATTEMPTS).order_by("-id").first()
    right = row is not None and hmac.compare_digest(row.code_sha256, _hash(link, version, code.strip()))
    if row is not None:
        row.attempts += 1
        row.used_at = row.used_at or (now if right else None)
        row.save(update_fields=["attempts", "used_at"])
    if not right:
        note_visit(link, version, VisitKind.CODE_WRONG, visitor, now=now)
    text = f"entered {'the' if right else 'a wrong'} code for {version}"
    audit.record(actor, "quotes.code.entered", text, version.quote)
    return right


def is_confirmed(link: QuoteLink, version: QuoteVersion, email: str, *, now: datetime) -> bool:
    """Whether the code sent to that address for this version was entered while it held, within the last 15 minutes."""
    address = email.strip() if not link.email else link.email
    used = OneTimeCode.objects.filter(link=link, version=version, used_at__gt=now - HOLDS)
    return address.lower() == email.strip().lower() and used.filter(email__iexact=address).exists()


def _hash(link: QuoteLink, version: QuoteVersion, code: str) -> str:
    return salted_hmac("counterfoil.quotes.code", f"{link.pk}:{version.pk}:{code}", algorithm="sha256").hexdigest()
