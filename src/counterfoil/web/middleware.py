"""What holds for every staff page: one is signed in, days are the MSP's, and a refusal is shown in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from counterfoil.companies.models import MspSettings
from counterfoil.core.errors import DomainError
from counterfoil.platform.commands import refusal_of
from counterfoil.web.actions import msp_zone, refused

View = Callable[..., HttpResponseBase]

SIGNED_OUT = (
    "You were signed out, and what you sent was not saved. Sign in, then go back to where you typed it:"
    " most browsers still have it."
)

ZONE_KEY = "counterfoil.msp-time-zone"
ZONE_SECONDS = 60


def _is_page(request: HttpRequest) -> bool:
    """Whether a page of ours answers: not the API, not the sign-in pages."""
    return request.resolver_match is not None and request.resolver_match.app_name == "web"


class SignInRequired(LoginRequiredMiddleware):
    """Staff pages are for the MSP's people, signed in, whichever view answers; htmx is sent to the door too."""

    def process_view(
        self, request: HttpRequest, view_func: View, view_args: tuple[Any, ...], view_kwargs: dict[str, Any]
    ) -> Any:
        """Let the view answer, or ask to sign in first.

        Raises:
            PermissionDenied: for somebody who is signed in and none of the MSP's people.
        """
        if not _is_page(request) or not getattr(view_func, "login_required", True):
            return None
        if request.user.is_authenticated and not request.user.actor("page").is_staff:
            raise PermissionDenied("These pages are for the people of the MSP.")
        return super().process_view(request, view_func, view_args, view_kwargs)

    def handle_no_permission(self, request: HttpRequest, view_func: View) -> Any:
        """To the sign-in page, and back to the page one was on afterwards: parts of it and what it sends are none."""
        is_part = bool(request.headers.get("HX-Request"))
        if is_part:
            back = _ours(request, request.headers.get("HX-Current-URL", "")) or request.get_full_path()
        elif request.method in {"GET", "HEAD"}:
            back = request.get_full_path()
        else:
            back = _ours(request, request.headers.get("Referer", "")) or "/"
            messages.warning(request, SIGNED_OUT)
        answer = redirect_to_login(back, str(self.get_login_url(view_func)), self.get_redirect_field_name(view_func))
        if is_part:
            # A redirect would put the sign-in page into a corner of this one.
            return HttpResponse(status=204, headers={"HX-Redirect": answer["Location"]})
        return answer


class PlainAddresses:
    """What an address asks for is read without NUL characters: no text here holds one, and no column takes it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request; the API says itself what it does not take."""
        if "%00" in request.META.get("QUERY_STRING", "") and not request.path_info.startswith("/api/"):
            asked = request.GET.copy()
            for name, values in request.GET.lists():
                asked.setlist(name, [value.replace("\0", "") for value in values])
            asked._mutable = False  # as any other
            request.GET = asked  # type: ignore[assignment]
        return self.get_response(request)


class MspTimeZone:
    """Instants are shown in the MSP's time zone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request with the MSP's time zone active."""
        name = cache.get_or_set(ZONE_KEY, lambda: msp_zone().key, ZONE_SECONDS)
        with timezone.override(ZoneInfo(str(name))):
            return self.get_response(request)


@receiver(post_save, sender=MspSettings)
def forget_zone(**_: Any) -> None:
    """The zone may have been changed."""
    cache.delete(ZONE_KEY)


class RefusalPages:
    """A command's refusal that no view has caught is a page that says so, never a server error."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The page for a refusal, with its status; an htmx request gets it as a message beside what is shown."""
        if isinstance(exception, DatabaseError):
            exception = _known(exception)
        if not isinstance(exception, DomainError) or not _is_page(request):
            return None
        if request.headers.get("HX-Request"):
            toast = {"text": exception.message, "level": "error"}
            return HttpResponse(
                status=exception.status,
                headers={"HX-Trigger": json.dumps({"counterfoil:toast": toast}), "HX-Reswap": "none"},
            )
        return refused(request, exception, back=_where_from(request))


def _known(error: DatabaseError) -> Exception:
    """What the database refuses, in words where they are known."""
    try:
        return refusal_of(error)
    except DatabaseError:
        return error


def _where_from(request: HttpRequest) -> str:
    """The page one came from, if it is one of ours and another."""
    came_from = request.headers.get("Referer", "")
    return came_from if _ours(request, came_from) and came_from != request.build_absolute_uri() else "/"


def _ours(request: HttpRequest, address: str) -> str:
    """The path of ``address``, with what it asks for, if it is one of ours."""
    if not url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure()):
        return ""
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
