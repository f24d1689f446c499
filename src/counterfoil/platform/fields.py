"""Column types for money, prices and quantities, so that one size holds everywhere."""

from __future__ import annotations

from typing import Any

from django.db import models


def money_field(**options: Any) -> models.DecimalField[Any, Any]:
    """An amount in the MSP's currency: NUMERIC(19,4), rounded to the minor unit before it is stored."""
    return models.DecimalField(max_digits=19, decimal_places=4, **options)


def price_field(**options: Any) -> models.DecimalField[Any, Any]:
    """A unit price, unit cost or rate (0.06 is 6 %): NUMERIC(20,8)."""
    return models.DecimalField(max_digits=20, decimal_places=8, **options)


def quantity_field(**options: Any) -> models.DecimalField[Any, Any]:
    """A quantity in the product's unit of measure: NUMERIC(18,6)."""
    return models.DecimalField(max_digits=18, decimal_places=6, **options)
