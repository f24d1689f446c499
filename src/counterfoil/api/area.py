"""How routes are declared: one line names the command or query behind an address and the shape of its answer.

    area = Area("Companies")
    area.records("/companies", companies, queries.companies)
    area.detail("/companies/{company_id}", companies)
    area.post("/companies", commands.create_company, companies)
    area.patch("/companies/{company_id}", commands.update_company, companies)

Summary, description and roles in the OpenAPI document come from the command.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any, Final

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import File, Query, Router
from ninja.files import UploadedFile
from pydantic import Field, TypeAdapter

from counterfoil.api import bodies, pagination
from counterfoil.api.auth import ApiToken, actor_of
from counterfoil.api.fields import Id
from counterfoil.api.idempotency import HEADER, MAX_LENGTH, OpenAnswer, once
from counterfoil.api.shapes import Out, Shape
from counterfoil.platform.identity import Role
from counterfoil.platform.imports import ImportPreview, ImportResult
from counterfoil.platform.lookup import existing

JSON: Final = "application/json; charset=utf-8"
#: How each route may refuse, by status; ``Refused`` stands once in the document.
REFUSALS: Final = {str(status): {"$ref": "#/components/responses/Refused"} for status in (400, 401, 403, 404, 409, 422)}
KEY_PARAMETER: Final = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Makes a repetition of the request harmless: it gets the first answer again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH, "pattern": "^[!-~]+$"},
}
_FILE: Any = File(...)  # type: ignore[type-arg]
View = Callable[..., HttpResponse]
Show = Callable[[Any], Any]


class Area:
    """The routes of one part of the business."""

    def __init__(self, tag: str) -> None:
        self.router = Router(tags=[tag])

    # -- reading -----------------------------------------------------------------------------------------------------

    def records(
        self, path: str, shape: Shape[Any], query: Callable[..., QuerySet[Any]], roles: Sequence[Role] | None = None
    ) -> None:
        """All records of ``query``, filtered by its keywords, page by page."""
        adapter = TypeAdapter(pagination.Page[shape.head])  # type: ignore[name-defined]

        def view(request: HttpRequest, limit: int, cursor: str, **asked: Any) -> HttpResponse:
            records = shape.prepare(query(**asked), parts=False)
            return _rendered(adapter, _page(*pagination.take(request, records, limit, cursor)))

        plural = str(shape.model._meta.verbose_name_plural)
        described = (f"list_{query.__name__}", f"List {plural}", f"{plural.capitalize()}, in the order of their ids.")
        self._add("GET", path, view, described, adapter, _paged(_asked(query)), roles)

    def rows(self, path: str, row: type[Out], query: Callable[..., Iterable[Any]], key: Callable[[Any], Any]) -> None:
        """The rows that ``query`` computes, page by page in the order of ``key``."""
        adapter = TypeAdapter(pagination.Page[row])  # type: ignore[valid-type]

        def view(request: HttpRequest, limit: int, cursor: str, **asked: Any) -> HttpResponse:
            return _rendered(adapter, _page(*pagination.take_rows(request, query(**asked), limit, cursor, key)))

        self._add("GET", path, view, _described(query), adapter, _paged(_asked(query)))

    def detail(self, path: str, shape: Shape[Any], roles: Sequence[Role] | None = None) -> None:
        """One record with its parts, by the id in the path."""
        adapter = TypeAdapter(shape.full)
        name = str(shape.model._meta.verbose_name)

        def view(request: HttpRequest, **ids: int) -> HttpResponse:
            return _rendered(adapter, existing(shape.prepare(shape.source(), parts=True), next(iter(ids.values()))))

        described = (f"get_{shape.model.__name__.lower()}", f"{'An' if name[0] in 'aeiou' else 'A'} {name}", "")
        self._add("GET", path, view, described, adapter, [], roles)

    def report(self, path: str, answer: Any, query: Callable[..., Any], roles: Sequence[Role] | None = None) -> None:
        """What ``query`` computes, whole."""
        adapter = TypeAdapter(answer)
        in_path = _names_in(path)

        def view(request: HttpRequest, **asked: Any) -> HttpResponse:
            return _rendered(adapter, query(**asked))

        asked = [parameter for parameter in _asked(query) if parameter.name not in in_path]
        self._add("GET", path, view, _described(query), adapter, asked, roles)

    def asked_report(self, path: str, answer: Any, make: Callable[..., Any], asked: Mapping[str, type]) -> None:
        """What ``make`` gives for the optional parameters ``asked``, by name and type."""
        adapter = TypeAdapter(answer)

        def view(request: HttpRequest, **given: Any) -> HttpResponse:
            return _rendered(adapter, make(**given))

        parameters = [
            _parameter(f"{name}_", bodies.taken_as(name, kind) | None, Query(None, alias=name))  # type: ignore[type-arg]
            for name, kind in asked.items()
        ]
        self._add("GET", path, view, _described(make), adapter, parameters)

    def download(
        self, path: str, media_type: str, make: Callable[..., Any], roles: Sequence[Role] | None = None
    ) -> None:
        """A file as it is; what ``make`` gives has a ``name`` and its ``content``."""
        in_path = _names_in(path)

        def view(request: HttpRequest, **asked: Any) -> HttpResponse:
            made = make(**asked)
            answer = HttpResponse(made.content, content_type=media_type)
            answer["Content-Disposition"] = f'attachment; filename="{made.name}"'
            return answer

        asked = [parameter for parameter in _asked(make) if parameter.name not in in_path]
        file = {"description": "The file.", "content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}
        self._add("GET", path, view, _described(make), TypeAdapter(None), asked, roles, answers={"200": file})

    # -- writing -----------------------------------------------------------------------------------------------------

    def post(self, path: str, command: bodies.Command, answer: Any, show: Show | None = None, secret: str = "") -> None:
        """Make something by ``command``; repeated with the same ``Idempotency-Key`` it is made once.

        Args:
            path: of the list it joins.
            command: what makes it.
            answer: a shape, or a type for what the command returns.
            show: makes of the command's result what ``answer`` describes.
            secret: a field of the answer that is shown this once and not remembered.
        """
        self._command("POST", path, command, answer, 201, show, secret)

    def act(self, path: str, command: bodies.Command, answer: Any, show: Show | None = None) -> None:
        """Do something to what is there, by ``command``; with the same ``Idempotency-Key`` it is done once."""
        self._command("POST", path, command, answer, 200, show)

    def patch(self, path: str, command: bodies.Command, answer: Any) -> None:
        """Change what the client names, by ``command``."""
        self._command("PATCH", path, command, answer, 200)

    def put(self, path: str, command: bodies.Command, answer: Any) -> None:
        """Set something, by ``command``."""
        self._command("PUT", path, command, answer, 200)

    def delete(self, path: str, command: bodies.Command) -> None:
        """Delete something that nothing depends on, by ``command``."""
        self._command("DELETE", path, command, None, 204)

    def upload(
        self, path: str, preview: Callable[..., Any], command: bodies.Command, answer: Any, show: Show | None = None
    ) -> None:
        """Take a file in by ``command``; with ``?preview=true`` only say what would happen, by ``preview``.

        What else both take is asked for in the address. ``show`` makes of what either gives what ``answer`` describes.
        """
        adapter = TypeAdapter(answer)
        look, shown = preview, show or _import_answer

        def run(request: HttpRequest, file: UploadedFile, preview: bool, asked: dict[str, Any]) -> HttpResponse:
            content = file.read()
            asked |= bodies.ours(look if preview else command, asked)
            if preview:
                return _rendered(adapter, shown(look(content=content, **asked)))
            result = command(actor=actor_of(request), content=content, filename=(file.name or "")[:100], **asked)
            return _rendered(adapter, shown(result))

        def view(request: HttpRequest, file: UploadedFile, preview: bool, **asked: Any) -> HttpResponse:
            return once(request, lambda: run(request, file, preview, asked))

        further = _asked(look, without={"content", "on"})
        parameters = [_parameter("file", UploadedFile, _FILE), _parameter("preview", bool, False), *further]
        self._add("POST", path, view, _described(command), adapter, parameters, bodies.roles_of(command))

    def post_file(self, path: str, command: bodies.Command, answer: Any) -> None:
        """Set something to the content of a file, by ``command``."""
        shape = answer if isinstance(answer, Shape) else None
        adapter = TypeAdapter(shape.full if shape else answer)

        def run(request: HttpRequest, file: UploadedFile) -> HttpResponse:
            result = command(actor=actor_of(request), content=file.read(), filename=(file.name or "")[:100])
            return _rendered(adapter, result)

        def view(request: HttpRequest, file: UploadedFile) -> HttpResponse:
            return once(request, lambda: run(request, file))

        parameters = [_parameter("file", UploadedFile, _FILE)]
        self._add("POST", path, view, _described(command), adapter, parameters, bodies.roles_of(command))

    def _command(
        self,
        method: str,
        path: str,
        command: bodies.Command,
        answer: Any,
        status: int,
        show: Show | None = None,
        secret: str = "",
    ) -> None:
        shape = answer if isinstance(answer, Shape) else None
        adapter = TypeAdapter(shape.full if shape else answer)
        body = bodies.body_of(command, _names_in(path))

        def run(request: HttpRequest, ids: dict[str, int], given: Any) -> HttpResponse:
            asked = ids | bodies.arguments(command, given)
            result = command(actor=actor_of(request), **asked, **bodies.ours(command, asked))
            if status == 204:
                return HttpResponse(status=204)
            if shape and isinstance(result, Model):
                result = shape.prepare(shape.source(), parts=True).get(pk=result.pk)
            elif shape and result is None:  # it changed the parts of the record in the path
                result = shape.prepare(shape.source(), parts=True).get(pk=next(iter(ids.values())))
            response = _rendered(adapter, show(result) if show else result, status)
            return _shown_once(response, secret) if secret else response

        def view(request: HttpRequest, body: Any = None, **ids: int) -> HttpResponse:
            if method == "POST":
                return once(request, lambda: run(request, ids, body))
            return run(request, ids, body)

        parameters = []
        if body is not None:
            needed = any(field.is_required() for field in body.model_fields.values())
            kind: Any = body if needed else body | None
            default = inspect.Parameter.empty if needed else None
            parameters.append(_parameter("body", kind, default))
        self._add(method, path, view, _described(command), adapter, parameters, bodies.roles_of(command), status)

    # -- both --------------------------------------------------------------------------------------------------------

    def _add(
        self,
        method: str,
        path: str,
        view: View,
        described: tuple[str, str, str],
        adapter: TypeAdapter[Any],
        parameters: list[inspect.Parameter],
        roles: Collection[Role] | None = None,
        status: int = 200,
        answers: Mapping[str, Any] | None = None,
    ) -> None:
        name, summary, description = described
        # The same query or command may stand behind several addresses: the address tells the operations apart.
        operation_id = f"{method.lower()}{re.sub(r'[^a-z0-9]+', '_', path.replace('int:', ''))}".rstrip("_")
        if roles is not None:
            described_roles = ", ".join(sorted({Role.OWNER.value, *(role.value for role in roles)}))
            description = f"{description}\n\nRoles: {described_roles}.".strip()
        in_path = [_parameter(each, Id) for each in _names_in(path)]
        extra: dict[str, Any] = {"responses": {**REFUSALS, **(answers or {})}}
        if method == "POST":
            extra["parameters"] = [KEY_PARAMETER]
        request = inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        view.__name__ = name
        view.__signature__ = inspect.Signature([request, *in_path, *parameters])  # type: ignore[attr-defined]
        self.router.add_api_operation(
            re.sub(r"\{(\w+_id)\}", r"{int:\1}", path),
            [method],
            view,
            auth=ApiToken(roles, name, reads=method == "GET"),
            response={status: None if status == 204 else adapter._type},
            operation_id=operation_id,
            summary=summary,
            description=description,
            openapi_extra=extra,
        )


def _rendered(adapter: TypeAdapter[Any], result: Any, status: int = 200) -> HttpResponse:
    """The answer: read off the result's attributes, written as bytes in one go."""
    content = adapter.dump_json(adapter.validate_python(result, from_attributes=True))
    return HttpResponse(content, status=status, content_type=JSON)


