"""An accounting batch as a QuickBooks Desktop import file (IIF), and back.

IIF is carried by hand and at most once: QuickBooks does not notice a file that is imported twice, and creates, without
asking, whatever name it does not know. So every file holds the lists its documents need, is read back by a strict
parser before it leaves, and the same batch always gives the same bytes under the same name.

We own the stock: items go out as services and parts that QuickBooks does not count, and inventory, cost of goods sold
and capitalisation go out as journal entries.
"""

from __future__ import annotations

import hashlib
import re

from counterfoil.adapters.quickbooks_desktop.iif import booked_entries, write
from counterfoil.adapters.quickbooks_desktop.iif_parser import ledger_entries, parse
from counterfoil.core.books import ExportFile, IifBatch
from counterfoil.core.errors import DomainError

__all__ = ["booked_entries", "export_batch", "ledger_entries", "parse", "write"]


def export_batch(batch: IifBatch) -> ExportFile:
    """The finished file, named ``{realm}-{batch}-{first 8 of its SHA-256}.iif``.

    Raises:
        DomainError: when the batch names something it does not bring, does not balance, or holds a text QuickBooks has
            no room for; ``conflict`` when the file, read back, would not book what the batch says.
    """
    content = write(batch)
    if ledger_entries(parse(content)) != booked_entries(batch):
        raise DomainError(
            "conflict",
            f"Batch {batch.batch_number}: the QuickBooks file, read back, books something else than the batch.",
            hint="Do not import anything. Report this batch as a fault of the program.",
        )
    digest = hashlib.sha256(content).hexdigest()
    return ExportFile(f"{_slug(batch.realm)}-{_slug(batch.batch_number)}-{digest[:8]}.iif", content, digest)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-") or "x"
