"""Calendars for other programs (RFC 5545): escaping, folding, and the text as a whole."""

from __future__ import annotations

from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.icalendar import MOST_OCTETS, Event, calendar, escaped, folded

NOW = datetime(2026, 3, 15, 12, 30, tzinfo=UTC)
RENEWAL = Event(
    "renewal-1@counterfoil", date(2026, 12, 31), "Renewal: Smith, Jones; Co", "25 × Büro\nAsk them.", "https://x/1",
    "Renewal",
)  # fmt: skip


def test_a_calendar() -> None:
    assert calendar("Northwind IT renewals", [RENEWAL], now=NOW).split("\r\n") == [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Counterfoil//Renewals//EN",
        "CALSCALE:GREGORIAN",
        "X-WR-CALNAME:Northwind IT renewals",
        "BEGIN:VEVENT",
        "UID:renewal-1@counterfoil",
        "DTSTAMP:20260315T123000Z",
        "DTSTART;VALUE=DATE:20261231",
        "DTEND;VALUE=DATE:20270101",
        "SUMMARY:Renewal: Smith\\, Jones\\; Co",
        "DESCRIPTION:25 × Büro\\nAsk them.",
        "URL:https://x/1",
        "CATEGORIES:Renewal",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]


def test_what_is_empty_is_left_out() -> None:
    text = calendar("x", [Event("u", date(2026, 1, 1), "s")], now=NOW)
    assert not any(name in text for name in ("DESCRIPTION", "URL", "CATEGORIES"))


def test_nobody_writes_lines_of_his_own() -> None:
    assert escaped("a\r\nEND:VCALENDAR\x0b\x85\\") == "a\\nEND:VCALENDAR\x85\\\\"
    event = Event("u", date(2026, 1, 1), "s\nX:1", url="https://x/\r\nX:1")
    assert all(not line.startswith("X:") for line in calendar("n", [event], now=NOW).split("\r\n"))


@given(st.text(max_size=400))
def test_a_folded_line_is_short_and_unfolds_to_what_it_was(text: str) -> None:
    line = f"SUMMARY:{escaped(text)}"
    parts = list(folded(line))
    assert all(len(part.encode("utf-8", "surrogatepass")) <= MOST_OCTETS for part in parts)
    assert all(part.startswith(" ") for part in parts[1:])
    assert parts[0] + "".join(part[1:] for part in parts[1:]) == line
