"""What every command has in common: a role, one transaction, a statement in the audit trail, refusals in words."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction
from tests.racing import at_once, refusals
from tests.snapshot import changed, snapshot
from tests.world import FINANCE, OWNER, VIEWER, World, actor_of

import counterfoil
from counterfoil.catalog.commands import create_category
from counterfoil.catalog.models import Category, Subcategory
from counterfoil.companies.commands import create_billing_terms, update_company
from counterfoil.companies.models import BillingTerms
from counterfoil.core.errors import CODES, DomainError
from counterfoil.platform import audit
from counterfoil.platform.commands import COMMANDS, REFUSALS, command, refusal_of, refuse_as
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.models import AuditEntry

#: Open to everybody who has an account: a person's own keys.
FOR_EVERYBODY = {"platform.users.create_api_token", "platform.users.revoke_api_token"}

#: What only calls commands.
DOORS = {"__main__", "adapters", "api", "cli", "conf", "web"}


def find_all() -> dict[str, Callable[..., Any]]:
    """Every command of the product by its name, from all modules there are."""
    found = {}
    for module in pkgutil.walk_packages(counterfoil.__path__, "counterfoil."):
        if module.name.split(".")[1] not in DOORS:
            for value in vars(importlib.import_module(module.name)).values():
                if inspect.isfunction(value) and hasattr(value, "roles") and value.__module__ == module.name:
                    name = f"{module.name.removeprefix('counterfoil.').removesuffix('.commands')}.{value.__name__}"
                    found[name] = value
    return found


ALL = find_all()


def test_every_command_is_known_by_name() -> None:
    ours = {name for name in COMMANDS if not name.startswith("tests.")}
    assert set(ALL) == ours
    assert len(ours) > 80


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_command_has_its_roles_and_takes_keywords_only(name: str) -> None:
    roles, parameters = COMMANDS[name], inspect.signature(ALL[name]).parameters
    assert roles
    assert {x.kind for x in parameters.values()} <= {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}
    assert all(str(x.annotation).startswith("Unpack[") for x in parameters.values() if x.kind is x.VAR_KEYWORD)
    assert next(iter(parameters)) == "actor"
    assert (ALL[name].__doc__ or "").strip()
    if name not in FOR_EVERYBODY:
        assert Role.VIEWER not in roles


def nonsense(function: Callable[..., Any]) -> dict[str, Any]:
    """Arguments that no command could do anything with."""
    return {name: object() for name in inspect.signature(function).parameters if name != "actor"}


@pytest.mark.parametrize("name", sorted(set(ALL) - FOR_EVERYBODY))
def test_a_viewer_is_refused_before_anything_is_read(name: str) -> None:
    """Without a database: a command that looked at one, or at its arguments, would fail otherwise."""
    for actor in (VIEWER, actor_of(name="Nobody")):
        with pytest.raises(DomainError) as caught:
            ALL[name](actor=actor, **nonsense(ALL[name]))
        assert caught.value.code == "role_required"
        assert actor.name in caught.value.message
        assert all(role.value in caught.value.message for role in COMMANDS[name])
        assert caught.value.hint


@pytest.mark.parametrize("role", [Role.SALES, Role.PROCUREMENT, Role.FINANCE])
def test_each_role_is_refused_what_it_is_not_for(role: Role) -> None:
    person, others = actor_of(role), [name for name, roles in ALL.items() if role not in COMMANDS[name]]
    assert others
    for name in others:
        with pytest.raises(DomainError) as caught:
            ALL[name](actor=person, **nonsense(ALL[name]))
        assert caught.value.code == "role_required", name


def test_nobody_may_run_a_command_without_saying_who() -> None:
    for name, function in ALL.items():
        with pytest.raises((KeyError, TypeError)):
            function(**nonsense(function))
        assert name in COMMANDS


# --- the audit trail ------------------------------------------------------------------------------------------------


@command(roles=(Role.FINANCE,))
def say_nothing(*, actor: Actor) -> None:
    """A command with a bug: it changes something and does not say so."""
    Category.objects.create(name="Silent")


@command(roles=(Role.FINANCE,))
def say_one_thing(*, actor: Actor, name: str) -> Category:
    """A command as it should be."""
    category = Category.objects.create(name=name)
    audit.record(actor, "test.said", f"made {name}", category)
    return category


@command(roles=(Role.FINANCE,))
def do_several(*, actor: Actor, names: list[str], then: Callable[[], object] = lambda: None) -> None:
    """A command that runs others and says something itself."""
    for name in names:
        say_one_thing(actor=actor, name=name)
    then()
    audit.record(actor, "test.done", f"made {len(names)}")


@command(roles=(Role.FINANCE,))
def try_and_go_on(*, actor: Actor, names: list[str]) -> list[str]:
    """A command that parks what is refused and goes on, as an invoicing run does."""
    parked = []
    for name in names:
        try:
            do_several(actor=actor, names=[name, f"{name} again"], then=lambda name=name: refuse_bad(name))
        except DomainError as refusal:
            parked.append(refusal.message)
    audit.record(actor, "test.tried", f"{len(parked)} parked")
    return parked


def refuse_bad(name: str) -> None:
    if name.startswith("bad"):
        raise DomainError("invalid", f"{name} is bad.")


@pytest.fixture(autouse=True, scope="module")
def forget_the_commands_of_this_module() -> object:
    yield
    for name in [name for name in COMMANDS if "test_commands" in name]:
        del COMMANDS[name]


def test_a_command_that_says_nothing_is_a_bug_and_changes_nothing(world: World) -> None:
    before = snapshot()
    with pytest.raises(RuntimeError, match="left no audit statement"):
        say_nothing(actor=FINANCE)
    assert changed(before) == []


def test_nothing_is_said_outside_a_command(world: World) -> None:
    with pytest.raises(RuntimeError, match="outside a command"):
        audit.record(FINANCE, "test.said", "made it up")


def test_what_does_not_hold_together_is_refused_before_anybody_waits_for_the_trail(world: World) -> None:
    before = AuditEntry.objects.count()
    with pytest.raises(IntegrityError, match="category_id"):
        do_several(
            actor=FINANCE, names=["Kept"], then=lambda: Subcategory.objects.create(category_id=0, name="Of none")
        )
    assert not Category.objects.filter(name="Kept").exists()
    assert AuditEntry.objects.count() == before


def test_statements_of_nested_commands_are_chained_in_order_as_one(world: World) -> None:
    before = AuditEntry.objects.count()

    do_several(actor=FINANCE, names=["Racks", "Cables"])

    said = AuditEntry.objects.order_by("seq")[before:]
    assert [(entry.verb, entry.sentence) for entry in said] == [
        ("test.said", "made Racks"),
        ("test.said", "made Cables"),
        ("test.done", "made 2"),
    ]
    assert len({entry.at for entry in said}) == 1
    assert not list(audit.broken_links())


def test_a_nested_refusal_undoes_everything(world: World) -> None:
    before = snapshot()
    with pytest.raises(DomainError, match="bad"):
        do_several(actor=FINANCE, names=["Racks"], then=lambda: refuse_bad("bad luck"))
    with pytest.raises(DomainError) as caught:
        do_several(actor=FINANCE, names=["Racks", "Racks"])
    assert caught.value.code == "duplicate"
    assert changed(before) == []
    do_several(actor=FINANCE, names=["Racks"])  # and nothing is left in the way of the next


def test_what_a_parked_command_did_and_said_is_gone_and_the_rest_stays(world: World) -> None:
    parked = try_and_go_on(actor=FINANCE, names=["Racks", "bad", "Cables"])

    assert parked == ["bad is bad."]
    assert set(Category.objects.filter(name__regex="^(Racks|Cables|bad)").values_list("name", flat=True)) == {
        "Racks", "Racks again", "Cables", "Cables again",
    }  # fmt: skip
    assert "bad" not in " ".join(AuditEntry.objects.values_list("sentence", flat=True))
    assert not list(audit.broken_links())


# --- what the database refuses --------------------------------------------------------------------------------------


def test_every_declared_refusal_names_a_constraint_that_is_there(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT conname FROM pg_constraint UNION SELECT indexname FROM pg_indexes")
        there = {name for (name,) in cursor.fetchall()}
    assert sorted(set(REFUSALS) - there) == []
    assert {code for code, _ in REFUSALS.values()} <= set(CODES)


def test_a_constraint_is_refused_in_the_words_declared_for_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    create_category(actor=OWNER, name="Racks")
    with pytest.raises(DomainError, match="category of that name") as caught:
        say_one_thing(actor=FINANCE, name="Racks")
    assert caught.value.code == "duplicate"

    monkeypatch.delitem(REFUSALS, "catalog_category_name_key")
    with pytest.raises(DomainError, match="there already") as caught:
        say_one_thing(actor=FINANCE, name="Racks")
    assert caught.value.code == "duplicate"

    refuse_as("catalog_category_name_key", "conflict", "Taken.")
    with pytest.raises(DomainError, match=r"Taken\.") as caught:
        say_one_thing(actor=FINANCE, name="Racks")
    assert caught.value.code == "conflict"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM no_such_table",
        "SELECT 1 / 0",
        "INSERT INTO catalog_category (name) VALUES (NULL)",
        "INSERT INTO catalog_subcategory (name, category_id) VALUES ('x', -1); SET CONSTRAINTS ALL IMMEDIATE",
        "UPDATE catalog_product SET cost = -1",
        "DO $$ BEGIN RAISE EXCEPTION 'something else'; END $$",
    ],
)
def test_an_unknown_error_of_the_database_is_a_bug_and_is_not_dressed_up(world: World, statement: str) -> None:
    def fail() -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)

    before = snapshot()
    with pytest.raises(DatabaseError):
        do_several(actor=FINANCE, names=["Racks"], then=fail)
    assert changed(before) == []


def test_an_error_that_is_no_error_of_the_database_goes_through_and_undoes_everything(world: World) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    before = snapshot()
    with pytest.raises(ZeroDivisionError):
        do_several(actor=FINANCE, names=["Racks"], then=fail)
    assert changed(before) == []


@pytest.mark.parametrize(
    ("sqlstate", "code"),
    [("40001", "conflict"), ("40P01", "conflict"), ("55P03", "conflict"), ("22003", "invalid")],
)
def test_what_a_person_can_try_again_or_mend_is_said_so(world: World, sqlstate: str, code: str) -> None:
    with pytest.raises(DomainError) as caught:
        do_several(actor=FINANCE, names=[], then=lambda: _raise_in_database(sqlstate))
    assert caught.value.code == code


def test_a_text_that_the_database_cannot_keep_is_refused(world: World) -> None:
    before = snapshot()
    with pytest.raises(DomainError, match="NUL") as caught:
        create_category(actor=OWNER, name="Ra\x00cks")
    assert caught.value.code == "invalid"
    assert changed(before) == []


def _raise_in_database(sqlstate: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'as you wish' USING ERRCODE = '{sqlstate}'; END $$")


def test_a_refusal_without_a_cause_is_raised_as_it_is() -> None:
    for error in (OperationalError("the server went away"), IntegrityError("what?")):
        with pytest.raises(type(error)):
            refusal_of(error)


@pytest.mark.django_db(transaction=True)
def test_of_two_commands_that_wait_for_each_other_one_goes_on_and_one_may_try_again(committed_world: World) -> None:
    """A real deadlock: each holds the record that the other wants."""
    acme, globex, held = committed_world.acme, committed_world.globex, (Event(), Event())

    def cross(first: int, second: int, mine: Event, other: Event) -> Callable[[], object]:
        def run() -> object:
            def wait_and_change() -> None:
                mine.set()
                other.wait(timeout=10)
                update_company(actor=OWNER, company_id=second, phone="2")

            return change_then(actor=OWNER, company_id=first, then=wait_and_change)

        return run

    results = at_once(cross(acme.pk, globex.pk, *held), cross(globex.pk, acme.pk, *reversed(held)))

    (loser,) = refusals(results)
    assert loser.code == "conflict"
    assert "Try again" in loser.message
    acme.refresh_from_db()
    globex.refresh_from_db()
    assert sorted((acme.phone, globex.phone)) == ["1", "2"]  # the winner changed both, the loser neither
    assert not list(audit.broken_links())


@command(roles=(Role.OWNER,))
def change_then(*, actor: Actor, company_id: int, then: Callable[[], object]) -> None:
    """Change a company, keep it locked and do something else."""
    update_company(actor=actor, company_id=company_id, phone="1")
    then()


@pytest.mark.django_db(transaction=True)
def test_of_two_who_make_the_same_thing_at_once_one_is_told_that_it_is_there(committed_world: World) -> None:
    results = at_once(*[lambda: create_billing_terms(actor=OWNER, name="Net 7", due_days=7)] * 4)

    assert [refusal.code for refusal in refusals(results)] == ["duplicate"] * 3
    assert BillingTerms.objects.filter(name="Net 7").count() == 1
    with transaction.atomic():
        assert not list(audit.broken_links())
