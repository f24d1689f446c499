"""The documentation page in a real browser, under our content security policy and without the internet."""

from __future__ import annotations

import os
from typing import Any

import pytest
from playwright.sync_api import sync_playwright
from tests.api.client import key_of

from counterfoil.platform.identity import Role

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def synchronous_orm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Playwright runs an event loop in this thread; Django would refuse the ORM beside it."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


@pytest.mark.usefixtures("synchronous_orm")
def test_the_page_renders_and_tries_a_request(live_server: Any) -> None:
    key = key_of(Role.OWNER)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith((live_server.url, "data:")) else problems.append(request.url)
            ),
        )
        page.goto(f"{live_server.url}/api/v1/docs", wait_until="networkidle")
        page.get_by_role("heading", name="Counterfoil").wait_for()
        assert page.locator(".opblock").count() > 150
        page.get_by_role("button", name="Authorize").click()
        page.get_by_label("auth-bearer-value").fill(key)
        page.locator(".auth-btn-wrapper .authorize").click()
        page.locator(".btn-done").click()
        page.locator("#operations-Companies-get_companies").click()
        page.get_by_role("button", name="Try it out").click()
        page.get_by_role("button", name="Execute").click()
        answer = page.locator(".live-responses-table tbody .response-col_description").first
        answer.wait_for()
        if folder := os.environ.get("SCREENSHOTS"):
            page.evaluate("window.scrollTo(0, 0)")
            page.screenshot(path=f"{folder}/api-docs.png")
        assert "next_cursor" in answer.inner_text()
        assert problems == []
        browser.close()
