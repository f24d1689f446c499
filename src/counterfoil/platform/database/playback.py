"""Playing migrations back without building all models anew after each operation.

Django renders the models that hang together, which is nearly all of them, after every operation of a migration. The
operations that add to a schema tell the database the same when the models are rendered once for a run of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from itertools import groupby
from typing import TYPE_CHECKING, Final

from django.db.migrations import AddConstraint, AddField, AddIndex, CreateModel, Migration, RemoveConstraint
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from pgtrigger.migrations import AddTrigger, RemoveTrigger

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

#: What may run together. A table is made as its model stands when the operation comes, so before fields are added to
#: it; the others look at one field, constraint, index or trigger each, and at nothing that another of them adds.
_TOGETHER: Final[dict[type[Operation], str]] = {
    CreateModel: "tables",
    AddField: "parts",
    AddIndex: "parts",
    AddConstraint: "parts",
    RemoveConstraint: "parts",
    AddTrigger: "parts",
    RemoveTrigger: "parts",
}

#: Fewer operations than these cost less one by one: a step renders all models, they those that hang together.
_FEW: Final = 4


class StepwiseExecutor(MigrationExecutor):
    """Applies migrations in steps, each a run of operations that may go together; in all else Django's own."""

    def apply_migration(
        self, state: ProjectState, migration: Migration, fake: bool = False, fake_initial: bool = False
    ) -> ProjectState:
        """Apply the migration; what is only noted as applied is left as it is written."""
        if not (fake or fake_initial):
            migration = _in_steps(migration)
        return super().apply_migration(state, migration, fake=fake, fake_initial=fake_initial)


class _Step(Operation):
    """Operations that are carried out one after the other between two states of the models."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = operations

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        # Models that are not rendered are not rendered anew; they will be when the first operation asks for them.
        state.__dict__.pop("apps", None)
        for operation in self.operations:
            operation.state_forwards(app_label, state)

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        for operation in self.operations:
            operation.database_forwards(app_label, schema_editor, from_state, to_state)


def _in_steps(migration: Migration) -> Migration:
    stepwise = copy(migration)
    vars(stepwise)["operations"] = list(_steps(migration.operations))
    return stepwise


def _steps(operations: Sequence[Operation]) -> Iterator[Operation]:
    for kind, run in groupby(operations, key=lambda operation: _TOGETHER.get(type(operation))):
        together = list(run)
        if kind is None or len(together) < _FEW:
            yield from together
        else:
            yield _Step(together)
