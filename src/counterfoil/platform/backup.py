"""Backup and restore.

A backup is one tar file (mode 0600, as it holds the books)::

    manifest.json    format, versions of Counterfoil and PostgreSQL, when, the migrations it needs, the dump's checksum
    database.dump    pg_dump's custom format, a consistent snapshot taken while others go on working

Everything Counterfoil keeps is in the database. The secret key is left out on purpose: who finds a backup shall not
be able to forge sessions. After a restore on another machine a new key is made and everybody signs in again.

A restore loads into a new database beside the present one and swaps the two by name at the very end: whatever goes
wrong before that leaves the present database as it is.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg import sql

from counterfoil import __version__
from counterfoil.platform.config import Config, ConfigError
from counterfoil.platform.database.client import Address, client_major, client_programs

FORMAT = 1
_MANIFEST = "manifest.json"
_DUMP = "database.dump"
_BLOCK = 1 << 20


class BackupError(ConfigError):
    """A backup or a restore that was refused or failed; nothing has changed."""

    code = "backup"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says about itself. Programs that read it must not be older than ``postgresql``, which wrote it."""

    format: int
    counterfoil: str
    postgresql: int
    created_at: str
    migrations: list[str]
    dump_sha256: str
    dump_bytes: int


def back_up(config: Config, target: Path, *, now: datetime) -> Manifest:
    """Write a backup of the whole database to ``target``; it appears whole or not at all.

    Raises:
        BackupError: there is nothing to back up, or it cannot be written.
        DatabaseUnavailable: the database does not answer, or no fitting pg_dump is installed.
    """
    address = Address.of(config)
    with address.connect() as connection:
        migrations = _migrations(connection)
    if not migrations:
        raise BackupError("The database is empty: there is nothing to back up.")
    if not target.parent.is_dir():
        raise BackupError(f"The folder {target.parent} does not exist.", "Make it first, or choose another.")
    try:
        with tempfile.TemporaryDirectory(prefix=".counterfoil-backup-", dir=target.parent) as scratch:
            dump = Path(scratch) / _DUMP
            _run(address, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={dump}")
            manifest = Manifest(
                format=FORMAT,
                counterfoil=__version__,
                postgresql=client_major(client_programs(address.major)) or address.major,
                created_at=now.isoformat(timespec="seconds"),
                migrations=migrations,
                dump_sha256=_sha256(dump),
                dump_bytes=dump.stat().st_size,
            )
            archive = Path(scratch) / "archive"
            _write_archive(archive, manifest, dump)
            os.replace(archive, target)
    except OSError as error:
        raise BackupError(f"The backup cannot be written to {target}: {error.strerror}.") from error
    return manifest


def try_programs(address: Address) -> None:
    """See that PostgreSQL's programs reach the database, as a backup and a restore need.

    Raises:
        BackupError: they do not; those of the embedded database, for one, speak no TLS.
        DatabaseUnavailable: none is new enough.
    """
    _run(address, "psql", "--no-psqlrc", "--quiet", "--command=SELECT 1")


def read_manifest(source: Path) -> Manifest:
    """What a backup file says about itself.

    Raises:
        BackupError: it is no backup of ours, or of a format this version does not know.
    """
    try:
        with tarfile.open(source, "r:") as archive:
            member = archive.extractfile(_MANIFEST)
            fields: dict[str, Any] = json.load(member) if member else {}
        manifest = Manifest(**fields)
    except OSError as error:
        raise BackupError(f"{source} cannot be read: {error.strerror}.") from error
    except (tarfile.TarError, KeyError, ValueError, TypeError) as error:
        raise BackupError(
            f"{source} is no backup of Counterfoil.", "Give a file that 'counterfoil backup' made."
        ) from error
    if manifest.format != FORMAT:
        raise BackupError(
            f"{source} has the format {manifest.format}; this version reads {FORMAT}.",
            f"Restore it with Counterfoil {manifest.counterfoil}.",
        )
    return manifest


def restore(
    config: Config,
    source: Path,
    *,
    force: bool,
    now: datetime,
    known_migrations: Callable[[], set[str]],
) -> Manifest:
    """Replace the database by the one in ``source``.

    Args:
        config: where the database is.
        source: a file that :func:`back_up` wrote.
        force: replace a database that has something in it.
        now: names the databases that exist on the way.
        known_migrations: what this version can work with; a newer backup is refused.

    Raises:
        BackupError: the file is damaged or too new, the database is not empty, or PostgreSQL refused; the present
            database is as it was.
        DatabaseUnavailable: the database does not answer.
    """
    manifest = read_manifest(source)
    if unknown := set(manifest.migrations) - known_migrations():
        raise BackupError(
            f"The backup was made by a newer version ({manifest.counterfoil}): it has {sorted(unknown)[0]} and others "
            "that this version does not know.",
            f"Install Counterfoil {manifest.counterfoil} or newer.",
        )
    address = Address.of(config)
    with address.connect() as connection:
        if not force and _tables(connection):
            raise BackupError(
                f"The database {address.dbname} is not empty, and a restore replaces all of it.",
                "Back it up first, then add --force. Or restore into another data folder: COUNTERFOIL_DATA=/new/folder",
            )
        _ensure_owned(connection)
        kind = _kind(connection)
    stamp = now.strftime("%Y%m%d%H%M%S")
    fresh, old = f"{address.dbname}_restore_{stamp}", f"{address.dbname}_before_{stamp}"
    with address.maintenance() as server:
        _create_database(server, fresh, kind)
        try:
            _load(address.named(fresh), source, manifest)
            _check_loaded(address.named(fresh), manifest)
            _swap(server, present=address.dbname, fresh=fresh, old=old)
        except BaseException:
            _drop(server, fresh)
            raise
        _drop(server, old)
    return manifest


# -- steps ------------------------------------------------------------------------------------------------------------


def _write_archive(path: Path, manifest: Manifest, dump: Path) -> None:
    text = json.dumps(asdict(manifest), indent=2).encode()
    with path.open("xb") as file:
        os.fchmod(file.fileno(), 0o600)
        with tarfile.open(fileobj=file, mode="w") as archive:
            info = tarfile.TarInfo(_MANIFEST)
            info.size, info.mode = len(text), 0o600
            archive.addfile(info, io.BytesIO(text))
            archive.add(dump, _DUMP, filter=_anonymous)
        file.flush()
        os.fsync(file.fileno())


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o600
    return info


def _load(address: Address, source: Path, manifest: Manifest) -> None:
    """Turn the dump into SQL and run it in one transaction.

    Going through SQL, and not straight from pg_restore into the database, lets a newer program's dump into an older
    server: the one setting that PostgreSQL 17 brought is left out.
    """
    with tempfile.TemporaryDirectory(prefix="counterfoil-restore-") as scratch:
        dump = Path(scratch) / _DUMP
        with tarfile.open(source, "r:") as archive, dump.open("wb") as copy:
            member = archive.extractfile(_DUMP)
            if member is None:
                raise BackupError(f"{source} holds no database.")
            while block := member.read(_BLOCK):
                copy.write(block)
        if _sha256(dump) != manifest.dump_sha256:
            raise BackupError(f"{source} is damaged: its checksum is not the one it was written with.")
        reader = [*address.program("pg_restore", manifest.postgresql)[:1], "--no-owner", "--no-privileges"]
        writer = [*address.program("psql"), "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"]
        _pipe([*reader, "--file=-", str(dump)], [*writer, "--output=/dev/null"], address.environment())


def _pipe(reader: list[str], writer: list[str], environment: dict[str, str]) -> None:
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(reader, stdout=subprocess.PIPE, stderr=complaints, env=environment) as source,
        subprocess.Popen(writer, stdin=subprocess.PIPE, stderr=complaints, env=environment) as target,
    ):
        assert source.stdout is not None
        assert target.stdin is not None
        feeder = threading.Thread(target=_feed, args=(source.stdout, target.stdin))
        feeder.start()
        feeder.join()
        failed = source.wait() != 0
        failed = target.wait() != 0 or failed
        if failed:
            complaints.seek(0)
            said = complaints.read().decode(errors="replace").strip()
            raise BackupError(f"The backup could not be loaded. PostgreSQL says:\n{said[-2000:]}", _mend(said))


