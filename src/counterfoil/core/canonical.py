"""One way to write a JSON value: the JSON Canonicalization Scheme (RFC 8785), so that its hash means something.

Whoever writes the same value by the scheme gets the same bytes. Numbers are integers only: amounts are written as text
(``"1234.50"``), since the scheme's numbers are binary floating point, in which most amounts do not exist.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

#: Integers beyond it are not told apart by every reader (RFC 8785, 3.2.2.3; RFC 7493, 2.2).
LARGEST: Final = 2**53 - 1


def canonical_json(value: Any) -> bytes:
    """The value as canonical JSON, in UTF-8.

    Args:
        value: texts, integers, booleans, ``None``, and sequences and mappings (with text keys) of these.

    Raises:
        ValueError: there is something else in it (a float, a Decimal, a date), an integer beyond 2^53 - 1, or half of
            a surrogate pair, which is no character.
    """
    return "".join(_parts(value)).encode()


def sha256_of(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _parts(value: Any) -> Iterator[str]:
    if value is None or isinstance(value, bool):
        yield {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, str):
        yield _text(value)
    elif isinstance(value, int):
        yield _integer(value)
    elif isinstance(value, Mapping):
        yield from _object(value)
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        yield from _listed(value, "[", "]", _parts)
    else:
        raise ValueError(f"{value!r} ({type(value).__name__}) has no canonical form; write it as text")


def _object(value: Mapping[Any, Any]) -> Iterator[str]:
    for key in value:
        if not isinstance(key, str):
            raise ValueError(f"the key {key!r} is no text")

    def pair(key: str) -> Iterator[str]:
        yield f"{_text(key)}:"
        yield from _parts(value[key])

    yield from _listed(sorted(value, key=_utf16), "{", "}", pair)


def _listed(items: Sequence[Any], opening: str, closing: str, parts: Any) -> Iterator[str]:
    yield opening
    for at, item in enumerate(items):
        if at:
            yield ","
        yield from parts(item)
    yield closing


def _utf16(key: str) -> bytes:
    """What keys are ordered by (RFC 8785, 3.2.3): big-endian bytes compare as the code units do."""
    return _well_formed(key).encode("utf-16-be")


def _text(text: str) -> str:
    # Python's encoder, told to leave characters alone, escapes what RFC 8785, 3.2.2.2 says and in that way:
    # the quote, the backslash, and control characters (\b \t \n \f \r, else \u00xx in small letters).
    return json.dumps(_well_formed(text), ensure_ascii=False)


def _well_formed(text: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(f"{text!r} holds half of a surrogate pair")
    return text


def _integer(number: int) -> str:
    if abs(number) > LARGEST:
        raise ValueError(f"{number} is beyond what every reader keeps exactly; write it as text")
    return str(number)
