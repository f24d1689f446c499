"""The public page that checks a signed quote: upload it, or give its fingerprint."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.decorators import login_not_required
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.http import require_GET

from counterfoil.core.errors import DomainError
from counterfoil.platform import signing
from counterfoil.quotes.verification import Brought, identify_file, identify_fingerprint
from counterfoil.web.visitors import for_visitors, page

MOST_BYTES: Final = 10_000_000


@for_visitors(a_minute=20)
def verify(request: HttpRequest) -> HttpResponse:
    """Say what a file or a fingerprint is, and whether it is intact. Nothing that is sent is kept."""
    context: dict[str, Any] = {"title": "Check a signed document"}
    if request.method == "POST":
        try:
            context["found"] = _identified(request)
        except DomainError as refusal:
            context["refusal"] = refusal
            return page(request, "web/customer/verify.html", context, status=422)
    elif given := request.GET.get("fingerprint"):
        context["fingerprint"] = given
    return page(request, "web/customer/verify.html", context)


def _identified(request: HttpRequest) -> Brought:
    file = request.FILES.get("file")
    if isinstance(file, UploadedFile):
        if (file.size or 0) > MOST_BYTES:
            raise DomainError("invalid", "The file is larger than any signed quote.", field="file")
        return identify_file(file.read(MOST_BYTES))
    if fingerprint := request.POST.get("fingerprint", "").strip():
        return identify_fingerprint(fingerprint)
    raise DomainError("required", "Choose the PDF or the record, or enter a fingerprint.", field="file")


@require_GET
@login_not_required
def certificate(request: HttpRequest) -> HttpResponse:
    """The certificate quotes are signed with, without its key, to check signatures with other tools."""
    answer = HttpResponse(signing.current().pem, content_type="application/x-pem-file")
    answer["Content-Disposition"] = 'attachment; filename="certificate.pem"'
    return answer


urlpatterns = [
    path("verify/", verify, name="verify_document"),
    path("verify/certificate.pem", certificate, name="verify_certificate"),
]