def _feed(source: IO[bytes], target: IO[bytes]) -> None:
    try:
        preamble = True
        for line in source:
            if preamble and line.startswith(b"SET transaction_timeout"):
                continue
            # Settings stand before the first object; rows of tables are left alone.
            preamble = preamble and not line.startswith((b"CREATE ", b"COPY "))
            target.write(line)
    except BrokenPipeError:
        pass  # psql stopped at an error, which it has printed
    finally:
        with suppress(BrokenPipeError):
            target.close()
        source.close()  # a pg_restore that has more to say would wait for ever


def _check_loaded(address: Address, manifest: Manifest) -> None:
    with address.connect() as connection:
        if _migrations(connection) != manifest.migrations:
            raise BackupError("The restored database does not hold what the backup's manifest says.")
        connection.execute("ANALYZE")


def _swap(server: psycopg.Connection[tuple[Any, ...]], *, present: str, fresh: str, old: str) -> None:
    """Give ``fresh`` the name ``present``. The two renames are one transaction: both happen or none."""
    try:
        _shut_out(server, present)
        _shut_out(server, fresh)
        with server.transaction():
            _rename(server, present, old)
            _rename(server, fresh, present)
    except psycopg.Error as error:
        _let_in(server, present)
        in_use = isinstance(error, psycopg.errors.ObjectInUse)
        raise BackupError(
            f"The restored database could not take its place: {error}",
            "Whoever is connected as another user has to leave first; pg_stat_activity tells who." if in_use else None,
        ) from error
    _let_in(server, present)


