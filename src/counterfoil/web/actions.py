"""From a form to a command and back: who acts, and where a refusal is shown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
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
    """The day it is where the MSP is."""
    return timezone.now().astimezone(msp_zone()).date()


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


def refused(request: HttpRequest, refusal: DomainError, *, back: str) -> HttpResponse:
    """The page for a refusal that has no form to stand beside."""
    return render(request, "refusal.html", {"refusal": refusal, "back": back}, status=refusal.status)


def shown_again(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """The form once more with its errors; nothing that was typed is lost."""
    return render(request, template, context, status=422)
