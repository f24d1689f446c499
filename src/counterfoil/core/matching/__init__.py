"""Holding documents against each other: quote, purchase order and invoice; purchase order, receipt and vendor bill.

:func:`match_quote_thread` and :func:`match_purchase` take the legs of one thread as plain values and say what differs,
in words and dollars. :mod:`counterfoil.core.matching.catalogue` says what each kind of difference means.
"""

from __future__ import annotations

from counterfoil.core.matching import said
from counterfoil.core.matching.catalogue import CATALOGUE, Code, what_to_do
from counterfoil.core.matching.legs import (
    LEGS,
    AgreementLeg,
    AskedLeg,
    BillLeg,
    ChangeLeg,
    Difference,
    InvoiceLeg,
    Leg,
    OrderLeg,
    PurchaseLeg,
    PurchaseThread,
    QuoteLeg,
    QuoteThread,
    ReceiptLeg,
    leg_of,
)
from counterfoil.core.matching.purchase import match_purchase
from counterfoil.core.matching.quote import match_quote_thread
from counterfoil.core.matching.tolerance import Tolerance, ToleranceRule, Tolerances

__all__ = [
    "CATALOGUE",
    "LEGS",
    "AgreementLeg",
    "AskedLeg",
    "BillLeg",
    "ChangeLeg",
    "Code",
    "Difference",
    "InvoiceLeg",
    "Leg",
    "OrderLeg",
    "PurchaseLeg",
    "PurchaseThread",
    "QuoteLeg",
    "QuoteThread",
    "ReceiptLeg",
    "Tolerance",
    "ToleranceRule",
    "Tolerances",
    "leg_of",
    "match_purchase",
    "match_quote_thread",
    "said",
    "what_to_do",
]
