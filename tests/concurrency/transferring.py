"""A process of its own that transfers a batch when it is told to; started by the kill test.

    python -m tests.concurrency.transferring <database> <batch id>

It says ``ready <backend pid>``, waits for a line, transfers, and says ``done`` or the refusal's code.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = sys.argv[1]
    import django

    django.setup()
    from django.db import connection
    from tests.accounting.records import NOW
    from tests.world import FINANCE

    from counterfoil.accounting.commands import transfer_batch
    from counterfoil.core.errors import DomainError

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        print("ready", cursor.fetchone()[0], flush=True)
    sys.stdin.readline()
    try:
        transfer_batch(actor=FINANCE, batch_id=int(sys.argv[2]), now=NOW)
        print("done", flush=True)
    except DomainError as refused:
        print(refused.code, flush=True)


if __name__ == "__main__":
    main()
