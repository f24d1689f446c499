"""Money: Decimal amounts, one rounding (HALF_UP), and shares that add up.

Amounts are numeric(19,4) and shown to the cent; unit prices and rates are numeric(20,8); quantities numeric(18,6).
This is the only module that rounds. Sums and products here are exact: they do not depend on the caller's decimal
context, whose 28 digits and banker's rounding would otherwise spoil a long product before it is rounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from functools import reduce
from typing import Final, Literal

from counterfoil.core.errors import DomainError

ZERO: Final = Decimal("0.00")
CENT: Final = Decimal("0.01")

#: Wide enough that adding and multiplying stored numbers never loses a digit.
_EXACT: Final = Context(prec=120, rounding=ROUND_HALF_UP)
_STEPS: Final = {places: Decimal(1).scaleb(-places) for places in range(9)}
_NUMBER: Final = re.compile(r"(?:\d+|\d{1,3}(?:,\d{3})+)?(?:\.\d+)?")


def round_to(amount: Decimal | Fraction, places: int) -> Decimal:
    """Round half up (away from zero) to ``places`` decimals: once, from the exact value."""
    if isinstance(amount, Fraction):
        units = _half_up(amount * 10**places)
        return Decimal(units).scaleb(-places, _EXACT)
    rounded = amount.quantize(_STEPS[places] if places in _STEPS else Decimal(1).scaleb(-places), None, _EXACT)
    return rounded or rounded.copy_abs()  # turns -0.00 into 0.00


def round_money(amount: Decimal | Fraction, minor_units: int = 2) -> Decimal:
    """Round half up to the currency's minor unit (2 for USD). SSUTA § 324: up when the third decimal is 5 or more."""
    return round_to(amount, minor_units)


def multiply(*factors: Decimal) -> Decimal:
    """The exact product, unrounded: quantity x unit price x rate."""
    product = Decimal(1)
    for factor in factors:
        product = _EXACT.multiply(product, factor)
    return product


def extend(quantity: Decimal, unit_price: Decimal, minor_units: int = 2) -> Decimal:
    """The extended amount of a line: quantity x unit price, rounded once."""
    rounded = _EXACT.multiply(quantity, unit_price).quantize(_STEPS[minor_units], None, _EXACT)
    return rounded or rounded.copy_abs()


