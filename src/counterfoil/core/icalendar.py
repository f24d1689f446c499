"""Calendars that other programs subscribe to: iCalendar (RFC 5545), all-day events only.

Lines end with CR LF and are folded at 75 octets (section 3.1); text is escaped (3.3.11).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

MOST_OCTETS: Final = 75
_ESCAPES: Final = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n", "\r": None})
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Event:
    """Something on a day.

    Attributes:
        uid: the same whenever the calendar is asked for, so that programs know it again.
        day: on which.
        summary: one line.
        description: more.
        url: where to act.
        category: one word for a colour.
    """

    uid: str
    day: date
    summary: str
    description: str = ""
    url: str = ""
    category: str = ""


def calendar(name: str, events: Iterable[Event], *, now: datetime) -> str:
    """The calendar as a text.

    Args:
        name: as programs show it.
        events: in any order.
        now: when it was asked for, aware.
    """
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Counterfoil//Renewals//EN",
        "CALSCALE:GREGORIAN",
        f"X-WR-CALNAME:{escaped(name)}",
    ]
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    for event in events:
        lines += _event(event, stamp)
    lines.append("END:VCALENDAR")
    return "".join(f"{part}\r\n" for line in lines for part in folded(line))


def _event(event: Event, stamp: str) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{escaped(event.uid)}"
    yield f"DTSTAMP:{stamp}"
    yield f"DTSTART;VALUE=DATE:{event.day:%Y%m%d}"
    yield f"DTEND;VALUE=DATE:{event.day + _DAY:%Y%m%d}"
    yield f"SUMMARY:{escaped(event.summary)}"
    if event.description:
        yield f"DESCRIPTION:{escaped(event.description)}"
    if event.url:
        yield f"URL:{''.join(event.url.split())}"
    if event.category:
        yield f"CATEGORIES:{escaped(event.category)}"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def escaped(text: str) -> str:
    """A text as a value: backslash, semicolon, comma and line breaks are escaped, other control characters left out."""
    value = text.replace("\r\n", "\n").translate(_ESCAPES)
    return "".join(character for character in value if character >= " " and character != "\x7f")


def folded(line: str) -> Iterator[str]:
    """The line in parts of at most 75 octets, later ones begun by a blank; no character is cut in two."""
    part, octets = "", 0
    for character in line:
        size = len(character.encode())
        if octets + size > MOST_OCTETS:
            yield part
            part, octets = " ", 1
        part += character
        octets += size
    yield part
