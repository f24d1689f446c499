"""From a template and values to PDF/A-3b, with Typst.

The values go in as a JSON file of a virtual folder that holds nothing else but the templates and the given pictures, so
nothing that a customer or a product is called can become mark-up or name a file.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import typst

from counterfoil.platform.documents.coverage import printable

HERE: Final = Path(__file__).resolve().parent
#: Shared by all templates.
PARTS: Final = ("paper.typ",)


class Template(StrEnum):
    """The documents there are."""

    INVOICE = "invoice"
    STATEMENT = "statement"
    QUOTE = "quote"


class Unprintable(Exception):
    """The values cannot be made a document: a picture is broken, or a template asks for what was not given."""


class _Press(threading.local):
    """A compiler for each thread; it keeps the fonts, and what one document has in common with the next."""

    @cached_property
    def compiler(self) -> typst.Compiler:
        """This thread's compiler."""
        return typst.Compiler(font_paths=_fonts(), ignore_system_fonts=True)


_press = _Press()


def render_pdf(
    template: Template, data: Mapping[str, Any], *, timestamp: datetime, files: Mapping[str, bytes] | None = None
) -> bytes:
    """The document as PDF/A-3b.

    Args:
        template: which document.
        data: JSON values; texts are printed as they are.
        timestamp: aware; the instant the document says it was made.
        files: pictures (SVG) that ``data`` names, by file name.

    Raises:
        Unprintable: a picture is broken, or a value is missing.
    """
    made = _compile(template, data, timestamp, files, pdf_standards=["a-3b"])
    assert isinstance(made, bytes)
    return made


def render_png(
    template: Template,
    data: Mapping[str, Any],
    *,
    timestamp: datetime,
    files: Mapping[str, bytes] | None = None,
    ppi: int = 110,
) -> list[bytes]:
    """The pages of the document as pictures.

    Raises:
        Unprintable: a picture is broken, or a value is missing.
    """
    made = _compile(template, data, timestamp, files, format="png", ppi=ppi)
    return [made] if isinstance(made, bytes) else made


def _compile(
    template: Template, data: Mapping[str, Any], timestamp: datetime, files: Mapping[str, bytes] | None, **how: Any
) -> Any:
    folder = {**_sources(template), "data.json": json.dumps(printable(data)).encode(), **(files or {})}
    return compiled(folder, timestamp, **how)


def compiled(folder: Mapping[str, bytes], timestamp: datetime, **how: Any) -> Any:
    """What Typst makes of a folder's ``main.typ``: a document, or a picture of each page.

    Raises:
        Unprintable: it cannot be set.
    """
    if timestamp.tzinfo is None:
        raise ValueError("the timestamp of a document must be aware")
    second = timestamp.astimezone(UTC).replace(microsecond=0)  # a PDF knows no more
    try:
        return _press.compiler.compile(input=dict(folder), timestamp=second, **{"format": "pdf"} | how)
    except typst.TypstError as error:
        raise Unprintable(f"The document could not be set: {error}") from error


@cache
def _sources(template: Template) -> Mapping[str, bytes]:
    names = {"main.typ": f"{template.value}.typ"} | {name: name for name in PARTS}
    return {name: (HERE / file).read_bytes() for name, file in names.items()}


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(HERE / "fonts")])
