"""From a form to a command and back: who acts, and where a refusal is shown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from counterfoil.companies.models import MspSettings
from counterfoil.core.errors import DomainError
from counterfoil.platform.identity import Actor
from counterfoil.platform.models import User

T = TypeVar("T")


def actor_of(request: HttpRequest) -> Actor:
    """The signed-in person, acting through a page."""
    user = request.user
    if not isinstance(user, User):
        raise DomainError("not_signed_in", "Sign in first.")
    return user.actor()


def today() -> date:
    """The day it is where the MSP is: its time zone is active during a request (``MspTimeZone``)."""
    return timezone.localdate()


def now() -> datetime:
    """This instant, aware."""
    return timezone.now()


def msp_zone() -> ZoneInfo:
    """The MSP's time zone; it decides what day it is."""
    settings = MspSettings.objects.filter(id=1).first()
    return ZoneInfo(settings.time_zone if settings else "UTC")


def attempt(form: forms.Form, deed: Callable[[], T]) -> tuple[T | None, DomainError | None]:
    """Run ``deed`` (a command); a refusal about a field of the form is shown beside it.

    Returns:
        The result and, if refused and not about a field of the form, the refusal to show above it. After a refusal
        ``form.is_valid()`` is false or the refusal is given, so nothing is redirected by mistake.
    """
    try:
        return deed(), None
    except DomainError as refusal:
        if refusal.field in form.fields:
            form.add_error(refusal.field, " ".join(part for part in (refusal.message, refusal.hint) if part))
            return None, None
        return None, refusal


#: Code of a refusal -> the page where it is mended, and what the link says.
MENDS: Final[dict[str, tuple[str, str]]] = {
    "bin_required": ("web:warehouses", "Warehouses and bins"),
    "gl_mapping_missing": ("web:gl_mappings", "Map it"),
    "my_company_not_billable": ("web:company_new", "Make an internal company"),
    "not_in_stock": ("web:stock", "See what is on hand"),
    "not_shipped": ("web:shipping", "See what can be shipped"),
    "period_closed": ("web:periods", "Accounting periods"),
    "period_missing": ("web:periods", "Open the books for it"),
    "serial_in_stock": ("web:serials", "Look the serial number up"),
    "tax_code_not_in_effect": ("web:tax_codes", "Tax codes"),
}


def mend_of(refusal: DomainError | None) -> dict[str, str]:
    """``mend_url`` and ``mend_link`` for the templates: where a refusal is mended, if that is a page of its own."""
    name, words = MENDS.get(refusal.code if refusal else "", ("", ""))
    try:
        return {"mend_url": reverse(name) if name else "", "mend_link": words}
    except NoReverseMatch:
        return {"mend_url": "", "mend_link": ""}


def refused(request: HttpRequest, refusal: DomainError, *, back: str) -> HttpResponse:
    """The page for a refusal that has no form to stand beside."""
    return render(
        request, "refusal.html", {"refusal": refusal, "back": back, **mend_of(refusal)}, status=refusal.status
    )


def shown_again(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """The form once more with its errors; nothing that was typed is lost."""
    return render(request, template, context, status=422)
