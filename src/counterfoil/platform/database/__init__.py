"""PostgreSQL, always: an embedded one in the data folder, or yours with ``DATABASE_URL``."""

from __future__ import annotations

from typing import Any

from counterfoil.platform.config import Config, ConfigError
from counterfoil.platform.database.embedded import DATABASE, DatabaseUnavailable, EmbeddedServer

__all__ = ["DatabaseUnavailable", "EmbeddedServer", "django_databases"]


def django_databases(config: Config) -> dict[str, dict[str, Any]]:
    """Django's ``DATABASES``. Starts nothing: see :mod:`counterfoil.platform.database.base`.

    Raises:
        ConfigError: ``DATABASE_URL`` is no PostgreSQL address.
    """
    default: dict[str, Any] = {
        "ENGINE": "counterfoil.platform.database",
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"application_name": "counterfoil"},
    }
    if config.database_url is None:
        default |= {"NAME": DATABASE}
    else:
        default |= _external(config.database_url, default["OPTIONS"])
    if config.serving:
        # One connection a thread at most: `serve` runs fewer threads than this in each worker.
        default["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 16, "timeout": 10}
    else:
        default["CONN_MAX_AGE"] = 60
    return {"default": default}


def _external(url: str, options: dict[str, Any]) -> dict[str, Any]:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    if not url.startswith(("postgres://", "postgresql://")):
        raise ConfigError(
            "DATABASE_URL is no PostgreSQL address.",
            "Counterfoil needs PostgreSQL 15 or newer: DATABASE_URL=postgresql://user:password@host:5432/name",
        )
    try:
        parts = conninfo_to_dict(url)
    except ProgrammingError as error:
        raise ConfigError(f"DATABASE_URL cannot be read: {error}") from error
    named = {key: str(parts.pop(key, None) or "") for key in ("dbname", "user", "password", "host", "port")}
    if not named["dbname"]:
        raise ConfigError("DATABASE_URL names no database.", "Add it at the end: postgresql://user@host/counterfoil")
    return {
        "NAME": named["dbname"],
        "USER": named["user"],
        "PASSWORD": named["password"],
        "HOST": named["host"],
        "PORT": named["port"],
        "OPTIONS": options | {key: value for key, value in parts.items() if value is not None},
    }
