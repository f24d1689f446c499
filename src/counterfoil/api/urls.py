"""The API as it is mounted under ``/api/``: all areas, the OpenAPI document and its page."""

from __future__ import annotations

import functools
import json
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path, re_path
from ninja import NinjaAPI
from ninja.openapi.docs import Swagger
from ninja.openapi.schema import OpenAPISchema
from ninja.responses import NinjaJSONEncoder

from counterfoil import __version__
from counterfoil.api import errors
from counterfoil.api.areas import AREAS
from counterfoil.api.fields import ExactParser

DESCRIPTION: Final = """\
Everything the pages do, over the same commands.

**Sign in** with a token: `Authorization: Bearer cf_…`. Any token may read. To write, it takes a scope with a role that
the operation names.

**Amounts** are strings with cents (`"150.00"`), prices and quantities strings without idle zeros, dates ISO. Numbers
are taken as strings or JSON numbers and never pass through a float.

**Refusals** are `{code, message, field, hint}`, with the status 400, 401, 403, 404, 409 or 422.

**Repeating a POST** is harmless with an `Idempotency-Key`: the first answer is given again, with the header
`Idempotent-Replay: true`. A refused request leaves the key free. Keys are kept for good.

**Lists** are read page by page, in the order of the ids: `?limit=&cursor=` gives `{items, next_cursor}`.
"""


class Pages(Swagger):
    """The documentation, with the document in the page: the reader of fetched ones gives up on one of this size."""

    def render_page(self, request: HttpRequest, api: NinjaAPI, **kwargs: Any) -> HttpResponse:
        """The page."""
        self.settings["spec"] = json.loads(json.dumps(api.get_openapi_schema(), cls=NinjaJSONEncoder))
        return super().render_page(request, api, **kwargs)


class Api(NinjaAPI):
    """The API, with all refusals in one form, and its document made once."""

    @functools.cached_property
    def document(self) -> OpenAPISchema:
        """The OpenAPI document."""
        document = super().get_openapi_schema()
        refused = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
        document["components"]["schemas"]["Refusal"] = errors.Refusal.model_json_schema()
        document["components"]["responses"] = {"Refused": {"description": "Refused, and why.", "content": refused}}
        return document

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        """See :attr:`document`."""
        return self.document

    def _get_urls(self) -> list[URLResolver | URLPattern]:
        patterns = super()._get_urls()
        for pattern in patterns:
            if isinstance(pattern, URLPattern):
                pattern.callback = errors.in_our_form(pattern.callback)
        return patterns


api = Api(
    title="Counterfoil",
    version=__version__,
    description=DESCRIPTION,
    urls_namespace="api",
    parser=ExactParser(),
    docs=Pages(),
    docs_url="/docs",
    openapi_url="/openapi.json",
)
errors.install(api)
for area in AREAS:
    api.add_router("", area.router)

urlpatterns = [
    path("v1/", api.urls),
    re_path(r"", errors.unknown_route),
]
