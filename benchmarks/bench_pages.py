"""How fast the pages answer on the demo data: median of warm requests through the whole Django stack, in one process.

The named alternative is the page that does nothing but the layout (/accounts/logout/), measured in the same run: what
stands above it is a page's own work.

    python benchmarks/bench_pages.py            the demo
    python benchmarks/bench_pages.py --large    the demo, 5,000 agreements and 60,000 invoices of theirs, in the books
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path

from common import PASSWORD, installation, median_seconds, report

sys.path.append(str(Path(__file__).resolve().parents[1]))

RUNS = 15
LIMIT_MS = 100


def main() -> None:
    with installation():
        from counterfoil.flows.demo import load_demo

        load_demo(on=date(2026, 11, 21), now=datetime.now(UTC), password=PASSWORD)
        if "--large" in sys.argv:
            bill_a_year()
        measure()


def bill_a_year() -> None:
    """5,000 agreements of five additions, billed for twelve months and taken to the books."""
    from django.db import connection
    from tests.fleet import seed

    from counterfoil.billing.models import RunMode
    from counterfoil.core.calendar import add_months
    from counterfoil.flows.billing_run import start_billing_run
    from counterfoil.flows.billing_work import work
    from counterfoil.flows.demo import OWNER_EMAIL
    from counterfoil.platform.models import User

    seed(5_000)
    owner = User.objects.get(email=OWNER_EMAIL).actor("cli")
    for month in range(12):
        on = add_months(date(2026, 1, 1), month)
        run = start_billing_run(actor=owner, through=on, invoice_date=on, mode=RunMode.TRANSFER, now=datetime.now(UTC))
        work(run.pk)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as the database does by itself within minutes


def measure() -> None:
    from django.test import Client

    from counterfoil.flows.demo import OWNER_EMAIL
    from counterfoil.platform.models import User

    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(User.objects.get(email=OWNER_EMAIL))

    def milliseconds(url: str) -> float:
        def visit() -> None:
            answer = client.get(url)
            if answer.status_code != 200:
                raise SystemExit(f"{url} answered {answer.status_code}")

        return median_seconds(visit, runs=RUNS, warm_up=2) * 1000

    layout = milliseconds("/accounts/logout/")
    slowest = ("", 0.0)
    for url in pages():
        took = milliseconds(url)
        slowest = max(slowest, (url, took), key=lambda pair: pair[1])
        report(page=url, ms=round(took, 1), times_layout=round(took / layout, 2))
    report(layout_ms=round(layout, 1), slowest=slowest[0], slowest_ms=round(slowest[1], 1), limit_ms=LIMIT_MS)


def pages() -> list[str]:
    """Every list of the navigation, and the page of the newest record of each kind."""
    from django.apps import apps
    from django.urls import NoReverseMatch, reverse

    from counterfoil.web.navigation import SECTIONS
    from counterfoil.web.threads import ADDRESSES, address_of

    found = []
    for section in SECTIONS:
        for item in section.items:
            try:
                found.append(reverse(item.url_name))
            except NoReverseMatch:
                continue
    for label in ADDRESSES:
        newest = apps.get_model(label).objects.order_by("-pk").values_list("pk", flat=True).first()
        if newest is not None:
            found.append(address_of(label, newest))
    return [url for url in found if url]


if __name__ == "__main__":
    main()
