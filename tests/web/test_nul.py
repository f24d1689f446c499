"""A NUL character in an address: no text holds one, and no page, file or filter breaks on it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from tests.api.client import Api, key_of
from tests.web.pages import sign_in
from tests.world import World

import counterfoil.web
from counterfoil.platform.identity import Role

#: Every name by which a page reads its address.
ASKED = sorted(
    {
        name
        for file in Path(counterfoil.web.__file__).parent.rglob("*.py")
        for name in re.findall(r"GET(?:\.get|\.getlist)?[\[(]\"(\w+)\"", file.read_text())
    }
    | {"q"}
)


def patterns(resolver: URLResolver, before: str = "") -> Iterator[str]:
    for each in resolver.url_patterns:
        route = before + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from patterns(each, route)
        elif isinstance(each, URLPattern):
            yield route


def addresses() -> list[str]:
    """Every address of a page without a record, and with a text in it."""
    routes = [route for route in patterns(get_resolver()) if not route.startswith("api/") and "^" not in route]
    return [
        "/" + re.sub(r"<(?:\w+:)?\w+>", "a%00b", route) for route in routes if not re.search(r"<(int|uuid)?:", route)
    ]


@pytest.fixture
def staff(client: Client, world: World) -> Client:
    sign_in(client, Role.OWNER)
    client.raise_request_exception = False
    return client


def test_no_page_breaks_on_it(staff: Client) -> None:
    found = addresses()
    assert len(found) > 60, found
    assert len(ASKED) > 20, ASKED
    every = "&".join(f"{name}=a%00b" for name in ASKED)
    assert [address for address in found if staff.get(f"{address}?{every}").status_code >= 500] == []


def test_a_search_passes_over_it(staff: Client) -> None:
    page = staff.get("/companies/?q=Ac%00me")
    assert "Acme Corp" in page.content.decode()


def test_what_is_sent_with_it_is_refused_in_words(staff: Client) -> None:
    answer = staff.post("/periods/procurement-date/", {"procurement_date": "po\0date"})
    assert answer.status_code < 500
    answer = staff.post("/match/rules/holds/", {"code": "a\0b"})
    assert answer.status_code < 500


def test_no_filter_of_the_api_breaks_on_it(world: World) -> None:
    api = Api(key_of(Role.OWNER))
    document = api.send("GET", "/openapi.json").json()
    asked = [
        f"{re.sub('{.*?}', '1', path).removeprefix('/api/v1')}?{each['name']}=a%00b"
        for path, item in document["paths"].items()
        for each in item.get("get", {}).get("parameters", ())
        if each["in"] == "query" and each["name"] != "limit"
    ]
    assert len(asked) > 60
    assert [address for address in asked if api.send("GET", address).status_code >= 500] == []
