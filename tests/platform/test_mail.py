"""Mail through a real server on this machine: taken, refused, delayed, or nobody knows."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.mail import EmailMessage
from tests.smtp import Mailbox, smtp_server

from counterfoil.core.errors import DomainError
from counterfoil.platform import config, doctor, mail

Configure = Callable[..., None]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with smtp_server() as server:
        yield server


@pytest.fixture
def through(settings: Any) -> Callable[[int], None]:
    """Send through the server on a port of this machine."""

    def use(port: int, user: str = "", password: str = "") -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = user, password
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.EMAIL_TIMEOUT = 5
        settings.DEFAULT_FROM_EMAIL = "Counterfoil <billing@northwind.example>"

    return use


def message(**changed: Any) -> EmailMessage:
    told = {
        "subject": "Invoice INV-0042 from Café Łódź",
        "body": "Please find attached.\n.a line with a dot\n" + "long " * 400,
        "from_email": mail.sender_address("Café Łódź"),
        "to": ["ap@acme.example"],
        "cc": ["boss@acme.example"],
        "headers": {"Message-ID": mail.new_message_id()},
    }
    made = EmailMessage(**(told | changed))
    made.attach("Invoice-INV-0042.pdf", b"%PDF-1.7 \x00\xff" * 1000, "application/pdf")
    return made


def test_a_message_arrives_as_it_was_written(mailbox: Mailbox, through: Configure) -> None:
    through(mailbox.port)
    assert mail.send(message()) == "2.0.0 Queued as 4711"
    (got,) = mailbox.taken
    assert mailbox.envelopes == [("billing@northwind.example", ("ap@acme.example", "boss@acme.example"))]
    assert got["Subject"] == "Invoice INV-0042 from Café Łódź"
    assert got["From"] == "Café Łódź <billing@northwind.example>"
    assert got["Message-ID"].endswith("@northwind.example>")
    body = got.get_body()
    assert body is not None
    assert body.get_content().replace("\r\n", "\n").startswith("Please find attached.\n.a line with a dot\n")
    (attachment,) = got.iter_attachments()
    assert (attachment.get_filename(), attachment.get_content_type()) == ("Invoice-INV-0042.pdf", "application/pdf")
    assert attachment.get_content() == b"%PDF-1.7 \x00\xff" * 1000


def test_one_unknown_recipient_keeps_the_message_from_all(mailbox: Mailbox, through: Configure) -> None:
    mailbox.unknown = {"boss@acme.example"}
    through(mailbox.port)
    with pytest.raises(mail.MailRefused, match=r"refuses boss@acme\.example: 550 5\.1\.1 No such mailbox"):
        mail.send(message())
    assert mailbox.taken == []


def test_a_greylisting_server_is_a_delay(mailbox: Mailbox, through: Configure) -> None:
    mailbox.busy = 1
    through(mailbox.port)
    with pytest.raises(mail.MailDelayed, match="Greylisted"):
        mail.send(message())
    mail.send(message())
    assert len(mailbox.taken) == 1


@pytest.mark.parametrize(
    ("answer", "becomes"),
    [
        ("554 5.7.1 Spam", mail.MailRefused),
        ("552 5.3.4 Too big", mail.MailRefused),
        ("451 4.3.0 Try again later", mail.MailDelayed),
        (None, mail.MailUncertain),
    ],
)
def test_what_the_server_says_to_the_message_decides(
    mailbox: Mailbox, through: Configure, answer: str | None, becomes: type[mail.MailError]
) -> None:
    mailbox.answers = [answer]
    through(mailbox.port)
    with pytest.raises(becomes):
        mail.send(message())
    assert mailbox.taken == []


def test_a_malformed_message_is_refused_by_the_server(mailbox: Mailbox, through: Configure) -> None:
    through(mailbox.port)
    with pytest.raises(mail.MailRefused, match="the envelope is to"):
        mail.send(message(headers={"Message-ID": "<a@b.example>", "To": "somebody.else@acme.example"}))


def test_no_server_is_a_delay(through: Configure) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    through(port)
    with pytest.raises(mail.MailDelayed, match="cannot be reached"):
        mail.send(message())


def test_signing_in(through: Configure) -> None:
    with smtp_server(login=("counterfoil", "correct horse")) as mailbox:
        through(mailbox.port, "counterfoil", "wrong")
        with pytest.raises(mail.MailDelayed, match="does not let us sign in: 535"):
            mail.send(message())
        through(mailbox.port, "counterfoil", "correct horse")
        mail.send(message())
        assert len(mailbox.taken) == 1


def test_tls_is_asked_for_and_never_left_out(mailbox: Mailbox, through: Configure, settings: Any) -> None:
    through(mailbox.port)
    settings.EMAIL_USE_TLS = True
    with pytest.raises(mail.MailDelayed, match="STARTTLS"):
        mail.send(message())
    assert mailbox.taken == []


def test_without_a_server_nothing_is_promised(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    with pytest.raises(DomainError) as refused:
        mail.ensure_configured()
    assert refused.value.code == "mail_not_configured"
    assert "COUNTERFOIL_SMTP_HOST" in (refused.value.hint or "")


# -- the doctor --------------------------------------------------------------------------------------------------------


def findings(tmp_path: Path, **environ: str) -> list[tuple[str, str]]:
    settings = config.Config.from_environment({"COUNTERFOIL_DATA": str(tmp_path), **environ})
    return [(finding.health.value, finding.message) for finding in doctor.CHECKS["mail"](settings)]


def test_the_doctor_says_whether_mail_is_configured(tmp_path: Path) -> None:
    ((health, said),) = findings(tmp_path)
    assert health == "note"
    assert "no mail server is configured" in said


def test_the_doctor_tries_the_mail_server(tmp_path: Path, mailbox: Mailbox) -> None:
    server = {
        "COUNTERFOIL_SMTP_HOST": "127.0.0.1",
        "COUNTERFOIL_SMTP_PORT": str(mailbox.port),
        "COUNTERFOIL_SMTP_TLS": "0",
        "COUNTERFOIL_MAIL_FROM": "Northwind IT <billing@northwind.example>",
    }
    here = f"127.0.0.1:{mailbox.port}"
    assert findings(tmp_path, **server) == [("ok", f"{here} takes mail from Northwind IT <billing@northwind.example>")]
    del server["COUNTERFOIL_MAIL_FROM"]
    assert [health for health, _ in findings(tmp_path, **server)] == ["ok", "note"]
    ((health, said),) = findings(tmp_path, **server | {"COUNTERFOIL_SMTP_TLS": "1", "COUNTERFOIL_MAIL_FROM": "a@b.c"})
    assert health == "broken"
    assert f"{here} cannot be used" in said
