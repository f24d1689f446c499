"""Where each address goes."""

from __future__ import annotations

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("accounts/", include("allauth.urls")),
    path("api/", include("counterfoil.api.urls")),
]

if find_spec("counterfoil.web.urls"):
    urlpatterns.append(path("", include("counterfoil.web.urls")))
