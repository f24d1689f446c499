"""A process of its own that works on a billing run when it is told to; started by the kill test.

    python -m tests.concurrency.billing_worker <database> <run id>

It says ``ready``, waits for a line, works, and says ``done``.
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

    from counterfoil.flows.billing_work import work

    connection.ensure_connection()
    print("ready", flush=True)
    sys.stdin.readline()
    work(int(sys.argv[2]))
    print("done", flush=True)


if __name__ == "__main__":
    main()
