"""What the environment says, read once into one frozen value.

Every variable that Counterfoil looks at is here (and in ``docs/operating.md``); nothing else reads ``os.environ``.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})


class ConfigError(Exception):
    """The environment or the data folder is not usable as it is; the message says what to do."""

    code = "configuration"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class MailServer:
    """An SMTP server (``COUNTERFOIL_SMTP_*``)."""

    host: str
    port: int
    user: str
    password: str
    tls: bool


@dataclass(frozen=True, slots=True)
class SigningFiles:
    """A certificate with its key (``COUNTERFOIL_SIGNING_*``): in one PKCS#12 file, or in PEM files."""

    certificate: Path
    #: ``None`` when the certificate's file is PKCS#12 and holds it.
    key: Path | None
    passphrase: str


@dataclass(frozen=True, slots=True)
class Config:
    """The installation as the environment describes it."""

    data_dir: Path
    #: External PostgreSQL; ``None`` means the embedded one in ``data_dir``.
    database_url: str | None
    #: Off only for throwaway data (tests): an unsafe server is faster and may lose everything when the machine stops.
    database_durable: bool
    debug: bool
    hosts: tuple[str, ...]
    #: Public address, ``https://books.example.com``; used for CSRF and for links in mail.
    origin: str | None
    #: The browser reaches us over TLS, directly or through a proxy.
    tls: bool
    #: A proxy in front sets ``X-Forwarded-Proto`` and ``X-Forwarded-For``.
    behind_proxy: bool
    #: Set by ``counterfoil serve`` for its workers: pooled connections, static files from the collected folder.
    serving: bool
    secret_key: str | None
    mail: MailServer | None
    mail_from: str
    #: What accepted quotes are signed with; ``None`` means the certificate made in ``data_dir``.
    signing: SigningFiles | None
    log_level: str
    #: Who acts when a command does not say ``--as`` (an e-mail address).
    user: str | None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Config:
        """Read ``environ``.

        Raises:
            ConfigError: a variable has a value that cannot be used.
        """
        origin = environ.get("COUNTERFOIL_ORIGIN", "").rstrip("/") or None
        if origin and not origin.startswith(("http://", "https://")):
            raise ConfigError(
                f"COUNTERFOIL_ORIGIN is {origin!r}, which is no web address.",
                "Give it with its scheme, for example COUNTERFOIL_ORIGIN=https://books.example.com",
            )
        hosts = tuple(h.strip() for h in environ.get("COUNTERFOIL_HOSTS", "").split(",") if h.strip())
        if "*" in hosts:
            raise ConfigError(
                "COUNTERFOIL_HOSTS may not be '*': any host name would be believed.",
                "List the names that people type, for example COUNTERFOIL_HOSTS=books.example.com",
            )
        if not hosts and origin:
            hosts = (origin.split("://", 1)[1].split("/", 1)[0].rsplit(":", 1)[0],)
        return cls(
            data_dir=data_folder(environ),
            database_url=environ.get("DATABASE_URL") or None,
            database_durable=not _flag(environ, "COUNTERFOIL_THROWAWAY_DATABASE"),
            debug=_flag(environ, "COUNTERFOIL_DEBUG"),
            hosts=hosts + tuple(h for h in LOOPBACK_HOSTS if h not in hosts),
            origin=origin,
            tls=_flag(environ, "COUNTERFOIL_TLS") or bool(origin and origin.startswith("https://")),
            behind_proxy=_flag(environ, "COUNTERFOIL_BEHIND_PROXY"),
            serving=_flag(environ, "COUNTERFOIL_SERVING"),
            secret_key=environ.get("COUNTERFOIL_SECRET_KEY") or None,
            mail=_mail_server(environ),
            mail_from=environ.get("COUNTERFOIL_MAIL_FROM", "Counterfoil <counterfoil@localhost>"),
            signing=_signing_files(environ),
            log_level=environ.get("COUNTERFOIL_LOG_LEVEL", "INFO").upper(),
            user=environ.get("COUNTERFOIL_USER") or None,
        )


def data_folder(environ: Mapping[str, str]) -> Path:
    """``COUNTERFOIL_DATA``, else ``counterfoil`` in the user's XDG data folder."""
    if named := environ.get("COUNTERFOIL_DATA"):
        return Path(named).expanduser().absolute()
    base = environ.get("XDG_DATA_HOME")
    # The XDG specification says that a relative path is to be ignored.
    home = Path(base) if base and Path(base).is_absolute() else Path.home() / ".local" / "share"
    return home / "counterfoil"


