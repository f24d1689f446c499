"""Which adapter speaks to which outside system. The contexts declare what they need and ask the settings."""

from __future__ import annotations

#: Kind -> format -> the adapter's function (see the Protocols in counterfoil.accounting.exports).
ADAPTERS = {
    "ledger": {
        "beancount": "counterfoil.adapters.beancount.export_lines",
        "hledger": "counterfoil.adapters.hledger.export_lines",
    },
    "batch": {
        "iif": "counterfoil.adapters.quickbooks_desktop.export_batch",
    },
}
