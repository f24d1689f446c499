"""Parts of a record in the editor of lines: a refusal of ``tiers[1].up_to`` is about the second line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from counterfoil.core.errors import DomainError


@contextmanager
def as_lines(part: str) -> Iterator[None]:
    """Let refusals of ``part`` name the line they are about.

    Raises:
        DomainError: what is refused inside, with ``lines`` in its field instead of ``part``.
    """
    try:
        yield
    except DomainError as error:
        field = error.field or ""
        if field.startswith(f"{part}["):
            error.field = "lines" + field.removeprefix(part)
        raise
