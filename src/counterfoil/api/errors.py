"""Every refusal in one form: ``{code, message, field, hint}``, and ``details`` where rows of a file were refused."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import DatabaseError, DataError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from pydantic import BaseModel, Field

from counterfoil.core.errors import DomainError
from counterfoil.platform.commands import refusal_of

log = logging.getLogger(__name__)


class Refusal(BaseModel):
    """Why a request was refused, where, and how to mend it."""

    code: str = Field(description="Stable, for programs.")
    message: str = Field(description="For people.")
    field: str | None = Field(description="The input it is about: `unit_price`, `lines[2].serials`.")
    hint: str | None = Field(description="What to do about it.")
    details: list[dict[str, str]] | None = Field(
        default=None, description="Further refusals of the same input, such as the bad rows of an import."
    )


#: Codes that only the API knows, besides those of :data:`counterfoil.core.errors.CODES`.
MALFORMED, METHOD_NOT_ALLOWED, TOO_LARGE, INTERNAL = "malformed", "method_not_allowed", "too_large", "internal"


def refusal(status: int, code: str, message: str, field: str | None = None, hint: str | None = None) -> JsonResponse:
    """An answer that refuses."""
    return JsonResponse({"code": code, "message": message, "field": field, "hint": hint}, status=status)


def answer_of(error: Exception) -> HttpResponse:
    """The answer to a request that ended in ``error``. What nobody foresaw is logged, and told as ``internal`` only."""
    if isinstance(error, DatabaseError) and not isinstance(error, DataError):
        try:
            error = refusal_of(error)
        except DatabaseError as unknown:
            error = unknown
    match error:
        case DomainError():
            response = JsonResponse(error.as_dict(), status=error.status)
            if error.status == 401:
                response["WWW-Authenticate"] = 'Bearer realm="counterfoil"'
            return response
        case AuthenticationError():
            return answer_of(not_signed_in())
        case ValidationError():
            return _invalid_input(error)
        case Http404():
            return refusal(404, "not_found", "There is nothing at this address.", hint="See /api/v1/docs.")
        case RequestDataTooBig():
            return refusal(413, TOO_LARGE, "The request is larger than this server takes.")
        case HttpError():
            return refusal(error.status_code, MALFORMED, error.message)
        case SuspiciousOperation():
            return refusal(400, MALFORMED, "The request cannot be read.")
        case DataError():
            return refusal(422, "invalid", "A value is too large or cannot be stored.")
    log.error("the API failed", exc_info=error)
    return refusal(500, INTERNAL, "Something went wrong here; it is in the log.", hint="Try again, or tell the owner.")


def not_signed_in() -> DomainError:
    """The refusal of a request without a valid token."""
    return DomainError(
        "not_signed_in",
        "This needs a valid API token.",
        hint="Send the header “Authorization: Bearer cf_…”; tokens are made under Setup, API tokens.",
    )


def _invalid_input(error: ValidationError) -> HttpResponse:
    first = error.errors[0]
    field = field_path(first["loc"])
    missing = first["type"] == "missing"
    message = "This is required." if missing else str(first["msg"]).removeprefix("Value error, ")
    more = len(error.errors) - 1
    hint = f"{more} more {'input is' if more == 1 else 'inputs are'} invalid." if more else None
    return refusal(422, "required" if missing else "invalid", message, field, hint)


def field_path(location: tuple[str | int, ...]) -> str | None:
    """``("body", "body", "lines", 2, "quantity")`` as ``lines[2].quantity``."""
    path = ""
    for part in location[2:] if location[:1] == ("body",) else location[1:]:
        if isinstance(part, int):
            path += f"[{part}]"
        elif "[" not in part and part not in {"nullable", "none"}:  # not the name of a pydantic validator
            path += f".{part}" if path else part
    return path or None


def install(api: NinjaAPI) -> None:
    """Answer every exception of ``api`` in our form."""
    for kind in (Exception, Http404, HttpError, ValidationError):
        api.add_exception_handler(kind, _handle)


def _handle(request: HttpRequest, error: Any) -> HttpResponse:
    return answer_of(error)


def in_our_form(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Put what ninja itself refuses (a method that a route does not know) into our form."""

    @functools.wraps(view)
    def run(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = view(request, *args, **kwargs)
        except Exception as error:
            response = answer_of(error)
        if response.status_code == 405:
            allowed = response.headers.get("Allow", "")
            hint = f"Known: {allowed}."
            response = refusal(405, METHOD_NOT_ALLOWED, f"{request.method} is not known here.", hint=hint)
            response["Allow"] = allowed
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return run


@csrf_exempt
def unknown_route(request: HttpRequest) -> HttpResponse:
    """What nobody answers under ``/api/``."""
    return answer_of(Http404())
