"""The environment, the secret key, and settings that are safe by default."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.processes import environment

from counterfoil.platform.config import Config, ConfigError, load_secret_key, make_private_folder

PRINT_SETTINGS = """
import json, django
from django.conf import settings
names = [name for name in dir(settings) if name.isupper()]
print(json.dumps({name: getattr(settings, name) for name in names}, default=str))
"""


def settings_with(tmp_path: Path, **environ: str) -> dict[str, Any]:
    """The settings of a fresh process."""
    clean = environment(tmp_path, **environ)
    done = subprocess.run(
        [sys.executable, "-c", PRINT_SETTINGS], env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


# -- data folder and secret key


def test_the_data_folder_follows_the_xdg_specification() -> None:
    assert Config.from_environment({"COUNTERFOIL_DATA": "/srv/books"}).data_dir == Path("/srv/books")
    assert Config.from_environment({"XDG_DATA_HOME": "/srv/xdg"}).data_dir == Path("/srv/xdg/counterfoil")
    home = Path.home() / ".local/share/counterfoil"
    assert Config.from_environment({}).data_dir == home
    assert Config.from_environment({"XDG_DATA_HOME": "relative"}).data_dir == home


def test_the_secret_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    key = load_secret_key(data)
    assert len(key) >= 80
    assert load_secret_key(data) == key
    assert stat.S_IMODE((data / "secret-key").stat().st_mode) == 0o600
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert [entry.name for entry in data.iterdir()] == ["secret-key"], "no scratch file stays behind"


def test_processes_that_start_at_once_get_the_same_key(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from counterfoil.platform.config import load_secret_key; "
        "sys.stdin.read(); print(load_secret_key(Path(sys.argv[1])))"
    )
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "data")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for process in crowd:
        assert process.stdin is not None
        process.stdin.close()  # go
    keys = set()
    for process in crowd:
        assert process.stdout is not None
        keys.add(process.stdout.read().strip())
        assert process.wait(30) == 0
    assert len(keys) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    load_secret_key(tmp_path)
    (tmp_path / "secret-key").chmod(mode)
    with pytest.raises(ConfigError, match="can be read by other users") as refused:
        load_secret_key(tmp_path)
    assert f"chmod 600 {tmp_path}/secret-key" in str(refused.value.hint)


@pytest.mark.parametrize("content", ["", "short"])
def test_a_torn_key_is_refused(tmp_path: Path, content: str) -> None:
    load_secret_key(tmp_path)
    (tmp_path / "secret-key").write_text(content)
    with pytest.raises(ConfigError, match="too short"):
        load_secret_key(tmp_path)


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(ConfigError, match="file is in the way"):
        make_private_folder(tmp_path / "data")


# -- what cannot be meant


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"COUNTERFOIL_DEBUG": "maybe"}, "write 1 or 0"),
        ({"COUNTERFOIL_HOSTS": "*"}, "any host name would be believed"),
        ({"COUNTERFOIL_ORIGIN": "books.example.com"}, "no web address"),
        ({"COUNTERFOIL_SMTP_HOST": "mail", "COUNTERFOIL_SMTP_PORT": "smtp"}, "no port number"),
        ({"COUNTERFOIL_SMTP_HOST": "mail", "COUNTERFOIL_SMTP_PORT": "70000"}, "no port number"),
    ],
)
def test_nonsense_is_refused(environ: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Config.from_environment(environ)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://root@localhost/books", "no PostgreSQL address"),
        ("sqlite:///books.db", "no PostgreSQL address"),
        ("postgresql://localhost", "names no database"),
        ("postgresql://localhost:port/books?nonsense=1", "cannot be read"),
    ],
)
def test_an_address_that_is_none_is_refused(url: str, said: str) -> None:
    from counterfoil.platform.database import django_databases

    with pytest.raises(ConfigError, match=said):
        django_databases(Config.from_environment({"DATABASE_URL": url}))


def test_an_address_is_taken_apart() -> None:
    from counterfoil.platform.database import django_databases

    url = "postgresql://ada:p%40ss%2Fword@db.example.com:6432/books?sslmode=require"
    default = django_databases(Config.from_environment({"DATABASE_URL": url}))["default"]
    assert (default["NAME"], default["USER"], default["PASSWORD"]) == ("books", "ada", "p@ss/word")
    assert (default["HOST"], default["PORT"]) == ("db.example.com", "6432")
    assert default["OPTIONS"]["sslmode"] == "require"


# -- settings


def test_safe_by_default(tmp_path: Path) -> None:
    found = settings_with(tmp_path)
    assert found["DEBUG"] is False
    assert set(found["ALLOWED_HOSTS"]) == {"localhost", "127.0.0.1", "[::1]"}
    assert found["SECRET_KEY"] == (tmp_path / "secret-key").read_text().strip()
    assert found["PASSWORD_HASHERS"][0].endswith("Argon2PasswordHasher")
    assert found["SESSION_COOKIE_HTTPONLY"] is True
    assert found["SESSION_COOKIE_SAMESITE"] == "Lax"
    assert found["CSRF_COOKIE_SAMESITE"] == "Lax"
    assert found["EMAIL_BACKEND"].endswith("console.EmailBackend")
    assert "SECURE_PROXY_SSL_HEADER" not in found or found["SECURE_PROXY_SSL_HEADER"] is None
    assert not (tmp_path / "postgres").exists(), "reading the settings starts no database"


def test_over_tls_cookies_are_secure_and_browsers_remember(tmp_path: Path) -> None:
    found = settings_with(tmp_path, COUNTERFOIL_ORIGIN="https://books.example.com")
    assert found["SESSION_COOKIE_SECURE"] is True
    assert found["CSRF_COOKIE_SECURE"] is True
    assert found["SECURE_HSTS_SECONDS"] >= 31_536_000
    assert found["CSRF_TRUSTED_ORIGINS"] == ["https://books.example.com"]
    assert "books.example.com" in found["ALLOWED_HOSTS"]
    assert found["MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN"] is False


def test_plain_http_on_loopback_still_signs_in(tmp_path: Path) -> None:
    found = settings_with(tmp_path)
    assert found["SESSION_COOKIE_SECURE"] is False
    assert found["SECURE_HSTS_SECONDS"] == 0


def test_mail_goes_through_the_named_server(tmp_path: Path) -> None:
    found = settings_with(tmp_path, COUNTERFOIL_SMTP_HOST="mail.example.com", COUNTERFOIL_SMTP_PORT="465")
    assert found["EMAIL_BACKEND"].endswith("smtp.EmailBackend")
    assert (found["EMAIL_HOST"], found["EMAIL_PORT"], found["EMAIL_USE_SSL"]) == ("mail.example.com", 465, True)
    assert found["EMAIL_USE_TLS"] is False


def test_a_key_from_the_environment_needs_no_file(tmp_path: Path) -> None:
    found = settings_with(tmp_path, COUNTERFOIL_SECRET_KEY="k" * 50)
    assert found["SECRET_KEY"] == "k" * 50
    assert not (tmp_path / "secret-key").exists()


def test_templates_are_cached_unless_debugging(tmp_path: Path) -> None:
    cached = "django.template.loaders.cached.Loader"
    assert cached in str(settings_with(tmp_path)["TEMPLATES"])
    assert cached not in str(settings_with(tmp_path, COUNTERFOIL_DEBUG="1")["TEMPLATES"])
