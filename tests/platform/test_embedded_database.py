"""The embedded PostgreSQL: started when needed, shared, never left half-dead."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from counterfoil.platform.config import ConfigError
from counterfoil.platform.database.embedded import DATABASE, DatabaseUnavailable, EmbeddedServer

#: Uses the server, says its pid, waits for a line (or the end) on standard input, and leaves.
USER_OF_THE_DATABASE = """
import sys
from pathlib import Path
from counterfoil.platform.database.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]), durable=False).ensure_running()
print(server.running().pid, flush=True)
sys.stdin.readline()
"""


class Process:
    """Another process that uses the database."""

    def __init__(self, folder: Path) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", USER_OF_THE_DATABASE, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def postmaster(self) -> int:
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        assert line, self.popen.stderr and self.popen.stderr.read()
        return int(line)

    def leave(self) -> None:
        self.popen.communicate("\n", timeout=60)
        assert self.popen.returncode == 0

    def kill(self) -> None:
        self.popen.kill()
        self.popen.communicate(timeout=60)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an initialised cluster."""
    folder = tmp_path_factory.mktemp("embedded") / "postgres"
    server = EmbeddedServer(folder, durable=False)
    server.ensure_running()
    server.stop()
    yield folder
    server.stop()


@pytest.fixture
def folder(prepared: Path) -> Iterator[Path]:
    """The same, with the server down before and after each test."""
    yield prepared
    EmbeddedServer(prepared).stop()


def write(folder: Path, text: str) -> None:
    server = EmbeddedServer(folder, durable=False).ensure_running()
    with psycopg.connect(**server.connect_args(), dbname=DATABASE) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS note (text text)")
        connection.execute("INSERT INTO note VALUES (%s)", [text])
    server.leave()


def read(server: EmbeddedServer) -> list[str]:
    with psycopg.connect(**server.connect_args(), dbname=DATABASE) as connection:
        return [row[0] for row in connection.execute("SELECT text FROM note ORDER BY 1").fetchall()]


