"""Where each address goes."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("accounts/", include("allauth.urls")),
    path("api/", include("counterfoil.api.urls")),
    path("", include("counterfoil.web.urls")),
]