def _shown_once(response: HttpResponse, secret: str) -> HttpResponse:
    """The answer with its secret; a repetition will get it without."""
    answer = OpenAnswer(response.content, status=response.status_code, content_type=JSON)
    answer.remembered = json.dumps(json.loads(response.content) | {secret: None})
    return answer


def _import_answer(done: ImportPreview | ImportResult) -> dict[str, Any]:
    if isinstance(done, ImportResult):
        counts = {"created": done.created, "updated": done.updated, "unchanged": done.unchanged}
        return {"preview": False, **counts, "also": done.also, "rows": [], "errors": []}
    return {
        "preview": True,
        "created": done.count("create"),
        "updated": done.count("update"),
        "unchanged": done.count("unchanged"),
        "also": done.also,
        "rows": done.rows,
        "errors": done.errors,
    }


def _page(items: list[Any], next_cursor: str | None) -> dict[str, Any]:
    return {"items": items, "next_cursor": next_cursor}


def _names_in(path: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", path)


def _parameter(name: str, kind: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)


def _asked(query: Callable[..., Any], without: Collection[str] = ()) -> list[inspect.Parameter]:
    """The keywords of a query as query parameters."""
    return [
        _parameter(name, Annotated[bodies.taken_as(name, hint), Field()], default)
        for name, hint, default in bodies.keywords(query)
        if name not in without
    ]


def _paged(parameters: list[inspect.Parameter]) -> list[inspect.Parameter]:
    return [*parameters, _parameter("limit", pagination.Limit, 50), _parameter("cursor", pagination.Cursor, "")]


def _described(deed: Callable[..., Any]) -> tuple[str, str, str]:
    """Name, summary and description of an operation, from its docstring; mark-up and argument lists left out."""
    text = inspect.cleandoc(deed.__doc__ or "")
    text = re.sub(r":\w+:`~?([^`]*)`", r"`\1`", text).replace("``", "`")
    words, *refusals = re.split(r"\n\nRaises[^\n]*:\n", text)
    words = re.split(r"\n\n(?:Args|Returns):\n", words)[0]
    description = " ".join(words.split())
    if refusals:
        said = " ".join(refusals[0].split()).removeprefix("DomainError: ")
        description += f"\n\nRefused: {said}"
    return deed.__name__, deed.__name__.replace("_", " ").capitalize(), description
