"""Makes the pictures of the README from the demo: a fresh installation, a real server, a real browser.

Run in the development environment: ``.venv/bin/python tools/screenshots.py``. Needs Debian's chromium.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from counterfoil.core.calendar import add_months, month_start

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
PASSWORD = "pictures-Northwind-2026"
EMAIL = "olivia@northwind.example"

#: (picture, address, what must be there before it is taken)
PICTURES = (
    ("home", "/", "h1"),
    ("lease-economics", "/lease-economics/", "canvas"),
    ("sales-order", "/sales-orders/2/", "h1"),
    ("agreement", "/agreements/8/", "text=Next invoices"),
    ("batch", "/batches/1/", "h1"),
    ("balance-sheet", "/reports/balance-sheet/?first=2026-01-01&last=2026-10-31", "table"),
)


def main() -> None:
    """Load the demo into a temporary folder, serve it, take the pictures, stop."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="counterfoil-pictures-") as data:
        environment = os.environ | {"COUNTERFOIL_DATA": data}
        port = free_port()
        command = [
            sys.executable, "-m", "counterfoil", "demo", "--password", PASSWORD, "--port", str(port), "--workers", "1",
        ]  # fmt: skip
        server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(f"{address}/accounts/login/", server)
            take_pictures(address)
        finally:
            server.terminate()
            server.wait(timeout=60)


def free_port() -> int:
    """A port that nothing listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, server: subprocess.Popen[bytes], seconds: int = 180) -> None:
    """Wait until the server answers; stop when it ends before."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit(f"the demo ended with {server.returncode}")
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise SystemExit(f"no answer from {url} within {seconds} s")


def take_pictures(address: str) -> None:
    """Sign in and take each picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light")
        sign_in(page, address)
        for name, path, awaited in PICTURES:
            page.goto(address + path)
            page.wait_for_selector(awaited)
            page.wait_for_timeout(700)  # plots are drawn with a short movement
            page.screenshot(path=IMAGES / f"{name}.png")
        preview_a_run(page, address)
        browser.close()


def preview_a_run(page: Page, address: str) -> None:
    """The preview of next month's billing run."""
    page.goto(f"{address}/billing-runs/new/")
    through = add_months(month_start(datetime.now(UTC).date()), 1)
    for name in ("through", "invoice_date"):
        page.fill(f"[name={name}]", through.isoformat())
    page.get_by_role("button", name="Preview").click()
    page.wait_for_selector("#preview table")
    page.wait_for_timeout(700)
    page.screenshot(path=IMAGES / "billing-run.png")


def sign_in(page: Page, address: str) -> None:
    """Sign in as the demo's owner."""
    page.goto(f"{address}/accounts/login/")
    page.get_by_label("Email").fill(EMAIL)
    page.locator("input[type=password]").fill(PASSWORD)
    page.locator("form").get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{address}/")


if __name__ == "__main__":
    main()
