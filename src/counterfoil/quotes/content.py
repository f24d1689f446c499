"""The content of a version: what is approved, sent and accepted, as plain values with one hash.

Approval is bound to the hash, and a version carries that of the content it was sent with. Status, dates of what
happened and remarks of staff are not content.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from counterfoil.core.bills import quantity_text
from counterfoil.core.canonical import canonical_json, sha256_of
from counterfoil.quotes.models import QuoteLine, QuoteSection, QuoteVersion
from counterfoil.quotes.pricing import lines_of

_OF_VERSION: Final = (
    "number", "site_id", "contact_id", "currency", "expires_on", "introduction", "terms_and_conditions", "terms_id",
    "tax_code_id", "discount_kind", "discount_value", "deposit_kind", "deposit_value", "ask_code",
)  # fmt: skip
_OF_SECTION: Final = ("title", "text", "discount_kind", "discount_value")
#: Of a line all but where it stands and what it becomes.
_OF_LINE: Final = tuple(
    field.attname
    for field in QuoteLine._meta.concrete_fields
    if field.name not in {"id", "opportunity", "version", "section", "position", "bundle"}
)


def content_of(
    version: QuoteVersion, lines: Sequence[QuoteLine] | None = None, sections: Sequence[QuoteSection] | None = None
) -> dict[str, Any]:
    """The content as texts, numbers and lists; sections and bundles are named by their places."""
    rows = lines_of(version) if lines is None else lines
    parts = list(version.sections.all()) if sections is None else sections
    places = {line.pk: index for index, line in enumerate(rows)}
    section_places = {section.pk: index for index, section in enumerate(parts)}
    return {
        "quote": version.quote.number,
        **_values(version, _OF_VERSION),
        "sections": [_values(section, _OF_SECTION) for section in parts],
        "lines": [
            _values(line, _OF_LINE)
            | {
                "section": None if line.section_id is None else section_places[line.section_id],
                "bundle": None if line.bundle_id is None else places[line.bundle_id],
            }
            for line in rows
        ],
    }


def content_hash(
    version: QuoteVersion, lines: Sequence[QuoteLine] | None = None, sections: Sequence[QuoteSection] | None = None
) -> str:
    """SHA-256 of the content as canonical JSON (RFC 8785), in hexadecimal."""
    return sha256_of(canonical_json(content_of(version, lines, sections)))


def _values(record: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: _plain(getattr(record, name)) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return quantity_text(value)
    return value.isoformat() if isinstance(value, date) else value
