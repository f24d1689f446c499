"""Lease economics in a real browser: the figures follow the sliders, and the address follows the figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from counterfoil.platform.models import User

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "keen-otter-Lantern-42"
DRAWN = "Object.values(Chart.instances).map(chart => chart.data.datasets.map(set => set.data))"


@pytest.fixture
def page(browser: Browser, live_server: Any) -> Iterator[Page]:
    """The page for any lease, opened by a viewer."""
    User.objects.create_user("vic@northwind.example", PASSWORD, name="Vic Viewer", roles=["viewer"])
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{live_server.url}/accounts/login/?next=/lease-economics/")
    page.fill("input[type=email]", "vic@northwind.example")
    page.fill("input[type=password]", PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/lease-economics/**")
    yield page
    context.close()
    assert complaints == []


def test_the_figures_follow_what_is_typed_and_slid(page: Page) -> None:
    figures = page.locator("#lease-figures")
    expect(figures).to_contain_text("1,800.00")

    page.fill("#cost", "1,800.00")
    expect(figures).to_contain_text("3,600.00")
    assert "cost=1%2C800.00" in page.url
    assert page.input_value(".cf-slider:has(#cost) input[type=range]") == "1800"

    page.locator(".cf-slider:has(#price) input[type=range]").fill("75")
    expect(figures).to_contain_text("900.00")
    assert page.input_value("#price") == "75"

    page.reload()
    expect(figures).to_contain_text("900.00")


def test_what_is_wrong_stands_beside_its_input_and_the_plot_stays(page: Page) -> None:
    expect(page.locator("#lease-figures")).to_contain_text("1,800.00")
    page.wait_for_function("window.Chart && Object.values(Chart.instances).length == 1")
    before, address = page.evaluate(DRAWN), page.url

    page.fill("#id_salvage", "4000")
    expect(page.locator("#id_salvage_error")).to_contain_text("more than the cost")
    expect(page.locator("#lease-figures")).to_contain_text("1,800.00")
    assert page.evaluate(DRAWN) == before
    assert page.url == address
    assert page.locator(".cf-toast.is-error").count() == 0

    page.fill("#id_salvage", "600")
    expect(page.locator("#id_salvage_error")).to_have_text("")
    expect(page.locator("#lease-figures")).to_contain_text("600.00 is still an asset")
    assert page.evaluate(DRAWN) != before
