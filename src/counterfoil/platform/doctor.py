"""Looks at the environment and says how to mend what is wrong.

Each check stands alone: one that fails does not keep the others from being made, and none of them changes anything but
starting the embedded database.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from smtplib import SMTPException

from counterfoil.platform import config
from counterfoil.platform.database.client import Address, client_programs, ensure_tables_can_be_made

MINIMUM_PYTHON = (3, 11)
MINIMUM_FREE = 500_000_000
#: Seconds that the database's clock and ours may differ.
CLOCK_TOLERANCE = 5
#: Before this the clock cannot be right: a machine that lost its battery starts in 1970 or at the time of its build.
EARLIEST = 1_763_000_000


class Health(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"  # works, but worth knowing
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    check: str
    health: Health
    message: str
    mend: str | None = None


Check = Callable[[config.Config], Iterator[Finding]]


def examine(settings: config.Config) -> list[Finding]:
    """Make every check."""
    findings: list[Finding] = []
    for name, check in CHECKS.items():
        try:
            findings += check(settings)
        except config.ConfigError as error:
            findings.append(Finding(name, Health.BROKEN, error.message, error.hint))
        except Exception as error:  # a check that breaks is a finding too
            findings.append(Finding(name, Health.BROKEN, f"{type(error).__name__}: {error}"))
    return findings


def _python(_: config.Config) -> Iterator[Finding]:
    found = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < MINIMUM_PYTHON:
        yield Finding("python", Health.BROKEN, f"Python {found} is too old.", "Install Python 3.11 or newer.")
    else:
        yield Finding("python", Health.OK, f"Python {found}")


def _packages(_: config.Config) -> Iterator[Finding]:
    from packaging.requirements import Requirement

    missing = []
    needed = [Requirement(line) for line in metadata.requires("counterfoil") or []]
    for requirement in needed:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            missing.append(f"{requirement} is missing")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            missing.append(f"{requirement.name} is {found}, needed is {requirement.specifier}")
    if missing:
        yield Finding("packages", Health.BROKEN, "; ".join(missing), "Run: pip install --upgrade counterfoil")
    else:
        yield Finding("packages", Health.OK, f"counterfoil {metadata.version('counterfoil')} with all it needs")


def _data_folder(settings: config.Config) -> Iterator[Finding]:
    folder = settings.data_dir
    config.make_private_folder(folder)
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o066:
        yield Finding(
            "data folder",
            Health.NOTE,
            f"{folder} can be listed or written to by other users of this machine (mode {mode:04o}).",
            f"Run: chmod go-rw {folder}",
        )
    else:
        yield Finding("data folder", Health.OK, str(folder))


def _disk(settings: config.Config) -> Iterator[Finding]:
    free = shutil.disk_usage(settings.data_dir).free
    if free < MINIMUM_FREE:
        yield Finding(
            "disk",
            Health.BROKEN,
            f"Only {free / 1e6:,.0f} MB are free where the data folder is.",
            "Free some space, or move the data folder (COUNTERFOIL_DATA).",
        )
    else:
        yield Finding("disk", Health.OK, f"{free / 1e9:,.1f} GB free")


def _secret_key(settings: config.Config) -> Iterator[Finding]:
    if settings.secret_key:
        yield Finding("secret key", Health.OK, "from COUNTERFOIL_SECRET_KEY")
        return
    config.load_secret_key(settings.data_dir)
    yield Finding("secret key", Health.OK, f"{config.secret_key_path(settings.data_dir)}, for its owner alone")


def _signing(settings: config.Config) -> Iterator[Finding]:
    from counterfoil.platform.signing import ensure_certificate

    found = ensure_certificate(settings)
    ends = found.certificate.not_valid_after_utc
    made_here = "" if settings.signing else ", made here: readers of PDFs do not know whose it is"
    text = f"{found.subject}, fingerprint {found.sha256[:16]}…, until {ends:%Y-%m-%d}{made_here}"
    if ends.timestamp() < time.time():
        yield Finding("signing", Health.BROKEN, f"The certificate has expired: {text}", "Get a new one.")
    else:
        yield Finding("signing", Health.OK, text)


def _database(settings: config.Config) -> Iterator[Finding]:
    address = Address.of(settings)
    started = time.perf_counter()
    with address.connect() as connection:
        took = (time.perf_counter() - started) * 1000
        row = connection.execute(
            "SELECT current_setting('server_version'), extract(epoch FROM now())::float8"
        ).fetchone()
        now = time.time()
    assert row is not None
    kind = "embedded" if settings.database_url is None else "yours (DATABASE_URL)"
    yield Finding("database", Health.OK, f"PostgreSQL {row[0].split()[0]}, {kind}, connects in {took:.0f} ms")
    drift = abs(now - row[1])
    if drift > CLOCK_TOLERANCE:
        yield Finding(
            "clock",
            Health.BROKEN,
            f"The clocks of this machine and of the database differ by {drift:,.0f} seconds.",
            "Let both take the time from the network: timedatectl set-ntp true",
        )
    elif now < EARLIEST:
        yield Finding("clock", Health.BROKEN, f"The clock says {time.ctime(now)}.", "Set it: timedatectl set-ntp true")
    else:
        yield Finding("clock", Health.OK, time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now)))


def _migrations(settings: config.Config) -> Iterator[Finding]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "counterfoil.conf.settings")
    import django

    django.setup()
    from counterfoil.platform.database.migrations import pending_migrations, unknown_migrations

    if unknown := unknown_migrations():
        yield Finding(
            "migrations",
            Health.BROKEN,
            f"The database was made by a newer version: {unknown[0]} is not known here.",
            "Install the newer version: pip install --upgrade counterfoil",
        )
    elif pending := pending_migrations():
        with Address.of(settings).connect() as connection:
            ensure_tables_can_be_made(connection)
        yield Finding("migrations", Health.BROKEN, f"{len(pending)} have not run yet.", "Run: counterfoil db migrate")
    else:
        yield Finding("migrations", Health.OK, "all have run")


def _mail(settings: config.Config) -> Iterator[Finding]:
    from counterfoil.platform.mail import greet

    if settings.mail is None:
        yield Finding(
            "mail",
            Health.NOTE,
            "no mail server is configured, so invoices, links to quotes and codes cannot be sent.",
            "Set COUNTERFOIL_SMTP_HOST and COUNTERFOIL_MAIL_FROM.",
        )
        return
    server = f"{settings.mail.host}:{settings.mail.port}"
    try:
        greet(settings.mail)
    except (OSError, SMTPException) as error:
        yield Finding(
            "mail", Health.BROKEN, f"{server} cannot be used: {error}", "Check COUNTERFOIL_SMTP_* and the network."
        )
    else:
        yield Finding("mail", Health.OK, f"{server} takes mail from {settings.mail_from}")
    if settings.mail_from.endswith("@localhost>"):
        yield Finding(
            "mail",
            Health.NOTE,
            f"mail comes from {settings.mail_from}, which many servers refuse.",
            "Set COUNTERFOIL_MAIL_FROM, for example 'Northwind IT <billing@northwind.example>'.",
        )


def _backup_programs(settings: config.Config) -> Iterator[Finding]:
    from counterfoil.platform.backup import try_programs

    address = Address.of(settings)
    try_programs(address)
    yield Finding("backup", Health.OK, f"pg_dump and pg_restore in {client_programs(address.major)}")


def _test_programs(_: config.Config) -> Iterator[Finding]:
    for program, package in (("chromium", "chromium"), ("hledger", "hledger")):
        if found := shutil.which(program):
            yield Finding(program, Health.OK, found)
        else:
            yield Finding(program, Health.NOTE, "not installed; only tests need it", f"Run: apt-get install {package}")


CHECKS: dict[str, Check] = {
    "python": _python,
    "packages": _packages,
    "data folder": _data_folder,
    "disk": _disk,
    "secret key": _secret_key,
    "signing": _signing,
    "database": _database,
    "migrations": _migrations,
    "backup": _backup_programs,
    "mail": _mail,
    "tests": _test_programs,
}
