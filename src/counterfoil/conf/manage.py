"""Django's own administrative commands, for developers: ``counterfoil manage makemigrations``."""

from __future__ import annotations

import os
import sys


def main(argv: list[str] | None = None) -> None:
    """Run one of Django's commands with our settings."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "counterfoil.conf.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(["counterfoil manage", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    main()
