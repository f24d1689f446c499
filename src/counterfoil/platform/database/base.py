"""Django's PostgreSQL backend, with the address looked up at the moment of connecting.

``settings.DATABASES`` names this module as its ENGINE. With the embedded database, opening the first connection starts
the server (or attaches to the one that runs); importing the settings or printing a help text starts nothing.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql import base as postgresql

from counterfoil.platform import config
from counterfoil.platform.database.embedded import EmbeddedServer


class DatabaseWrapper(postgresql.DatabaseWrapper):
    """PostgreSQL, embedded or external."""

    def get_connection_params(self) -> dict[str, Any]:
        """Connection parameters; for the embedded database those of the running server."""
        params = super().get_connection_params()
        if config.current().database_url is None:
            params.update(EmbeddedServer.current().ensure_running().connect_args())
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """A connection; a pool keeps its parameters for life, so the server is looked after here too."""
        if config.current().database_url is None:
            EmbeddedServer.current().ensure_running()
        return super().get_new_connection(conn_params)
