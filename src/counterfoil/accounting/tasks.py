"""Jobs of the accounting interface, done by ``counterfoil worker``."""

from __future__ import annotations

from procrastinate.contrib.django import app

from counterfoil.accounting.checks import Check
from counterfoil.accounting.verification import verify
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import SYSTEM, Actor, Role


@command(roles=(Role.FINANCE,))
def verify_books(*, actor: Actor) -> list[Check]:
    """Run all checks of ``counterfoil verify`` and put the result into the audit trail, in words."""
    checks = verify()
    differing = [check.title for check in checks if not check.ok]
    if differing:
        sentence = f"verified the books: {len(differing)} of {len(checks)} checks differ: {'; '.join(differing)}"
        audit.record(actor, "accounting.books.differ", sentence, checks=len(checks), differing=differing)
    else:
        audit.record(actor, "accounting.books.verified", f"verified the books: all {len(checks)} checks hold")
    return checks


@app.periodic(cron="15 3 * * *")
@app.task(queueing_lock="verify_books")
def verify_books_nightly(timestamp: int) -> None:
    """Verify the books every night at 03:15 UTC; one run at a time, on whichever worker takes it."""
    verify_books(actor=SYSTEM)
