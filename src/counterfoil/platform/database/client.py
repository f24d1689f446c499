"""Talking to the database without Django: one connection, and PostgreSQL's own programs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from counterfoil.platform.config import Config
from counterfoil.platform.database import django_databases
from counterfoil.platform.database.embedded import DatabaseUnavailable, EmbeddedServer, wheel_folder

if TYPE_CHECKING:
    import psycopg

MINIMUM_MAJOR = 15


@dataclass(frozen=True)
class Address:
    """Where the database is, in libpq's words, and its name."""

    dbname: str
    params: dict[str, str]

    @classmethod
    def of(cls, config: Config, dbname: str | None = None) -> Address:
        """The address of the configured database (or of another one on the same server); starts the embedded server.

        Raises:
            ConfigError: the embedded server cannot be started, or ``DATABASE_URL`` cannot be used.
        """
        default = django_databases(config)["default"]
        if config.database_url is None:
            params = EmbeddedServer.current().ensure_running().connect_args()
        else:
            options = {key: value for key, value in default["OPTIONS"].items() if key != "pool"}
            named = {key: default[key.upper()] for key in ("host", "port", "user", "password")}
            params = {key: str(value) for key, value in (options | named).items() if value}
        return cls(dbname or default["NAME"], params)

    @property
    def conninfo(self) -> str:
        """The address as libpq reads it."""
        from psycopg.conninfo import make_conninfo

        return make_conninfo(**{"connect_timeout": "10", **self.params, "dbname": self.dbname})

    def named(self, dbname: str) -> Address:
        """Another database on the same server."""
        return Address(dbname, self.params)

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """An autocommit connection.

        Raises:
            DatabaseUnavailable: nobody answers, or the server is older than PostgreSQL 15.
        """
        import psycopg

        try:
            connection = psycopg.connect(self.conninfo, autocommit=True)
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(
                f"The database {self.dbname} does not answer: {str(error).strip()}",
                "Check the address, the user and the password in DATABASE_URL, and that the server is up.",
            ) from error
        if connection.info.server_version < MINIMUM_MAJOR * 10000:
            found = connection.info.server_version // 10000
            connection.close()
            raise DatabaseUnavailable(
                f"The server runs PostgreSQL {found}; Counterfoil needs {MINIMUM_MAJOR} or newer.",
                "Upgrade the server, or leave DATABASE_URL out to use the embedded database.",
            )
        return connection

    def maintenance(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection to the server that is not to our database, to create and rename databases."""
        try:
            return self.named("postgres").connect()
        except DatabaseUnavailable:
            return self.named("template1").connect()

    @cached_property
    def major(self) -> int:
        """The server's major version."""
        with self.connect() as connection:
            return connection.info.server_version // 10000

    def program(self, name: str) -> list[str]:
        """The start of a command line of ``name`` (``pg_dump``, ``pg_restore``, ``psql``) that fits the server."""
        return [str(client_programs(self.major) / name), f"--dbname={self.dbname}"]

    def environment(self) -> dict[str, str]:
        """Environment for PostgreSQL's programs: the address and the password, kept off the command line."""
        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "sslmode": "PGSSLMODE"}
        names |= {"sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY", "options": "PGOPTIONS"}
        keep = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        return keep | {names[key]: value for key, value in self.params.items() if key in names}


def client_programs(server_major: int) -> Path:
    """The folder with client programs that can dump a server of ``server_major`` (they must not be older than it).

    The nearest version wins: a dump made by a much newer program can say things that the server does not understand.

    Raises:
        DatabaseUnavailable: none is new enough.
    """
    found = [(major, folder) for major, folder in _installed_clients() if major >= server_major]
    if found:
        return min(found, key=lambda pair: pair[0])[1]
    raise DatabaseUnavailable(
        f"No pg_dump of version {server_major} or newer was found, which the server needs.",
        f"Install it (Debian: apt-get install postgresql-client-{server_major}) and see that it is on PATH.",
    )


def _installed_clients() -> Iterator[tuple[int, Path]]:
    folders = []
    with suppress(DatabaseUnavailable):
        folders.append(wheel_folder() / "bin")
    if on_path := shutil.which("pg_dump"):
        folders.append(Path(on_path).parent)
    # Debian's pg_dump on PATH is a wrapper; the real ones lie here.
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    for folder in folders:
        if all((folder / name).exists() for name in ("pg_dump", "pg_restore", "psql")):
            said = subprocess.run([str(folder / "pg_dump"), "--version"], capture_output=True, text=True, check=False)
            if match := re.search(r"\(PostgreSQL\) (\d+)", said.stdout):
                yield int(match[1]), folder
