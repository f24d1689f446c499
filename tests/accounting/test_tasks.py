"""The nightly verification is done by a worker and stands in the audit trail."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.db import connection
from tests.worker import do_jobs
from tests.world import FINANCE, World

from counterfoil.accounting.tasks import verify_books_nightly
from counterfoil.ledger.commands import ManualLine, post_manual_entry
from counterfoil.platform.models import AuditEntry

RENT = (ManualLine("6100", debit=Decimal("500")), ManualLine("1000", credit=Decimal("500")))


@pytest.mark.parametrize(("planted", "verb"), [(False, "accounting.books.verified"), (True, "accounting.books.differ")])
def test_a_worker_verifies_the_books_and_says_so(committed_world: World, planted: bool, verb: str) -> None:
    post_manual_entry(actor=FINANCE, on=date(2026, 1, 31), memo="Rent", lines=RENT)
    if planted:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE ledger_journalline DISABLE TRIGGER USER")
            cursor.execute("UPDATE ledger_journalline SET debit = debit + 0.01 WHERE debit > 0")
            cursor.execute("ALTER TABLE ledger_journalline ENABLE TRIGGER USER")

    verify_books_nightly.defer(timestamp=0)
    do_jobs()
    entry = AuditEntry.objects.order_by("-seq")[0]
    assert (entry.verb, entry.actor_name, entry.channel) == (verb, "Counterfoil", "job")
