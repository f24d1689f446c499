"""Clients of the API with a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.api.client import Api, MakeApi

    from counterfoil.platform.identity import Role


@pytest.fixture
def make_api(db: None) -> MakeApi:
    """Makes a client for somebody with the given roles."""
    from tests.api.client import Api, key_of

    def make(*roles: Role, scopes: tuple[str, ...] = ()) -> Api:
        return Api(key_of(*roles, scopes=scopes))

    return make


@pytest.fixture
def owner(make_api: MakeApi) -> Api:
    """A client with all rights."""
    from counterfoil.platform.identity import Role

    return make_api(Role.OWNER)
