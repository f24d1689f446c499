"""The web server: granian runs our WSGI application, in worker processes with a few threads each."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from counterfoil.platform.config import ConfigError

#: Threads of a worker; the pool of database connections has room for all of them.
THREADS = 4


class ServerError(ConfigError):
    """The web server cannot be started like this."""

    code = "server"


@dataclass(frozen=True, slots=True)
class Listen:
    """Where and how to serve."""

    host: str
    port: int
    workers: int = 1
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False

    @property
    def tls(self) -> bool:
        """Whether we speak TLS ourselves."""
        return self.tls_cert is not None

    @property
    def url(self) -> str:
        """The address to type on this machine."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}/"

    def check(self) -> None:
        """Refuse what would be unsafe or cannot work.

        Raises:
            ServerError: passwords would cross the network in the clear, a key without its certificate, a busy port.
        """
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ServerError("TLS needs both a certificate and its key.", "Give --tls-cert and --tls-key.")
        for path in (self.tls_cert, self.tls_key):
            if path is not None and not os.access(path, os.R_OK):
                raise ServerError(f"{path} cannot be read.")
        if not (is_loopback(self.host) or self.tls or self.behind_proxy):
            raise ServerError(
                f"{self.host} can be reached from other machines, and without TLS passwords would cross the network "
                "in the clear.",
                "Give --tls-cert and --tls-key, or --behind-proxy if a proxy in front does TLS.",
            )
        self._try_port()

    def _try_port(self) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, self.port))
            except OSError as error:
                hints = {
                    errno.EADDRINUSE: "Something else serves there already. Choose another with --port.",
                    errno.EACCES: "Ports below 1024 need rights. Choose another with --port.",
                }
                raise ServerError(
                    f"{self.host}:{self.port} cannot be used: {error.strerror}.", hints.get(error.errno or 0)
                ) from error


def is_loopback(host: str) -> bool:
    """Whether ``host`` is reachable from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def environment(listen: Listen) -> dict[str, str]:
    """What the application has to know about how it is served."""
    told = {"COUNTERFOIL_SERVING": "1"}
    if listen.tls:
        told["COUNTERFOIL_TLS"] = "1"
    if listen.behind_proxy:
        told["COUNTERFOIL_BEHIND_PROXY"] = "1"
    return told


def run(listen: Listen) -> None:
    """Serve until a signal ends it. The environment must be set up and the database ready."""
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    Granian(
        "counterfoil.conf.wsgi:application",
        address=listen.host,
        port=listen.port,
        interface=Interfaces.WSGI,
        workers=listen.workers,
        blocking_threads=THREADS,
        websockets=False,
        log_level=LogLevels.error,
        ssl_cert=listen.tls_cert,
        ssl_key=listen.tls_key,
        respawn_failed_workers=True,
        workers_kill_timeout=10,
    ).serve()
