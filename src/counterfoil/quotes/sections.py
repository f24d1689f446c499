"""Sections of a draft: a title, a text, and a discount on what stands in them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, cast

from counterfoil.core.errors import DomainError
from counterfoil.core.quoting import Discount, Kind
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.copying import update_rows
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.records import UNSET, Unset, change, changes_in_words, check_fields, fetch
from counterfoil.quotes.editing import finish, open_version
from counterfoil.quotes.models import QuoteLine, QuoteSection, QuoteVersion
from counterfoil.quotes.pricing import lines_of
from counterfoil.quotes.seen import SeenSection, ensure_as_seen

SELLERS: Final = (Role.SALES,)


@command(roles=SELLERS)
def add_section(*, actor: Actor, version_id: int, title: str, text: str = "") -> QuoteSection:
    """Begin a section at the end of a draft.

    Raises:
        DomainError: ``quote_is_sent``; ``required``, ``invalid``.
    """
    version = open_version(version_id)
    last = version.sections.order_by("-position").values_list("position", flat=True).first() or 0
    section = QuoteSection(version=version, position=last + 1, title=title.strip(), text=text.strip())
    check_fields(section)
    section.save()
    finish(actor, version, "quotes.section.added", f"added the section {section.title}")
    return section


@command(roles=SELLERS)
def update_section(
    *,
    actor: Actor,
    section_id: int,
    title: str | Unset = UNSET,
    text: str | Unset = UNSET,
    discount_kind: str | Unset = UNSET,
    discount_value: Decimal | Unset = UNSET,
    seen: SeenSection | None = None,
) -> QuoteSection:
    """Change title, text or discount of a section of a draft.

    Args:
        actor: who.
        section_id: which.
        title: what stands above its lines.
        text: what stands beneath that.
        discount_kind: in per cent, by amount, or none.
        discount_value: how much, on its lines.
        seen: values as they were seen a while ago: what others have changed since is not overwritten.

    Raises:
        DomainError: ``conflict`` for what is another than was seen; ``quote_is_sent``; ``required``, ``invalid``.
    """
    version, section = _open_section(section_id)
    given = {"title": title, "text": text, "discount_kind": discount_kind, "discount_value": discount_value}
    ensure_as_seen(section, seen, {name: value for name, value in given.items() if value is not UNSET})
    changes = change(section, **given)
    check_fields(section)
    Discount(cast(Kind, section.discount_kind), section.discount_value)
    section.save()
    if changes:
        said = f"changed the section {section.title}: {changes_in_words(changes)}"
        finish(actor, version, "quotes.section.changed", said)
    else:
        audit.record_nothing()
    return section


@command(roles=SELLERS)
def remove_section(*, actor: Actor, section_id: int) -> None:
    """Take a section off a draft; its lines stay, in no section.

    Raises:
        DomainError: ``quote_is_sent``; ``not_found``.
    """
    version, section = _open_section(section_id)
    lines = [line for line in lines_of(version) if line.section_id == section_id]
    for line in lines:
        line.section = None
    if lines:
        update_rows(QuoteLine, ["section"], [(line.pk, None) for line in lines])
    section.delete()
    finish(actor, version, "quotes.section.removed", f"took the section {section.title} off")


@command(roles=SELLERS)
def reorder_sections(*, actor: Actor, version_id: int, section_ids: Sequence[int]) -> QuoteVersion:
    """Put the sections of a draft in another order.

    Raises:
        DomainError: ``quote_is_sent``; ``invalid`` unless every section is named once.
    """
    version = open_version(version_id)
    if sorted(section_ids) != sorted(version.sections.values_list("pk", flat=True)):
        raise DomainError("invalid", "Name every section of the version once.", field="section_ids")
    update_rows(QuoteSection, ["position"], [(pk, place) for place, pk in enumerate(section_ids, start=1)])
    finish(actor, version, "quotes.sections.reordered", "put the sections in another order")
    return version


def _open_section(section_id: int) -> tuple[QuoteVersion, QuoteSection]:
    version = open_version(fetch(QuoteSection, section_id, field="section_id").version_id)
    section = fetch(QuoteSection, section_id, field="section_id")
    section.version = version
    return version, section
