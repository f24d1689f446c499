"""Reading and filling pages in tests."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Any

from django.test import Client

from counterfoil.platform.identity import Role
from counterfoil.platform.models import User


def sign_in(client: Client, *roles: Role) -> User:
    """A person with these roles, signed in."""
    user = User.objects.create_user(f"{'-'.join(roles)}@example.com", name="Robin", roles=list(roles))
    client.force_login(user)
    return user


def text_of(answer: Any) -> str:
    """What a page says, without tags and runs of blanks."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def lines(*rows: dict[str, Any], initial: int = 0) -> dict[str, Any]:
    """The fields of a line editor."""
    sent: dict[str, Any] = {"lines-TOTAL_FORMS": len(rows), "lines-INITIAL_FORMS": initial}
    for i, row in enumerate(rows):
        sent |= {f"lines-{i}-{name}": value for name, value in row.items()}
    return sent


def post(client: Client, address: str, *parts: dict[str, Any], **fields: Any) -> Any:
    """Send a form."""
    sent: dict[str, Any] = dict(fields)
    for part in parts:
        sent |= part
    return client.post(address, sent)


def done(answer: Any) -> str:
    """That a form was accepted; where it leads."""
    assert answer.status_code == 302, text_of(answer)[:3000]
    return str(answer["Location"])


def refused(answer: Any, *said: str, status: int = 422) -> str:
    """That a form was refused and says ``said``; the page's HTML."""
    assert answer.status_code == status, (answer.status_code, text_of(answer)[:3000])
    text = text_of(answer)
    for words in said:
        assert words in text, text
    page: str = answer.content.decode()
    return page


def errors_beside(page: str, name: str) -> str:
    """The error that stands beside the field ``name``."""
    found: Sequence[str] = re.findall(rf'id="id_{name}_error">(.*?)</div>', page, re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", " ".join(found))).split())
