"""What developers need and users do not see."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(
        hidden=True,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    )(manage)


def manage(context: typer.Context) -> None:
    """Django's administrative commands: ``counterfoil manage makemigrations``."""
    import os

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "counterfoil.conf.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(["counterfoil manage", *context.args])
