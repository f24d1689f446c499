"""Pages for people without an account: from where they come, how often they may, and what they see when refused."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from allauth.account.adapter import get_adapter
from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from counterfoil.companies.queries import msp_settings
from counterfoil.core.errors import DomainError
from counterfoil.quotes.links import Visitor

View = Callable[..., HttpResponse]
MINUTE: Final = 60
MESSAGE: Final = "web/customer/message.html"

#: What a refusal is called at the head of its page.
TITLES: Final = {
    "not_found": "No quote here",
    "link_revoked": "This link has been withdrawn",
    "link_expired": "This link has expired",
    "quote_expired": "This quote has expired",
    "quote_changed": "This quote has changed",
    "already_accepted": "Accepted already",
}


def visitor_of(request: HttpRequest) -> Visitor:
    """From where a request comes."""
    return Visitor(_address(request) or None, request.headers.get("User-Agent", ""))


def _address(request: HttpRequest) -> str:
    return str(get_adapter().get_client_ip(request))


def for_visitors(*, a_minute: int) -> Callable[[View], View]:
    """Make a view one that needs no account: counted by address, its refusals are pages of their own.

    Args:
        a_minute: so many requests of one address are answered within a minute, by one process.
    """

    def decorate(view: View) -> View:
        @login_not_required
        @functools.wraps(view)
        def run(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not _may_go_on(request, view.__name__, a_minute):
                answer = shown(request, "Too many requests", "Wait a minute, then try again.", status=429)
                answer["Retry-After"] = str(MINUTE)
            else:
                try:
                    answer = view(request, *args, **kwargs)
                except DomainError as refusal:
                    answer = refused(request, refusal)
            answer.setdefault("Cache-Control", "no-store")
            answer.setdefault("X-Robots-Tag", "noindex, nofollow")
            return answer

        return run

    return decorate


def _may_go_on(request: HttpRequest, what: str, a_minute: int) -> bool:
    minute = int(timezone.now().timestamp()) // MINUTE
    key = f"visitors:{what}:{_address(request)}:{minute}"
    cache.add(key, 0, MINUTE)
    try:
        return cache.incr(key) <= a_minute
    except ValueError:  # it has just been forgotten
        return True


def refused(request: HttpRequest, refusal: DomainError) -> HttpResponse:
    """The page for a refusal."""
    title = TITLES.get(refusal.code, "That did not work")
    return shown(request, title, refusal.message, refusal.hint or "", status=refusal.status)


def shown(request: HttpRequest, title: str, text: str, hint: str = "", status: int = 200) -> HttpResponse:
    """A page that says one thing."""
    return page(request, MESSAGE, {"title": title, "text": text, "hint": hint}, status=status)


def page(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """A page under the MSP's name and logo."""
    return render(request, template, {"has_logo": bool(msp_settings().logo), **context}, status=status)