@cache
def current() -> Config:
    """The configuration of this process."""
    return Config.from_environment(os.environ)


def make_private_folder(folder: Path) -> None:
    """Create ``folder`` (and its parents); it is readable by its owner alone when it is new.

    Raises:
        ConfigError: it cannot be created or written to.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigError(f"{folder} is needed as a folder, but a file is in the way.") from error
    except OSError as error:
        raise ConfigError(
            f"The folder {folder} cannot be created: {error.strerror}.",
            "Choose another with COUNTERFOIL_DATA=/path/to/folder, or let its owner give you the right to write there.",
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(
            f"The folder {folder} is not writable for this user.",
            "Choose another with COUNTERFOIL_DATA=/path/to/folder, or let its owner give you the right to write there.",
        )


def secret_key_path(data_dir: Path) -> Path:
    """Where the generated secret key lives."""
    return data_dir / "secret-key"


def load_secret_key(data_dir: Path) -> str:
    """The installation's secret key; made on first use, mode 0600, the same for processes that start at once.

    Raises:
        ConfigError: the key can be read by others, is empty, or cannot be written.
    """
    path = secret_key_path(data_dir)
    if not path.exists():
        _create_secret_key(path)
    return _read_secret_key(path)


def _create_secret_key(path: Path) -> None:
    import secrets

    publish_private_file(path, f"{secrets.token_urlsafe(64)}\n".encode(), "The secret key")


def publish_private_file(path: Path, content: bytes, what: str) -> None:
    """Write a file that its owner alone can read, whole or not at all; one that is there already stays.

    Args:
        path: of the file; its folder is made.
        content: what it holds.
        what: names it in a refusal: ``The secret key``.

    Raises:
        ConfigError: it cannot be written.
    """
    make_private_folder(path.parent)
    try:
        # mkstemp makes the file with mode 0600; link() then publishes it whole, or not at all if another was first.
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    except OSError as error:
        raise ConfigError(f"{what} cannot be written to {path.parent}: {error.strerror}.") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(name, path)
    except OSError as error:
        raise ConfigError(f"{what} cannot be written to {path}: {error.strerror}.") from error
    finally:
        os.unlink(name)


def _read_secret_key(path: Path) -> str:
    try:
        with path.open(encoding="ascii") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            key = file.read().strip()
    except OSError as error:
        raise ConfigError(f"The secret key {path} cannot be read: {error.strerror}.") from error
    if mode & 0o077:
        raise ConfigError(
            f"The secret key {path} can be read by other users of this machine (mode {mode:04o}).",
            f"Run: chmod 600 {path}   If others had the time to read it, delete it instead: a new one is made, "
            "and everybody signs in again.",
        )
    if len(key) < 32:
        raise ConfigError(f"The secret key {path} is too short to be one.", "Delete the file: a new one is made.")
    return key


def _flag(environ: Mapping[str, str], name: str) -> bool:
    value = environ.get(name, "").strip().lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise ConfigError(f"{name} is {value!r}; write 1 or 0.")


def _mail_server(environ: Mapping[str, str]) -> MailServer | None:
    host = environ.get("COUNTERFOIL_SMTP_HOST")
    if not host:
        return None
    port = environ.get("COUNTERFOIL_SMTP_PORT", "587")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(f"COUNTERFOIL_SMTP_PORT is {port!r}, which is no port number.")
    return MailServer(
        host=host,
        port=int(port),
        user=environ.get("COUNTERFOIL_SMTP_USER", ""),
        password=environ.get("COUNTERFOIL_SMTP_PASSWORD", ""),
        tls=_flag(environ, "COUNTERFOIL_SMTP_TLS") if "COUNTERFOIL_SMTP_TLS" in environ else True,
    )


def _signing_files(environ: Mapping[str, str]) -> SigningFiles | None:
    pkcs12, certificate, key = (environ.get(f"COUNTERFOIL_SIGNING_{name}") for name in ("PKCS12", "CERTIFICATE", "KEY"))
    if not (pkcs12 or certificate or key):
        return None
    if bool(pkcs12) == bool(certificate) or bool(certificate) != bool(key):
        raise ConfigError(
            "A signing certificate is given in one file or in two, not partly.",
            "Set COUNTERFOIL_SIGNING_PKCS12, or both COUNTERFOIL_SIGNING_CERTIFICATE and COUNTERFOIL_SIGNING_KEY.",
        )
    passphrase = environ.get("COUNTERFOIL_SIGNING_PASSPHRASE", "")
    return SigningFiles(Path(pkcs12 or certificate or ""), Path(key) if key else None, passphrase)
