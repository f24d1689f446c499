"""Jobs of the match, done by ``counterfoil worker``."""

from __future__ import annotations

from datetime import UTC, datetime

from procrastinate.contrib.django import app


@app.periodic(cron="* * * * *")
@app.task(queueing_lock="match_what_changed")
def match_what_changed(timestamp: int) -> None:
    """Every minute, match the threads of which a leg has changed."""
    from counterfoil.matching.matching import drain

    drain(now=datetime.now(UTC))


@app.periodic(cron="30 2 * * *")
@app.task(queueing_lock="match_everything_at_night")
def match_everything_at_night(timestamp: int) -> None:
    """Once a day, match everything: what is overdue becomes so without anybody's doing."""
    from counterfoil.matching.matching import match_all

    match_all(now=datetime.now(UTC))
