"""What every command shares: role check, one transaction, audit, refusals in words.

    @command(roles=(Role.PROCUREMENT,))
    def send_purchase_order(*, actor: Actor, purchase_order_id: int) -> PurchaseOrder: ...

The decorator checks the actor's role, opens the transaction, appends the audit statements at the end, and turns what
the database refuses (a unique constraint lost in a race, a lock on posted records) into the :class:`DomainError` that
the user should read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final, ParamSpec, TypeVar, cast

from django.db import DatabaseError, DataError, IntegrityError, transaction

from counterfoil.core.errors import DomainError
from counterfoil.platform import audit
from counterfoil.platform.holds import Held
from counterfoil.platform.identity import Actor, Role

P = ParamSpec("P")
R = TypeVar("R")

#: Every command by its name ``<context>.<function>``, with the roles that may run it (the owner always may).
COMMANDS: Final[dict[str, frozenset[Role]]] = {}

#: Database constraint -> (code, message): what losing a race on it means to the user.
REFUSALS: Final[dict[str, tuple[str, str]]] = {}


def refuse_as(constraint: str, code: str, message: str) -> None:
    """Declare what a violation of ``constraint`` means: the business fact it guards."""
    REFUSALS[constraint] = (code, message)


def command(*, roles: Iterable[Role]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a command that only holders of ``roles`` (and the owner) may run.

    The function must take ``actor`` by keyword and call :func:`counterfoil.platform.audit.record` at least once.

    Raises (when called):
        DomainError: ``role_required`` when the actor lacks the role; what the function itself refuses; and what the
            database refuses, in words.
    """
    allowed = frozenset(roles)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        name = f"{function.__module__.removeprefix('counterfoil.').removesuffix('.commands')}.{function.__name__}"
        COMMANDS[name] = allowed

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            check_role(cast(Actor, kwargs["actor"]), allowed, function.__name__)
            try:
                return _run_in_transaction(name, functools.partial(function, *args, **kwargs))
            except Held as refusal:
                if audit._open_notebook.get() is None:  # the outermost
                    refusal.keep()
                raise
            except DatabaseError as error:
                raise refusal_of(error) from error

        run.roles = allowed  # type: ignore[attr-defined]
        return run

    return decorate


def check_role(actor: Actor, allowed: frozenset[Role], deed: str) -> None:
    """Refuse an actor who holds none of ``allowed``.

    Raises:
        DomainError: ``role_required``, naming the roles that may.
    """
    if actor.may(*allowed):
        return
    who = " or ".join(sorted({Role.OWNER.value, *(role.value for role in allowed)}))
    raise DomainError(
        "role_required",
        f"{actor.name} may not {deed.replace('_', ' ')}: it takes the role {who}.",
        hint="Ask the owner for the role, or ask somebody who has it.",
    )


def _run_in_transaction(name: str, deed: Callable[[], R]) -> R:
    """Run the command; the outermost one appends what all of them said."""
    outer = audit._open_notebook.get()
    notebook = audit.Notebook()
    token = audit._open_notebook.set(notebook)
    try:
        with transaction.atomic():
            result = deed()
            if not notebook.statements and not notebook.unchanged:
                raise RuntimeError(f"{name} left no audit statement")
            if outer is not None:
                outer.statements.extend(notebook.statements)
                outer.unchanged |= notebook.unchanged
            elif notebook.statements:
                audit.append(notebook.statements, at=datetime.now(UTC))
            return result
    finally:
        audit._open_notebook.reset(token)


def refusal_of(error: DatabaseError) -> DomainError:
    """What a refusal by the database means to the user; unknown ones are bugs and are raised as they are."""
    cause: Any = error.__cause__
    diag = getattr(cause, "diag", None)
    constraint = getattr(diag, "constraint_name", None) or ""
    sqlstate = getattr(cause, "sqlstate", None) or ""
    message = getattr(diag, "message_primary", None) or str(error)
    if constraint in REFUSALS:
        return DomainError(*REFUSALS[constraint])
    if message.startswith("counterfoil:"):
        code, _, text = message.removeprefix("counterfoil:").partition(":")
        return DomainError(code.strip(), text.strip())
    if message.startswith("pgtrigger: Cannot"):
        return DomainError(
            "posted_is_locked", "What is posted or closed cannot be changed.", hint="Reverse it and enter it anew."
        )
    if message.startswith("pgtrigger: Invalid transition"):
        return DomainError("wrong_state", "It has moved on meanwhile. Reload and look again.")
    if sqlstate == "22003":
        return DomainError("invalid", "A number is larger than can be kept.")
    if sqlstate in {"40001", "40P01", "55P03"}:
        return DomainError("conflict", "Somebody else is changing the same record. Try again in a moment.")
    if isinstance(error, DataError) and "NUL (0x00)" in message:
        return DomainError("invalid", "A text holds a NUL character, which cannot be kept.")
    if isinstance(error, IntegrityError) and sqlstate == "23505":
        return DomainError("duplicate", f"That is there already ({getattr(diag, 'message_detail', '') or constraint}).")
    raise error