def alive(pid: int) -> bool:
    """Whether the process runs (in a container nobody may clear away the dead ones)."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def processes_of(folder: Path) -> list[psutil.Process]:
    return EmbeddedServer(folder)._leftovers()


def test_it_runs_while_somebody_uses_it(folder: Path) -> None:
    first = Process(folder)
    pid = first.postmaster()
    assert alive(pid)
    second = Process(folder)
    assert second.postmaster() == pid, "the second process attaches to the running server"
    first.leave()
    assert alive(pid), "it stays while the second one uses it"
    second.leave()
    assert not alive(pid)
    assert processes_of(folder) == []


def test_a_killed_user_does_not_keep_it_up(folder: Path) -> None:
    killed = Process(folder)
    pid = killed.postmaster()
    killed.kill()
    assert alive(pid), "nobody could stop it"
    last = Process(folder)
    assert last.postmaster() == pid
    last.leave()
    assert not alive(pid)


def test_many_start_it_at_once(folder: Path) -> None:
    crowd = [Process(folder) for _ in range(6)]
    assert len({process.postmaster() for process in crowd}) == 1
    for process in crowd:
        process.leave()
    assert processes_of(folder) == []


def test_many_come_and_go(folder: Path) -> None:
    """Processes that leave just while others arrive: each one gets a working server."""
    crowd = []
    for _ in range(8):
        process = Process(folder)
        process.popen.stdin.write("\n")  # type: ignore[union-attr]
        process.popen.stdin.flush()  # type: ignore[union-attr]
        crowd.append(process)
        time.sleep(0.12)
    for process in crowd:
        process.leave()
    assert processes_of(folder) == []


def test_the_postmaster_is_killed(folder: Path) -> None:
    write(folder, "before the crash")
    server = EmbeddedServer(folder, durable=False).ensure_running()
    state = server.running()
    assert state is not None
    os.kill(state.pid, signal.SIGKILL)
    while alive(state.pid):
        time.sleep(0.01)
    server.ensure_running()
    again = server.running()
    assert again is not None
    assert again.pid != state.pid
    assert "before the crash" in read(server)
    server.leave()
    assert processes_of(folder) == []


@pytest.mark.parametrize("status", ["ready", "starting"])
def test_a_stale_pid_file_names_a_process_of_somebody_else(folder: Path, status: str) -> None:
    server = EmbeddedServer(folder, durable=False)
    # After a restart of the machine the number in the file may belong to anybody: here to this test.
    (server.cluster / "postmaster.pid").write_text(
        f"{os.getpid()}\n{server.cluster}\n1700000000\n5432\n{folder}/run\n\n  1 1\n{status}\n"
    )
    assert server.running() is None
    server.ensure_running()
    assert server.running() is not None
    server.leave()


def test_a_torn_pid_file(folder: Path) -> None:
    server = EmbeddedServer(folder, durable=False)
    (server.cluster / "postmaster.pid").write_text("12")
    server.ensure_running()
    assert server.running() is not None
    server.leave()


def test_it_stays_up_when_told(folder: Path) -> None:
    server = EmbeddedServer(folder, durable=False)
    server.keep()
    state = server.running()
    server.leave()
    assert EmbeddedServer(folder).running() == state
    user = Process(folder)
    assert state is not None
    assert user.postmaster() == state.pid
    user.leave()
    assert EmbeddedServer(folder).running() == state
    assert EmbeddedServer(folder).stop() is True
    assert EmbeddedServer(folder).running() is None
    assert EmbeddedServer(folder).stop() is False


def test_asking_starts_nothing(folder: Path) -> None:
    assert EmbeddedServer(folder).running() is None
    assert EmbeddedServer(folder).others() is False
    assert processes_of(folder) == []


def test_others_are_seen(folder: Path) -> None:
    user = Process(folder)
    user.postmaster()
    assert EmbeddedServer(folder).others() is True
    user.leave()
    assert EmbeddedServer(folder).others() is False


def test_only_its_owner_may_enter(folder: Path) -> None:
    server = EmbeddedServer(folder, durable=False).ensure_running()
    for private in (server.cluster, folder / "run"):
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.stat().st_mode) & 0o066 == 0, "at most to be passed through"
    with psycopg.connect(**server.connect_args(), dbname=DATABASE) as connection:
        listening = connection.execute("SHOW listen_addresses").fetchone()
        superuser = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    assert listening == ("",), "no network port"
    assert superuser == (False,)
    server.leave()


def test_real_data_is_synced_to_disk(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "postgres").ensure_running()
    with psycopg.connect(**server.connect_args(), dbname=DATABASE) as connection:
        shown = {
            name: connection.execute(f"SHOW {name}").fetchone()[0]  # type: ignore[index]
            for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums", "jit")
        }
    server.leave()
    assert shown == {
        "fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "data_checksums": "on", "jit": "off",
    }  # fmt: skip
    assert processes_of(tmp_path / "postgres") == []


@pytest.mark.parametrize("name", ["a" * 150, "with a space", "it's", "Bücher"])
def test_awkward_folders(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / "postgres"
    server = EmbeddedServer(folder, durable=False).ensure_running()
    state = server.running()
    assert state is not None
    assert len(str(state.socket_dir / ".s.PGSQL.5432").encode()) <= 103
    assert stat.S_IMODE(state.socket_dir.stat().st_mode) == 0o700
    other = Process(folder)
    assert other.postmaster() == state.pid
    other.leave()
    server.stop()
    if not state.socket_dir.is_relative_to(folder):
        shutil.rmtree(state.socket_dir)


def test_a_socket_folder_that_somebody_else_put_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "it's" / "postgres"
    with tempfile.TemporaryDirectory(prefix="cf-") as short:  # a path too long for a socket would not be taken at all
        monkeypatch.setenv("TMPDIR", short)
        monkeypatch.setattr("tempfile.tempdir", None)
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        server = EmbeddedServer(folder, durable=False)
        elsewhere = Path(short) / "elsewhere"
        elsewhere.mkdir()
        (Path(short) / f"{server.name}-{os.geteuid()}").symlink_to(elsewhere)
        with pytest.raises(DatabaseUnavailable, match="in the way"):
            server.ensure_running()
    assert processes_of(folder) == []


def test_a_killed_initdb_is_done_again(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    (folder / "cluster.new" / "base").mkdir(parents=True)
    (folder / "cluster.new" / "PG_VERSION").write_text("18\n")
    server = EmbeddedServer(folder, durable=False).ensure_running()
    assert server.running() is not None
    server.stop()


def test_the_folder_was_deleted_under_a_running_server(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    first = Process(folder)
    old = first.postmaster()
    shutil.rmtree(folder)
    server = EmbeddedServer(folder, durable=False).ensure_running()
    state = server.running()
    assert state is not None
    assert state.pid != old
    assert not alive(old), "the old server is gone, so it cannot write into the new folder"
    first.kill()
    server.stop()


def test_a_file_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(ConfigError, match="a file is in the way"):
        EmbeddedServer(tmp_path / "data" / "postgres").ensure_running()


def test_damaged_files_give_a_clear_error(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    server = EmbeddedServer(folder, durable=False)
    server.ensure_running()
    server.stop()
    (folder / "cluster" / "global" / "pg_control").write_bytes(b"\0" * 8192)
    with pytest.raises(DatabaseUnavailable) as refused:
        server.ensure_running()
    assert "could not be started" in refused.value.message
    assert "server.log" in str(refused.value.hint)
    assert processes_of(folder) == []


def test_a_cluster_of_another_version_says_how_to_move_on(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    server = EmbeddedServer(folder, durable=False)
    server.ensure_running()
    server.stop()
    (folder / "cluster" / "PG_VERSION").write_text("16\n")
    with pytest.raises(DatabaseUnavailable, match="made by PostgreSQL 16") as refused:
        server.ensure_running()
    assert "counterfoil backup" in str(refused.value.hint)


def test_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from counterfoil.platform.database import embedded

    said = 'initdb: error: could not write file "x": No space left on device'
    monkeypatch.setattr(embedded, "_run", lambda *_: said)
    with pytest.raises(DatabaseUnavailable) as refused:
        EmbeddedServer(tmp_path / "postgres").ensure_running()
    assert "No space left" in refused.value.message
    assert "disk is full" in str(refused.value.hint)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_needs_no_rights(tmp_path: Path) -> None:
    """Run as root these tests use the system user; this one sees that nobody special is needed."""
    import pwd

    nobody = pwd.getpwnam("nobody")
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    for above in home.parents:
        if above.stat().st_uid == os.geteuid():
            above.chmod(above.stat().st_mode | stat.S_IXOTH)
    environ = os.environ | {"HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", USER_OF_THE_DATABASE, str(home / "postgres")],
        input="\n",
        capture_output=True,
        text=True,
        cwd="/",
        env=environ,
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    assert (home / "postgres" / "cluster").stat().st_uid == nobody.pw_uid
    assert processes_of(home / "postgres") == []