def _shut_out(server: psycopg.Connection[tuple[Any, ...]], name: str) -> None:
    server.execute(sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
    # A vacuum that is there gives way by itself to what follows. Only the server's administrator may end it, and
    # whoever else tries (WITH (FORCE) does too) is refused.
    server.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = %s AND pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker'",
        [name],
    )


def _let_in(server: psycopg.Connection[tuple[Any, ...]], name: str) -> None:
    server.execute(sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true").format(sql.Identifier(name)))


def _rename(server: psycopg.Connection[tuple[Any, ...]], name: str, new: str) -> None:
    server.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(name), sql.Identifier(new)))


def _drop(server: psycopg.Connection[tuple[Any, ...]], name: str) -> None:
    _shut_out(server, name)
    server.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def _ensure_owned(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Only who owns a database may rename it, which is the last step: better to know before the first."""
    row = connection.execute(
        "SELECT pg_has_role(datdba, 'USAGE'), pg_get_userbyid(datdba) FROM pg_database"
        " WHERE datname = current_database()"
    ).fetchone()
    if row and not row[0]:
        name, user = connection.info.dbname, connection.info.user
        raise BackupError(
            f"The database {name} belongs to {row[1]}, and a restore, which renames it, needs its owner.",
            f'Run as the server\'s administrator: ALTER DATABASE "{name}" OWNER TO "{user}";',
        )


def _kind(connection: psycopg.Connection[tuple[Any, ...]]) -> sql.Composable:
    """How to create a database that encodes and sorts as this one: what template0 does may be something else."""
    row = connection.execute(
        "SELECT pg_encoding_to_char(encoding), datcollate, datctype, datlocprovider::text,"
        # PostgreSQL 17 has renamed the column.
        " coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')"
        " FROM pg_database d WHERE datname = current_database()"
    ).fetchone()
    assert row is not None
    encoding, collate, ctype, provider, locale = row
    words = {
        "c": sql.SQL("LOCALE_PROVIDER libc"),
        "i": sql.SQL("LOCALE_PROVIDER icu ICU_LOCALE {}").format(locale),
        "b": sql.SQL("LOCALE_PROVIDER builtin BUILTIN_LOCALE {}").format(locale),
    }
    return sql.SQL("ENCODING {} LC_COLLATE {} LC_CTYPE {} ").format(encoding, collate, ctype) + words[provider]


def _create_database(server: psycopg.Connection[tuple[Any, ...]], name: str, kind: sql.Composable) -> None:
    try:
        server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 {}").format(sql.Identifier(name), kind))
    except psycopg.errors.InsufficientPrivilege as error:
        raise BackupError(
            "This user of the database may not create another one, which a restore needs.",
            'Run as its administrator: ALTER ROLE "the user" CREATEDB;',
        ) from error
    except psycopg.Error as error:
        raise BackupError(f"The database for the restore could not be made: {error}") from error


def _tables(connection: psycopg.Connection[tuple[Any, ...]]) -> int:
    row = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    return int(row[0]) if row else 0


def _migrations(connection: psycopg.Connection[tuple[Any, ...]]) -> list[str]:
    if connection.execute("SELECT to_regclass('public.django_migrations')").fetchone() == (None,):
        return []
    rows = connection.execute("SELECT app || '.' || name FROM django_migrations ORDER BY 1").fetchall()
    return [row[0] for row in rows]


def _run(address: Address, name: str, *args: str) -> None:
    done = subprocess.run(
        [*address.program(name), *args], env=address.environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BackupError(f"{name} failed. It says:\n{done.stderr.strip()[-2000:]}", _mend(done.stderr))


def _mend(said: str) -> str | None:
    if "SSL support is not compiled in" in said:
        return (
            "The programs that come with the embedded database speak no TLS. "
            "Install the server's own (Debian: apt-get install postgresql-client)."
        )
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
