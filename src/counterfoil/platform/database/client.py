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
            DatabaseUnavailable: nobody answers, or books cannot be kept there: see :func:`ensure_fit`.
        """
        connection = self._open()
        try:
            ensure_fit(connection)
        except DatabaseUnavailable:
            connection.close()
            raise
        return connection

    def maintenance(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection to the server that is not to our database, to create and rename databases."""
        try:
            return self.named("postgres")._open()
        except DatabaseUnavailable:
            return self.named("template1")._open()

    def _open(self) -> psycopg.Connection[tuple[Any, ...]]:
        import psycopg

        try:
            return psycopg.connect(self.conninfo, autocommit=True)
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(
                f"The database {self.dbname} does not answer: {str(error).strip()}",
                "Check the address, the user and the password in DATABASE_URL, and that the server is up.",
            ) from error

    @cached_property
    def major(self) -> int:
        """The server's major version."""
        with self.connect() as connection:
            return connection.info.server_version // 10000

    def program(self, name: str, at_least: int = 0) -> list[str]:
        """The start of a command line of ``pg_dump``, ``pg_restore`` or ``psql``, not older than the server."""
        return [str(client_programs(max(self.major, at_least)) / name), f"--dbname={self.dbname}"]

    def environment(self) -> dict[str, str]:
        """Environment for PostgreSQL's programs: the address and the password, kept off the command line."""
        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "sslmode": "PGSSLMODE"}
        names |= {"sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY", "options": "PGOPTIONS"}
        keep = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        return keep | {names[key]: value for key, value in self.params.items() if key in names}


def ensure_fit(connection: psycopg.Connection[Any]) -> None:
    """Refuse a database that cannot hold the books.

    Raises:
        DatabaseUnavailable: the server is older than PostgreSQL 15, or the database's encoding is not UTF8.
    """
    found = connection.info.server_version // 10000
    if found < MINIMUM_MAJOR:
        raise DatabaseUnavailable(
            f"The server runs PostgreSQL {found}; Counterfoil needs {MINIMUM_MAJOR} or newer.",
            "Upgrade the server, or leave DATABASE_URL out to use the embedded database.",
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        name = connection.info.dbname
        raise DatabaseUnavailable(
            f"The database {name} has the encoding {encoding}, which not every name can be written in.",
            f"Make it anew: CREATE DATABASE \"{name}\" ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0;",
        )


def ensure_tables_can_be_made(connection: psycopg.Connection[Any]) -> None:
    """Refuse to make tables where they may not be made, or where a backup would not look for them.

    Raises:
        DatabaseUnavailable: the user may not create in the schema ``public``, or another schema comes before it.
    """
    row = connection.execute("SELECT current_schema(), has_schema_privilege(current_schema(), 'CREATE')").fetchone()
    schema, may_create = row or (None, None)
    user, name = connection.info.user, connection.info.dbname
    if schema not in {None, "public"}:
        raise DatabaseUnavailable(
            f"Tables would be made in the schema {schema}; Counterfoil keeps its own in public.",
            f'Run: ALTER ROLE "{user}" IN DATABASE "{name}" SET search_path = public;',
        )
    if not may_create:
        raise DatabaseUnavailable(
            f"The user {user} may not make tables in the database {name}.",
            f'Run as the server\'s administrator: ALTER DATABASE "{name}" OWNER TO "{user}";',
        )


def client_programs(at_least: int) -> Path:
    """The folder with client programs that can dump a server of the major version ``at_least``, and read its dumps.

    Programs must not be older than the server, nor than the program that made a dump. The nearest version wins: a dump
    made by a much newer program can say things that the server does not understand.

    Raises:
        DatabaseUnavailable: none is new enough.
    """
    found = [(major, folder) for major, folder in _installed_clients() if major >= at_least]
    if found:
        return min(found, key=lambda pair: pair[0])[1]
    raise DatabaseUnavailable(
        f"No pg_dump, pg_restore and psql of version {at_least} or newer were found, which the database needs.",
        f"Install them (Debian: apt-get install postgresql-client-{at_least}) and see that they are on PATH.",
    )


def client_major(folder: Path) -> int | None:
    """The major version of the client programs in ``folder``."""
    said = subprocess.run([str(folder / "pg_dump"), "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"\(PostgreSQL\) (\d+)", said.stdout)
    return int(match[1]) if match else None


def _installed_clients() -> Iterator[tuple[int, Path]]:
    folders = []
    if on_path := shutil.which("pg_dump"):
        folders.append(Path(on_path).parent)
    # Debian's pg_dump on PATH is a wrapper; the real ones lie here.
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    # Those that come with the embedded database speak no TLS, so of the same version the others are better.
    with suppress(DatabaseUnavailable):
        folders.append(wheel_folder() / "bin")
    for folder in folders:
        whole = all((folder / name).exists() for name in ("pg_dump", "pg_restore", "psql"))
        if whole and (major := client_major(folder)):
            yield major, folder
