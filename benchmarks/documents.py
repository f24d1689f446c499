"""How many invoices a second become PDF/A, of a page with 5 lines and of 200 lines: one process, no database."""

from __future__ import annotations

import os
import resource
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from common import report

CLOSED = datetime(2026, 4, 1, tzinfo=UTC)
LOGO = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 10">'
    b'<rect width="20" height="10" fill="#0b5d66"/></svg>'
)  # fmt: skip


def main(documents: int = 500, long_documents: int = 20) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "counterfoil.conf.settings")
    os.environ.setdefault("COUNTERFOIL_SECRET_KEY", "nothing is signed in this benchmark")
    import django

    django.setup()
    from counterfoil.billing.example import example_invoice
    from counterfoil.billing.printing import Group, PrintedLine, Sender

    sender = Sender("Northwind IT", ("400 Renaissance Center", "Detroit, MI 48243"), LOGO, "svg", remit_to="ACH 1")
    short = example_invoice(sender, on=date(2026, 4, 1))
    lines = (
        PrintedLine(Group.PRODUCTS, f"Item {n}", Decimal(n), Decimal("10.50"), Decimal("10.50") * n)
        for n in range(1, 201)
    )
    long = replace(short, lines=tuple(lines))
    made(short, 20)
    seconds, cpu, size = made(short, documents)
    long_seconds, _, long_size = made(long, long_documents)
    report(
        benchmark="documents",
        invoices_per_second=round(documents / seconds, 1),
        cpu_ms_per_invoice=round(cpu / documents * 1000, 1),
        kilobytes=round(size / 1000),
        invoices_of_200_lines_per_second=round(long_documents / long_seconds, 1),
        kilobytes_of_200_lines=round(long_size / 1000),
        peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    )


def made(printed: Any, count: int) -> tuple[float, float, int]:
    """Wall and CPU seconds for ``count`` different invoices, and the bytes of the last."""
    from counterfoil.billing.paper import invoice_pdf

    started, cpu, pdf = time.perf_counter(), time.process_time(), b""
    for number in range(count):
        pdf = invoice_pdf(replace(printed, number=f"INV-{number:06d}", customer_po=f"PO {number}"), timestamp=CLOSED)
    return time.perf_counter() - started, time.process_time() - cpu, len(pdf)


if __name__ == "__main__":
    main()
