"""Which characters our fonts can print.

PDF/A refuses a document with a character that no font has. A name that holds one (an emoji, a script we have no font
for) must not keep an invoice from being printed, so such a character is printed as an empty box.
"""

from __future__ import annotations

import re
import struct
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any, Final

FONTS: Final = Path(__file__).resolve().parent / "fonts"
#: Stands for a character that cannot be printed.
BOX: Final = "\u25a1"


def printable(value: Any) -> Any:
    """The JSON value with every text in it made printable."""
    if isinstance(value, str):
        return printable_text(value)
    if isinstance(value, dict):
        return {key: printable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [printable(each) for each in value]
    return value


def printable_text(text: str) -> str:
    """The text in composed form, without control characters, with a box for what no font of ours has."""
    if text.isascii() and text.isprintable():
        return text
    return _unprintable().sub(BOX, unicodedata.normalize("NFC", _CONTROL.sub("", text)))


#: Control characters other than tab and line feed, directions, joiners and variation selectors: they print nothing.
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]")


@cache
def _unprintable() -> re.Pattern[str]:
    common = set.intersection(*(characters_of(font.read_bytes()) for font in sorted(FONTS.glob("*.ttf"))))
    return re.compile(f"[^\t\n{''.join(re.escape(chr(code)) for code in sorted(common))}]")


def characters_of(font: bytes) -> set[int]:
    """The code points that a TrueType font maps to a glyph, from its ``cmap`` table (formats 4 and 12)."""
    tables = struct.unpack_from(">H", font, 4)[0]
    directory = (struct.unpack_from(">4sLLL", font, 12 + 16 * n) for n in range(tables))
    cmap = next(offset for tag, _, offset, _ in directory if tag == b"cmap")
    count = struct.unpack_from(">H", font, cmap + 2)[0]
    found: set[int] = set()
    for n in range(count):
        table = cmap + struct.unpack_from(">HHL", font, cmap + 4 + 8 * n)[2]
        kind = struct.unpack_from(">H", font, table)[0]
        if kind == 12:
            groups = struct.unpack_from(">L", font, table + 12)[0]
            for group in range(groups):
                first, last, _ = struct.unpack_from(">LLL", font, table + 16 + 12 * group)
                found.update(range(first, last + 1))
        elif kind == 4:
            half = struct.unpack_from(">H", font, table + 6)[0]
            ends = struct.unpack_from(f">{half // 2}H", font, table + 14)
            starts = struct.unpack_from(f">{half // 2}H", font, table + 16 + half)
            for first, last in zip(starts, ends, strict=True):
                found.update(range(first, last + 1))
    return found - {0xFFFF}
