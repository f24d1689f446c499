"""Vendors' statements through the pages: import, names, what differs, mending it, the vendor's bill."""

from __future__ import annotations

import pytest
from django.test import Client
from tests.web.pages import sign_in, text_of
from tests.world import World

from counterfoil.platform.identity import Role


@pytest.fixture(autouse=True)
def finance(client: Client, world: World) -> None:
    sign_in(client, Role.FINANCE)


def test_the_empty_list_says_what_to_do(client: Client) -> None:
    assert "No vendor's file yet" in text_of(client.get("/match/statements/"))
