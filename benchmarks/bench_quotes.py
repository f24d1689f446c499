"""How long the quote editor answers a change of one line on a quote of 200 lines, through the whole Django stack.

Measured is the POST of a line's cell, as the browser sends it when a quantity, a price or a discount was typed, with
everything that is put where it stands; beside it the move of a line. CPU is this process's. The named alternative
is what an editor without small answers would do, in the same run: the whole page of the quote anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

from common import installation, median_seconds, report
from quoting import LINES, prepare

RUNS = 20
LIMIT_MS = 100


def main() -> None:
    with installation():
        version_id = prepare(LINES)
        measure(version_id)


def measure(version_id: int) -> None:
    from django.test import Client

    from counterfoil.platform.models import User
    from counterfoil.quotes.models import QuoteLine

    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(User.objects.create_user("sam@northwind.example", name="Sam", roles=["sales"]))
    # The quantity of the second line is priced by tiers.
    lines = list(QuoteLine.objects.filter(version=version_id).order_by("position").select_related("version", "section"))
    quote = f"/quotes/{lines[0].version.quote_id}/"
    cell = f"{quote}lines/{lines[1].pk}/"
    # What is typed, and what stood there before.
    quantities = cycle([("34", "35"), ("36", "34"), ("35", "36")])
    discounts = cycle([("4%", ""), ("5%", "4%"), ("", "5%")])
    orders = cycle((lines, [lines[1], lines[0], *lines[2:]]))

    def order() -> str:
        return ",".join(f"{line.pk}:{line.section_id or ''}" for line in next(orders))

    deeds: dict[str, Callable[[], Any]] = {
        "quantity": lambda: client.post(cell, typed("quantity", quantities)),
        "discount": lambda: client.post(cell, typed("discount", discounts)),
        "order": lambda: client.post(f"{quote}lines/order/", {"order": order()}),
        "page": lambda: client.get(quote),
    }
    found: dict[str, float] = {}
    for name, deed in deeds.items():
        found[f"{name}_ms"], found[f"{name}_cpu_ms"], size = timed(deed)
        found[f"{name}_kb"] = round(size / 1024)
    slower = round(found["page_ms"] / found["quantity_ms"], 1)
    report(benchmark="quote editor", lines=len(lines), **found, page_times_quantity=slower, limit_ms=LIMIT_MS)


def typed(name: str, values: Iterator[tuple[str, str]]) -> dict[str, str]:
    """What the browser sends of a cell."""
    new, old = next(values)
    return {name: new, f"was_{name}": old}


def timed(deed: Callable[[], Any]) -> tuple[float, float, int]:
    """Milliseconds of a request (median), of its CPU (mean), and the bytes of its answer."""

    def checked() -> int:
        answer = deed()
        if answer.status_code != 200:
            raise SystemExit(f"answered {answer.status_code}: {answer.content[:300]!r}")
        return len(answer.content)

    size = checked()
    started = time.process_time()
    median = median_seconds(checked, runs=RUNS, warm_up=0)
    return round(1000 * median, 1), round(1000 * (time.process_time() - started) / RUNS, 1), size


if __name__ == "__main__":
    main()
