"""An empty database is made straight from the models; playing the migrations back must lead to the very same schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import DjangoDbBlocker

from counterfoil.platform.database import DatabaseUnavailable
from counterfoil.platform.database.migrations import migrate, pending_migrations

QUESTIONS = {
    "columns": """
        SELECT table_name, column_name, data_type, character_maximum_length, numeric_precision, numeric_scale,
               is_nullable, column_default
        FROM information_schema.columns WHERE table_schema = 'public'""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "triggers": "SELECT tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    "functions": "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
}


@pytest.fixture
def in_new_database(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, settings: Any
) -> Iterator[Callable[[str], None]]:
    """Switches the connection to an empty database of the given name; both are dropped and switched back at the end."""
    settings.MIGRATION_MODULES = {}
    settings.PGTRIGGER_INSTALL_ON_MIGRATE = False
    settings.PGHISTORY_INSTALL_CONTEXT_FUNC_ON_MIGRATE = False
    usual, made = connection.settings_dict["NAME"], []

    def connect(name: str) -> None:
        connection.close()
        connection.settings_dict["NAME"] = name

    def switch(name: str) -> None:
        connect(usual)
        with connection.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{usual}_{name}"')
        made.append(f"{usual}_{name}")
        connect(made[-1])

    with django_db_blocker.unblock():
        yield switch
        connect(usual)
        with connection.cursor() as cursor:
            for name in made:
                cursor.execute(f'DROP DATABASE "{name}"')


def schema() -> dict[str, list[tuple[Any, ...]]]:
    """Everything the database is made of, apart from the order of columns."""
    with connection.cursor() as cursor:
        answers = {}
        for name, question in QUESTIONS.items():
            cursor.execute(question)
            answers[name] = sorted(cursor.fetchall(), key=repr)
        return answers


@pytest.mark.slow
def test_models_and_migrations_lead_to_the_same_schema(in_new_database: Callable[[str], None]) -> None:
    in_new_database("played_back")
    call_command("migrate", verbosity=0, interactive=False)
    played_back = schema()

    in_new_database("straight")
    migrate()
    assert pending_migrations() == []
    straight = schema()

    for part, rows in played_back.items():
        assert straight[part] == rows, part


def test_tables_are_made_where_a_backup_looks_for_them(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA AUTHORIZATION CURRENT_USER")
    with pytest.raises(DatabaseUnavailable, match="in public"):
        migrate()


def test_every_change_of_the_models_has_its_migration(settings: Any, db: None) -> None:
    settings.MIGRATION_MODULES = {}
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
