"""Who may serve where, the security headers, and a real server that answers and leaves nothing behind."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from tests.processes import environment

from counterfoil.platform.database import EmbeddedServer
from counterfoil.platform.security import CONTENT_SECURITY_POLICY, HEADERS, SecurityHeaders
from counterfoil.platform.server import Listen, ServerError, is_loopback


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("192.168.1.5", False),
        ("::", False),
        ("books.example.com", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_the_network_is_refused_without_tls() -> None:
    with pytest.raises(ServerError, match="in the clear") as refused:
        Listen("0.0.0.0", free_port()).check()
    assert "--behind-proxy" in str(refused.value.hint)


def test_a_proxy_in_front_may_do_tls() -> None:
    Listen("0.0.0.0", free_port(), behind_proxy=True).check()


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="both"):
        Listen("127.0.0.1", free_port(), tls_cert=tmp_path / "cert.pem").check()
    with pytest.raises(ServerError, match="cannot be read"):
        Listen("127.0.0.1", free_port(), tls_cert=tmp_path / "c", tls_key=tmp_path / "k").check()


def test_a_busy_port_is_said_so() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ServerError, match="cannot be used") as refused:
            Listen("127.0.0.1", other.getsockname()[1]).check()
    assert "--port" in str(refused.value.hint)


def test_every_response_has_the_headers() -> None:
    answer = SecurityHeaders(lambda _: HttpResponse("hello"))(RequestFactory().get("/"))
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere() -> None:
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "http" not in CONTENT_SECURITY_POLICY
    assert "*" not in CONTENT_SECURITY_POLICY
    directives = dict(part.split(" ", 1) for part in CONTENT_SECURITY_POLICY.split("; "))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["style-src"] == "'self'"
    assert directives["frame-ancestors"] == directives["object-src"] == "'none'"


def test_a_response_may_be_stricter() -> None:
    strict = HttpResponse("x", headers={"Content-Security-Policy": "sandbox"})
    assert SecurityHeaders(lambda _: strict)(RequestFactory().get("/"))["Content-Security-Policy"] == "sandbox"


@pytest.mark.django_db
def test_also_on_pages_that_are_not_there() -> None:
    answer = Client().get("/there-is-no-such-page/")
    assert answer.status_code == 404
    assert answer["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert answer["X-Frame-Options"] == "DENY"


@pytest.mark.django_db
def test_a_foreign_host_name_is_refused() -> None:
    assert Client().get("/accounts/login/", headers={"host": "evil.example.com"}).status_code == 400


@pytest.mark.django_db
def test_nobody_signs_up_from_the_outside() -> None:
    from counterfoil.platform.models import User

    sent = {"email": "eve@example.com", "password1": "correct horse battery", "password2": "correct horse battery"}
    Client().post("/accounts/signup/", sent)
    assert not User.objects.exists()


@pytest.mark.slow
def test_a_real_server_answers_and_leaves_nothing_behind(tmp_path: Path) -> None:
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "counterfoil", "serve", "--port", str(port), "--workers", "2"],
        env=environment(tmp_path / "data"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        page, headers = _fetch(f"http://127.0.0.1:{port}/accounts/login/", server)
        assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
        assert 'type="password"' in page
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", page), "no inline script"
        for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
            _, static = _fetch(f"http://127.0.0.1:{port}{address}", server)
            assert "immutable" in static["Cache-Control"], address
    finally:
        server.send_signal(signal.SIGINT)
        said, _ = server.communicate(timeout=60)
    assert f"http://127.0.0.1:{port}/" in said
    assert EmbeddedServer(tmp_path / "data" / "postgres").running() is None, said


def _fetch(url: str, server: subprocess.Popen[str]) -> tuple[str, Message]:
    deadline = time.monotonic() + 90
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.read().decode(errors="replace"), answer.headers
        except urllib.error.HTTPError:
            raise
        except OSError:
            if server.poll() is not None:
                raise AssertionError(server.stdout and server.stdout.read()) from None
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
