"""What the pages of the documentation point at is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PACKAGE, TESTS = ROOT / "src" / "counterfoil", ROOT / "tests"


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ +(.+)$", page.read_text(), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", page.read_text()):
        link = next(filter(None, target))
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        goal = (page.parent / path).resolve() if path else page
        if not goal.exists() or (anchor and goal.suffix == ".md" and anchor not in anchors(goal)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_are_named_are_there(page: Path) -> None:
    """``core/states.py``, ``tests/ledger/test_posting.py`` and ``docs/domain`` are names of ours."""
    named = re.findall(r"`((?:[a-z_]+/)+[\w.]*)`", page.read_text())
    missing = [
        path
        for path in named
        if not any((base / path).exists() for base in (ROOT, PACKAGE, ROOT / "docs", TESTS, page.parent))
    ]
    assert missing == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "decisions").glob("0*.md")), ids=name)
def test_a_decision_has_its_reasons_and_is_held_by_something(page: Path) -> None:
    text = page.read_text()
    for part in ("**Decision.**", "**Context.**", "**Consequences.**", "**Held by.**"):
        assert part in text, part
