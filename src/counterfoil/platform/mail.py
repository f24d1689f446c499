"""Outgoing mail through the SMTP server of the installation (``COUNTERFOIL_SMTP_*``).

What becomes of a message is one of four things, and whoever sends must know which: it was taken (no exception), it was
refused for good, it could not be handed over yet, or nobody knows because the connection broke after the text had gone
out. Only a delayed one may be sent again without asking.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from contextlib import suppress
from email.utils import formataddr, make_msgid, parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.message import sanitize_address

from counterfoil.core.errors import DomainError
from counterfoil.platform.config import MailServer

_SMTP = "django.core.mail.backends.smtp.EmailBackend"


class MailError(Exception):
    """A message was not sent; the text says why."""


class MailRefused(MailError):
    """The server does not take it, now or later: a wrong address, or a message it will not have."""


class MailDelayed(MailError):
    """It could not be handed over; nothing was sent, and it can be tried again."""


class MailUncertain(MailError):
    """The connection broke after the message had gone out: it may have arrived or not."""


def is_configured() -> bool:
    """Whether there is an SMTP server to send through."""
    return settings.EMAIL_BACKEND == _SMTP and bool(settings.EMAIL_HOST)


def ensure_configured() -> None:
    """Refuse to promise a mail that cannot be sent.

    Raises:
        DomainError: ``mail_not_configured``.
    """
    if not is_configured():
        raise DomainError(
            "mail_not_configured",
            "No mail server is configured, so nothing can be sent by e-mail.",
            hint="Set COUNTERFOIL_SMTP_HOST (and COUNTERFOIL_MAIL_FROM) and restart; `counterfoil doctor` checks it.",
        )


def sender_address(name: str) -> str:
    """The address mail comes from, under ``name``; without one, under the name it is configured with."""
    configured, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    return formataddr((name or configured, address))


def new_message_id() -> str:
    """A Message-ID in the domain mail comes from. Kept with what is sent, it is the same for every attempt."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    return make_msgid(domain=domain or "localhost")


def send(message: EmailMessage) -> str:
    """Hand a message to the server, for all its recipients or for none.

    Returns:
        What the server answered.

    Raises:
        MailRefused, MailDelayed, MailUncertain: what became of it instead.
    """
    backend: Any = get_connection()
    try:
        _open(backend)
        return _hand_over(backend.connection, message)
    finally:
        with suppress(smtplib.SMTPException, OSError):
            backend.close()


def _open(backend: Any) -> None:
    """Connect and sign in. What is wrong here is for the administrator to mend: it is worth another try later."""
    try:
        backend.open()
    except smtplib.SMTPAuthenticationError as error:
        raise MailDelayed(f"The mail server does not let us sign in: {_answer(error)}") from error
    except ssl.SSLError as error:
        raise MailDelayed(f"No safe connection to {backend.host}: {error.reason or error}") from error
    except (socket.gaierror, OSError, smtplib.SMTPException) as error:
        raise MailDelayed(f"The mail server {backend.host}:{backend.port} cannot be reached: {error}") from error


def _hand_over(smtp: smtplib.SMTP, message: EmailMessage) -> str:
    encoding = message.encoding or settings.DEFAULT_CHARSET
    email: Any = message.message()
    content: bytes = email.as_bytes(linesep="\r\n")
    try:
        smtp.ehlo_or_helo_if_needed()
        _accepted(smtp.mail(sanitize_address(message.from_email, encoding)), "The mail server refuses the sender")
        for recipient in message.recipients():
            answer = smtp.rcpt(sanitize_address(recipient, encoding))
            _accepted(answer, f"The mail server refuses {recipient}")
    except (smtplib.SMTPException, OSError) as error:
        raise MailDelayed(f"The mail server broke off: {error}") from error
    try:
        code, words = smtp.data(content)
    except smtplib.SMTPDataError as error:  # it did not let us begin
        raise _refusal(error.smtp_code, error.smtp_error, "The mail server refuses the message") from error
    except (smtplib.SMTPException, OSError) as error:
        raise MailUncertain(f"The connection broke while the message was handed over: {error}") from error
    if code != 250:
        raise _refusal(code, words, "The mail server refuses the message")
    return _text(words)


def _accepted(answer: tuple[int, bytes], otherwise: str) -> None:
    code, words = answer
    if code not in (250, 251):
        raise _refusal(code, words, otherwise)


def _refusal(code: int, words: bytes | str, otherwise: str) -> MailError:
    """4xx is for now, 5xx for good (RFC 5321, 4.2.1)."""
    kind = MailDelayed if 400 <= code < 500 else MailRefused
    return kind(f"{otherwise}: {code} {_text(words)}")


def _answer(error: smtplib.SMTPResponseException) -> str:
    return f"{error.smtp_code} {_text(error.smtp_error)}"


def _text(words: bytes | str) -> str:
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return " ".join(text.split())[:500]


def greet(server: MailServer, seconds: float = 5) -> None:
    """Connect to a server and sign in, as sending would; nothing is sent.

    Raises:
        OSError, smtplib.SMTPException: what stands in the way.
    """
    context = ssl.create_default_context()
    if server.tls and server.port == 465:
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=seconds, context=context)
    else:
        smtp = smtplib.SMTP(server.host, server.port, timeout=seconds)
    with smtp:
        if server.tls and server.port != 465:
            smtp.starttls(context=context)
        if server.user:
            smtp.login(server.user, server.password)
        smtp.noop()
