"""Makes the pictures of the README from the demo: a fresh installation, a real server, a real browser.

Run in the development environment: ``.venv/bin/python tools/screenshots.py``. Needs Debian's chromium.
"""

from __future__ import annotations

import base64
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

from playwright.sync_api import Browser, Page, sync_playwright

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
    ("match", "/match/exceptions/1/", "text=side by side"),
    ("leaks", "/match/leaks/", "canvas"),
    ("agreement", "/agreements/8/", "text=Next invoices"),
    ("batch", "/batches/1/", "h1"),
    ("balance-sheet", "/reports/balance-sheet/", "table"),
)

#: How phones stand side by side.
SIDE_BY_SIDE = """
    body { margin: 0; height: 100vh; display: flex; gap: 60px; align-items: center; justify-content: center;
           background: #e9ecf3 }
    img { width: 390px; height: 800px; border-radius: 28px; box-shadow: 0 8px 32px rgb(30 35 60 / 25%) }
"""


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
        edit_a_quote(page, address)
        accept_on_a_phone(browser, send_the_draft(page, address))
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


def edit_a_quote(page: Page, address: str) -> None:
    """The demo's draft, with what the catalog has by a word."""
    page.goto(f"{address}/quotes/1/")
    page.get_by_placeholder("Type a product").press_sequentially("M365", delay=40)
    page.wait_for_timeout(1200)
    page.screenshot(path=IMAGES / "quote.png")


def send_the_draft(page: Page, address: str) -> str:
    """Send the demo's draft to its customer; the address of their link."""
    page.goto(f"{address}/quotes/1/send/")
    page.locator("[name=by_mail]").set_checked(False)
    page.locator("main form").get_by_role("button", name="Send").click()
    page.wait_for_url(f"{address}/quotes/1/")
    return page.get_by_label("Address of the link").first.input_value()


def accept_on_a_phone(browser: Browser, link: str) -> None:
    """The customer's page on a phone, side by side: what is offered, what is picked, and the signature."""
    phone = browser.new_page(
        viewport={"width": 390, "height": 800}, device_scale_factor=2, is_mobile=True, color_scheme="light"
    )
    phone.goto(link)
    parts = [phone.screenshot()]
    phone.get_by_label("Add Backup, per TB").check()
    phone.locator("[name=take]").scroll_into_view_if_needed()
    phone.wait_for_timeout(700)  # the totals come back
    parts.append(phone.screenshot())
    phone.get_by_label("Your title").fill("Office manager")
    phone.get_by_label("Type your name").fill(phone.locator("[name=name]").input_value())
    phone.locator("[name=consent]").check()
    phone.get_by_role("button", name="Accept quote").scroll_into_view_if_needed()
    parts.append(phone.screenshot())
    pictures = "".join(f'<img src="data:image/png;base64,{base64.b64encode(part).decode()}">' for part in parts)
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_content(f"<style>{SIDE_BY_SIDE}</style>{pictures}")
    page.screenshot(path=IMAGES / "acceptance.png")


def sign_in(page: Page, address: str) -> None:
    """Sign in as the demo's owner."""
    page.goto(f"{address}/accounts/login/")
    page.get_by_label("Email").fill(EMAIL)
    page.locator("input[type=password]").fill(PASSWORD)
    page.locator("form").get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{address}/")


if __name__ == "__main__":
    main()
