"""A mail server for tests that is as strict as real ones: it keeps what it takes and refuses what is malformed."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session


@dataclass
class Mailbox:
    """What the server took, and how it behaves.

    Attributes:
        unknown: recipients it refuses for good (550).
        busy: how many recipients it still puts off (450), as a greylisting server does.
        answers: what it says to the next messages instead of taking them; ``None`` breaks the connection off.
        login: user and password it asks for, if any.
    """

    taken: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    busy: int = 0
    answers: list[str | None] = field(default_factory=list)
    login: tuple[str, str] | None = None
    port: int = 0

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.unknown:
            return "550 5.1.1 No such mailbox"
        if self.busy:
            self.busy -= 1
            return "450 4.2.0 Greylisted, come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.answers:
            answer = self.answers.pop(0)
            if answer is None:
                assert server.transport is not None
                server.transport.abort()
                return "421 gone"
            return answer
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        if problem := problem_of(content, message, envelope.rcpt_tos):
            return f"554 5.6.0 {problem}"
        self.taken.append(message)
        self.envelopes.append((envelope.mail_from or "", tuple(envelope.rcpt_tos)))
        return "250 2.0.0 Queued as 4711"


def problem_of(content: bytes, message: EmailMessage, recipients: list[str]) -> str:
    """What is wrong with a message by RFC 5321, 5322 and 2045; empty when nothing is."""
    for name in ("From", "To", "Date", "Message-ID", "Subject", "MIME-Version"):
        if len(message.get_all(name, [])) != 1:
            return f"{name} must stand once"
    if any(part.defects for part in message.walk()):
        return f"malformed: {[part.defects for part in message.walk()]}"
    if b"\n" in content.replace(b"\r\n", b""):
        return "bare line feeds"
    if any(len(line) > 998 for line in content.split(b"\r\n")):
        return "a line is too long"
    if not content.isascii():
        return "8-bit content was not announced"
    named = {address.addr_spec for name in ("To", "Cc") for address in getattr(message[name], "addresses", ())}
    if named != set(recipients):
        return f"the envelope is to {recipients}, the message to {sorted(named)}"
    return ""


class FreePort(Controller):
    """Listens on whichever port is free."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def smtp_server(**how: Any) -> Iterator[Mailbox]:
    """Run a server on a free port while the block lasts."""
    mailbox = Mailbox(**how)

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == mailbox.login, handled=False)

    options: dict[str, Any] = {}
    if mailbox.login:
        options = {"authenticator": authenticate, "auth_required": True, "auth_require_tls": False}
    controller = FreePort(mailbox, hostname="127.0.0.1", port=0, **options)
    controller.start()
    try:
        mailbox.port = controller.port
        yield mailbox
    finally:
        controller.stop()
