"""A client of the API, and people with tokens."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
from django.http import HttpResponse
from django.test import Client

from counterfoil.platform.identity import SYSTEM, Role
from counterfoil.platform.models import User
from counterfoil.platform.users import create_api_token, create_user

PASSWORD = "correct horse battery staple"
MakeApi = Callable[..., "Api"]


class Api:
    """Requests to ``/api/v1`` with one token."""

    def __init__(self, key: str = "") -> None:
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.client = Client(raise_request_exception=False)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        content = body if isinstance(body, str | bytes) else "" if body is None else json.dumps(body)
        return self.client.generic(
            method, f"/api/v1{path}", content, content_type="application/json", headers=self.headers | headers
        )

    def get(self, path: str, status: int = 200) -> Any:
        return self._checked("GET", path, self.send("GET", path), status)

    def post(self, path: str, body: Any = None, status: int = 201, **headers: str) -> Any:
        return self._checked("POST", path, self.send("POST", path, body, **headers), status)

    def act(self, path: str, body: Any = None) -> Any:
        return self.post(path, body, status=200)

    def patch(self, path: str, body: Any, status: int = 200) -> Any:
        return self._checked("PATCH", path, self.send("PATCH", path, body), status)

    def delete(self, path: str, status: int = 204) -> Any:
        return self._checked("DELETE", path, self.send("DELETE", path), status)

    @staticmethod
    def _checked(method: str, path: str, response: HttpResponse, status: int) -> Any:
        """The answer, which has the status expected and the form documented."""
        assert response.status_code == status, f"{response.status_code}: {response.content.decode()[:600]}"
        answer = json.loads(response.content) if response.content else None
        for error in documented(method, path.partition("?")[0], status).iter_errors(answer):
            raise AssertionError(f"{method} {path} answers otherwise than documented: {error.message[:500]}")
        return answer


@functools.cache
def _document() -> dict[str, Any]:
    from counterfoil.api.urls import api

    return json.loads(json.dumps(api.get_openapi_schema()))


def documented(method: str, path: str, status: int) -> Any:
    """What checks an answer against the OpenAPI document; lets pass what the document does not know (unknown paths)."""
    for known, pattern in _paths(method.lower()):
        if status != 500 and pattern.fullmatch(f"/api/v1{path}"):
            return _of_operation(method.lower(), known, status)
    assert status >= 400, f"{method} {path} is not documented"
    return jsonschema_rs.Draft202012Validator(True)


@functools.cache
def _paths(method: str) -> list[tuple[str, re.Pattern[str]]]:
    paths = _document()["paths"]
    return [(known, re.compile(re.sub(r"\{\w+\}", r"\\d+", known))) for known in paths if method in paths[known]]


@functools.cache
def _of_operation(method: str, known: str, status: int) -> Any:
    document = _document()
    answers = document["paths"][known][method]["responses"]
    answer = document["components"]["responses"]["Refused"] if status >= 400 else answers[str(status)]
    content = answer.get("content", {"application/json": {"schema": {"type": "null"}}})
    schema = content["application/json"]["schema"]
    # A checker keeps all that it is given: with every schema of the document that is 20 MB each.
    return jsonschema_rs.Draft202012Validator({"components": {"schemas": _named_in(schema)}, **schema})


def _named_in(schema: Any) -> dict[str, Any]:
    """The schemas that ``schema`` refers to, directly or through others."""
    all_schemas, found, waiting = _document()["components"]["schemas"], {}, [schema]
    while waiting:
        for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(waiting.pop())):
            if name not in found:
                found[name] = all_schemas[name]
                waiting.append(found[name])
    return found


def user_with(*roles: Role) -> User:
    """Somebody with an account and ``roles``."""
    name = " ".join(roles)
    user = User.objects.filter(name=name).first()
    return user or create_user(
        actor=SYSTEM, email=f"{name.replace(' ', '.')}@northwind.example", name=name, roles=roles, password=PASSWORD
    )


def key_of(*roles: Role, scopes: tuple[str, ...] = ()) -> str:
    """A token of somebody with ``roles``; its scopes are the roles unless others are given."""
    _, key = create_api_token(
        actor=SYSTEM,
        user_id=user_with(*roles).pk,
        name="test",
        scopes=scopes or tuple(roles),
        now=datetime.now(UTC),
    )
    return key
