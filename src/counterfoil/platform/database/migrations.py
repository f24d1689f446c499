"""Whether the database has the shape this version needs."""

from __future__ import annotations

from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Final

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from counterfoil.platform.database.client import ensure_fit, ensure_tables_can_be_made


def pending_migrations() -> list[str]:
    """Migrations that this version brings and the database has not run, as ``app.name``."""
    # Every command asks. Names tell that nothing is missing; what is missing Django says, which reads all the files.
    if _names_on_disk() <= set(MigrationRecorder(connections[DEFAULT_DB_ALIAS]).applied_migrations()):
        return []
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    targets = executor.loader.graph.leaf_nodes()
    return [f"{migration.app_label}.{migration.name}" for migration, _ in executor.migration_plan(targets)]


def _names_on_disk() -> set[tuple[str, str]]:
    """App and name of each migration's file, unread."""
    names = set()
    for app in apps.get_app_configs():
        place, _ = MigrationLoader.migrations_module(app.label)
        package = find_spec(place) if place else None
        files = iter_modules((package and package.submodule_search_locations) or [])
        names |= {(app.label, file.name) for file in files if not file.ispkg and file.name[0] not in "_~"}
    return names


def unknown_migrations() -> list[str]:
    """Migrations that the database has run and this version does not know: it was made by a newer one."""
    loader = MigrationExecutor(connections[DEFAULT_DB_ALIAS]).loader
    known_apps = loader.migrated_apps
    return [
        f"{app}.{name}"
        for app, name in sorted(loader.applied_migrations)
        if app in known_apps and (app, name) not in loader.disk_migrations and (app, name) not in loader.replacements
    ]


def known_migrations() -> set[str]:
    """Every migration that this version knows, as ``app.name``; asks no database."""
    loader = MigrationLoader(None)
    return {f"{app}.{name}" for app, name in loader.disk_migrations}


def migrate(verbosity: int = 0) -> None:
    """Bring the database up to date. Two that do so at once go one after the other.

    Raises:
        DatabaseUnavailable: the server is too old, the database is not in UTF8, or no tables can be made there.
    """
    from django.core.management import call_command

    connection = connections[DEFAULT_DB_ALIAS]
    connection.ensure_connection()
    ensure_fit(connection.connection)
    ensure_tables_can_be_made(connection.connection)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_MIGRATION_LOCK])
        try:
            if not connection.introspection.table_names(cursor):
                _create_tables()
            call_command("migrate", interactive=False, verbosity=verbosity)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_MIGRATION_LOCK])


#: Apps whose migrations make what their models do not tell: the job queue's functions, keys of Django's own tables.
MUST_MIGRATE: Final = frozenset({"auth", "contenttypes", "procrastinate"})


def _create_tables() -> None:
    """Make the tables of an empty database straight from the models, and note their migrations as run; all or nothing.

    Playing back every migration takes Django several times as long, because it rebuilds all models at every step. That
    both ways lead to the same schema is tested. For the same reason the job queue's migrations go first, while there
    are no models yet; they cannot run in one transaction.
    """
    import pgtrigger
    from django.core.management import call_command
    from django.core.management.commands.migrate import Command
    from pghistory.models import Context

    connection = connections[DEFAULT_DB_ALIAS]
    call_command("migrate", "procrastinate", interactive=False, verbosity=0)
    labels = MigrationLoader(connection).migrated_apps - MUST_MIGRATE
    with transaction.atomic():
        call_command("migrate", "auth", interactive=False, verbosity=0)
        command = Command()
        command.verbosity = 0
        command.sync_apps(connection, labels)
        Context.install_pgh_attach_context_func()
        pgtrigger.install()
        recorder = MigrationRecorder(connection)
        recorder.ensure_schema()
        for app, name in sorted(MigrationLoader(None).disk_migrations or ()):
            if app in labels:
                recorder.record_applied(app, name)


#: An arbitrary number that nothing else locks.
_MIGRATION_LOCK = 7_310_926_001
