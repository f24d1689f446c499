"""Texts as an IIF file can hold them: printable ASCII, without the characters that move columns.

QuickBooks reads IIF in the code page of the machine, takes a double quote as the start of a quoted field and, in some
versions, a semicolon as the end of one.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from counterfoil.core.errors import DomainError

_REPLACEMENTS: Final = str.maketrans(
    {
        '"': "'", ";": ",",
        "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201c": "'", "\u201d": "'", "\u201e": "'",
        "\u00ab": "'", "\u00bb": "'",
        "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2015": "-", "\u2212": "-",
        "\u00ad": "",
        "\u2022": "*", "\u00b7": "*", "\u00d7": "x", "\u00f7": "/", "\u2044": "/", "\u00b0": " deg ",
        "\u20ac": "EUR ", "\u00a3": "GBP ", "\u00a5": "JPY ", "\u00a2": "c", "\u00a9": "(c)", "\u00ae": "(R)",
        "\u00df": "ss", "\u00e6": "ae", "\u00c6": "AE", "\u0153": "oe", "\u0152": "OE", "\u00f8": "o", "\u00d8": "O",
        "\u0142": "l", "\u0141": "L", "\u0111": "d", "\u0110": "D", "\u00f0": "d", "\u00d0": "D",
        "\u00fe": "th", "\u00de": "Th",
    }
)  # fmt: skip

#: Stands for each character that has no ASCII likeness.
UNKNOWN: Final = "?"


def plain(text: str) -> str:
    """A memo or description: accents dropped, typographic characters spelled plainly, line ends as spaces."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_REPLACEMENTS)).translate(_REPLACEMENTS)
    return " ".join("".join(_ascii(character) for character in decomposed).split())


def _ascii(character: str) -> str:
    if " " <= character <= "~":
        return character
    category = unicodedata.category(character)
    if category.startswith("M") or category == "Cf":
        return ""
    return " " if category in {"Cc", "Zs", "Zl", "Zp"} else UNKNOWN


def limited(text: str, limit: int, what: str, mend: str) -> str:
    """The plain text, if QuickBooks has room for it.

    Raises:
        DomainError: ``invalid`` when it is longer than ``limit``; QuickBooks would cut it without a word.
    """
    short = plain(text)
    if len(short) > limit:
        raise DomainError(
            "invalid",
            f"{what} {short!r} has {len(short)} characters; QuickBooks Desktop takes at most {limit}.",
            hint=mend,
        )
    return short


def identifier(text: str, limit: int, what: str, mend: str) -> str:
    """A name or number that QuickBooks looks records up by. A colon, which would nest the record, becomes a hyphen.

    Raises:
        DomainError: ``required`` when nothing is left of it; ``invalid`` when it is too long, or has letters that
            cannot be written in ASCII: two companies must not become one ``????``.
    """
    if UNKNOWN in plain(text.replace(UNKNOWN, "")):
        raise DomainError(
            "invalid",
            f"{what} {text!r} has characters that QuickBooks Desktop cannot read from a file.",
            hint=mend,
        )
    name = limited(text.replace(":", "-"), limit, what, mend)
    if not name:
        raise DomainError("required", f"{what} {text!r} is empty.", hint=mend)
    return name
