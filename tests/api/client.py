"""A client of the API, and people with tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

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
        return self._checked(self.send("GET", path), status)

    def post(self, path: str, body: Any = None, status: int = 201, **headers: str) -> Any:
        return self._checked(self.send("POST", path, body, **headers), status)

    def act(self, path: str, body: Any = None) -> Any:
        return self.post(path, body, status=200)

    def patch(self, path: str, body: Any, status: int = 200) -> Any:
        return self._checked(self.send("PATCH", path, body), status)

    def delete(self, path: str, status: int = 204) -> Any:
        return self._checked(self.send("DELETE", path), status)

    @staticmethod
    def _checked(response: HttpResponse, status: int) -> Any:
        assert response.status_code == status, f"{response.status_code}: {response.content.decode()[:600]}"
        return json.loads(response.content) if response.content else None


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
