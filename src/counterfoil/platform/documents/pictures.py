"""Which pictures can be printed: PNG, JPEG and SVG; small enough, whole, and referring to nothing else."""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final
from xml.etree import ElementTree

from counterfoil.platform.documents.rendering import Unprintable, compiled

MOST_BYTES: Final = 500_000
#: Pixels of a side; a logo of 64 mm at 600 dpi has 1,500.
MOST_PIXELS: Final = 4000
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"
#: Frame headers of JPEG: they hold height and width.
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_FORBIDDEN_IN_SVG: Final = frozenset({"script", "foreignObject", "iframe", "animate", "set"})


def printable_picture(content: bytes) -> str:
    """The kind of a picture that can be printed: ``png``, ``jpg`` or ``svg``.

    Raises:
        Unprintable: it is too large, no such picture, broken, or refers to something outside itself.
    """
    if len(content) > MOST_BYTES:
        raise Unprintable(f"The picture has {len(content) // 1000:,} kB; at most {MOST_BYTES // 1000} kB can be kept.")
    kind = _kind(content)
    if kind == "svg":
        _check_svg(content)
    elif max(size := SIZES[kind](content)) > MOST_PIXELS:
        width, height = size
        raise Unprintable(f"The picture has {width:,} × {height:,} pixels; at most {MOST_PIXELS:,} a side are taken.")
    _try_to_print(as_svg(content, kind))
    return kind


def as_svg(content: bytes, kind: str) -> bytes:
    """The picture as SVG, which is how documents take it: pixels are wrapped, not converted."""
    if kind == "svg":
        return content
    width, height = SIZES[kind](content)
    pixels = f"data:image/{MIME[kind]};base64,{b64encode(content).decode()}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<image width="{width}" height="{height}" href="{pixels}"/></svg>'
    ).encode()


def _kind(content: bytes) -> str:
    if content.startswith(_PNG):
        return "png"
    if content.startswith(_JPEG):
        return "jpg"
    if b"<svg" in content[:5000]:
        return "svg"
    raise Unprintable("That is no PNG, JPEG or SVG picture.")


def _png_size(content: bytes) -> tuple[int, int]:
    if content[12:16] != b"IHDR" or len(content) < 24:
        raise Unprintable("The PNG picture is broken: it has no header.")
    width, height = struct.unpack_from(">LL", content, 16)
    return width, height


def _jpeg_size(content: bytes) -> tuple[int, int]:
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], struct.unpack_from(">H", content, at + 2)[0]
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height
        at += 2 + length
    raise Unprintable("The JPEG picture is broken: it has no header.")


#: Width and height in pixels, by kind.
SIZES: Final[Mapping[str, Callable[[bytes], tuple[int, int]]]] = {"png": _png_size, "jpg": _jpeg_size}
MIME: Final = {"png": "png", "jpg": "jpeg", "svg": "svg+xml"}


def _check_svg(content: bytes) -> None:
    """Refuse what an SVG could do beyond being a picture: scripts, entities, references to other files."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise Unprintable("The SVG picture has a document type declaration; save it as plain SVG.")
    try:
        content.decode()
        root = ElementTree.fromstring(content)  # noqa: S314 - without a document type there are no entities
    except UnicodeDecodeError as error:
        raise Unprintable("The SVG picture is not in UTF-8; save it as plain SVG.") from error
    except ElementTree.ParseError as error:
        raise Unprintable(f"The SVG picture is broken: {error}.") from error
    for element in root.iter():
        name = str(element.tag).rpartition("}")[2]
        if name in _FORBIDDEN_IN_SVG:
            raise Unprintable(f"The SVG picture holds <{name}>; save it as plain SVG.")
        for attribute, value in element.attrib.items():
            plain = attribute.rpartition("}")[2].lower()
            if plain.startswith("on") or (plain == "href" and not value.startswith(("#", "data:image/"))):
                raise Unprintable(f"The SVG picture refers to something else ({plain}); save it as plain SVG.")


def _try_to_print(svg: bytes) -> None:
    source = b'#image("picture.svg", width: 3cm, alt: "picture")'
    try:
        made = compiled({"main.typ": source, "picture.svg": svg}, datetime(2000, 1, 1, tzinfo=UTC))
    except Unprintable as error:
        raise Unprintable("The picture is broken: it cannot be printed.") from error
    # A picture within an SVG that cannot be read is left out without a word.
    if b"data:image/" in svg and b"/Subtype/Image" not in made.replace(b" ", b""):
        raise Unprintable("The picture is broken: it cannot be printed.")