def sum_money(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum; ``0.00`` for none."""
    return reduce(_EXACT.add, amounts, ZERO)


def allocate(total: Decimal, weights: Sequence[Decimal], minor_units: int = 2) -> list[Decimal]:
    """Share ``total`` out in proportion to ``weights``; the parts add up to it exactly (largest remainder).

    A weight of zero gets nothing, unless all are zero: then the shares are equal. Ties go to the earlier part.

    Raises:
        DomainError: ``invalid`` when there is nobody to share with, the weights cancel out, or ``total`` is not a
            whole number of minor units.
    """
    if not weights:
        raise DomainError("invalid", "An amount cannot be shared out among no parts.")
    shares = [Fraction(weight) for weight in weights]
    if not any(shares):
        shares = [Fraction(1)] * len(shares)
    whole = sum(shares)
    if not whole:
        if total:
            raise DomainError("invalid", f"{total} cannot be shared out: the weights cancel each other out.")
        return [round_money(ZERO, minor_units)] * len(shares)
    return settle(total, [Fraction(total) * share / whole for share in shares], minor_units)


def settle(total: Decimal, parts: Sequence[Fraction], minor_units: int = 2) -> list[Decimal]:
    """Round exact ``parts``, each down or up to a minor unit, so that they add up to ``total`` (largest remainder).

    ``total`` is the sum of the parts after rounding. Negated parts give negated results. Ties go to the earlier part.

    Raises:
        DomainError: ``invalid`` when no such rounding exists, because ``total`` is not the parts' rounded sum.
    """
    scale = 10**minor_units
    exact = [part * scale for part in parts]
    lead = sum(exact) or next((part for part in exact if part), Fraction(0))
    sign = -1 if lead < 0 else 1
    exact = [part * sign for part in exact]
    target = Fraction(total) * scale * sign
    units = [part.numerator // part.denominator for part in exact]
    left = target - sum(units)
    if left.denominator != 1 or not 0 <= left <= len(units):
        raise DomainError("invalid", f"{total} is not the rounded sum of the parts it is to be shared out among.")
    by_remainder = sorted(range(len(units)), key=lambda i: (units[i] - exact[i], i))
    for i in by_remainder[: int(left)]:
        units[i] += 1
    return [Decimal(sign * unit).scaleb(-minor_units, _EXACT) for unit in units]


def units_of(amount: Decimal, places: int) -> int:
    """The amount as a whole number of units of that many decimals: 1.25 at 4 places is 12500.

    Raises:
        DomainError: ``invalid`` when it has more decimals than that.
    """
    scale: int = 10**places
    numerator, denominator = amount.as_integer_ratio()
    units, rest = divmod(numerator * scale, denominator)
    if rest:
        raise DomainError("invalid", f"{amount} has more than {places} decimals.")
    return units


def from_units(units: int, places: int = 2) -> Decimal:
    """The amount that :func:`units_of` made a whole number of."""
    return _EXACT.scaleb(units, -places)


def round_units(units: int, per: int) -> int:
    """``units`` in coarser ones, ``per`` of them to one: rounded half up, away from zero."""
    magnitude = (2 * abs(units) + per) // (2 * per)
    return -magnitude if units < 0 else magnitude


def settle_units(total: int, parts: Sequence[int], per: int) -> list[int]:
    """:func:`settle` in integers: ``parts`` in fine units, ``per`` of them to one of the coarse units of ``total``.

    Raises:
        DomainError: ``invalid`` when ``total`` is not the parts' rounded sum.
    """
    sign = -1 if (sum(parts) or next(filter(None, parts), 0)) < 0 else 1
    whole, rest = [], []
    for part in parts:
        units, remainder = divmod(sign * part, per)
        whole.append(units)
        rest.append(-remainder)
    left = sign * total - sum(whole)
    if left:
        if not 0 < left <= len(whole):
            raise DomainError("invalid", "The total is not the rounded sum of the parts it is to be shared out among.")
        for i in sorted(range(len(rest)), key=rest.__getitem__)[:left]:  # a stable sort: ties go to the earlier part
            whole[i] += 1
    return whole if sign > 0 else [-units for units in whole]


def parse_decimal(text: str, field: str, *, places: int, digits: int) -> Decimal:
    """Read a number a person wrote: ``1,234.50``, ``-5``, ``(5.00)``.

    Args:
        text: what was written; blanks around it do not matter.
        field: the input's name, for the refusal.
        places: how many decimals it may have.
        digits: how many digits it may have before the point.

    Raises:
        DomainError: ``required`` when it is empty; ``invalid`` when it is not a plain number (no exponents, NaN or
            Infinity, no misplaced separators) or has too many digits.
    """
    bare = text.strip()
    if not bare:
        raise DomainError("required", "Enter a number.", field=field)
    negative = bare.startswith("-")
    if negative:
        bare = bare[1:].lstrip()
    elif bare.startswith("(") and bare.endswith(")"):
        negative, bare = True, bare[1:-1].strip()
    if not bare.isascii() or not bare or not _NUMBER.fullmatch(bare):
        raise DomainError("invalid", f"“{text.strip()[:40]}” is not a number.", field=field, hint="Write 1,234.50.")
    whole, _, decimals = bare.replace(",", "").partition(".")
    if len(whole.lstrip("0")) > digits:
        raise DomainError("invalid", f"At most {digits} digits may stand before the point.", field=field)
    if len(decimals.rstrip("0")) > places:
        raise DomainError("invalid", f"At most {places} decimals are allowed.", field=field)
    number = Decimal(f"{whole or '0'}.{decimals[:places].ljust(places, '0')}")
    return -number if negative and number else number


def parse_money(text: str, field: str, minor_units: int = 2) -> Decimal:
    """Read an amount to the cent; a leading ``$`` is allowed. See :func:`parse_decimal` for what is refused."""
    bare = text.strip()
    return parse_decimal(re.sub(r"^([-(]?)\s*\$", r"\1", bare), field, places=minor_units, digits=15)


def parse_unit_price(text: str, field: str) -> Decimal:
    """Read a unit price or rate, numeric(20,8)."""
    return parse_decimal(text, field, places=8, digits=12)


def parse_quantity(text: str, field: str) -> Decimal:
    """Read a quantity, numeric(18,6)."""
    return parse_decimal(text, field, places=6, digits=12)


def format_money(
    amount: Decimal, negative: Literal["parentheses", "minus"] = "parentheses", minor_units: int = 2
) -> str:
    """``1,234.50``; below zero ``(1,234.50)``, or ``-1,234.50``."""
    rounded = round_money(amount, minor_units)
    text = f"{abs(rounded):,}"
    if rounded >= 0:
        return text
    return f"({text})" if negative == "parentheses" else f"-{text}"


def _half_up(units: Fraction) -> int:
    magnitude = (2 * abs(units.numerator) + units.denominator) // (2 * units.denominator)
    return -magnitude if units < 0 else magnitude
