"""Pages: audit."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path


def of_record(request: HttpRequest, label: str, pk: int) -> HttpResponse:
    """x"""
    return HttpResponse("")


urlpatterns: list[URLPattern] = [path("audit/<str:label>/<int:pk>/", of_record, name="audit_of")]
