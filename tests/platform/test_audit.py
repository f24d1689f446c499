"""The audit trail: a chain that stays whole with many hands on it, and names every link that somebody tampered with."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from django.db import DatabaseError, connection, transaction
from tests.racing import at_once, refusals
from tests.world import FINANCE, OWNER, SALES, World

from counterfoil.accounting.verification import verify
from counterfoil.catalog.commands import create_category, update_product
from counterfoil.companies.commands import create_billing_terms, update_company
from counterfoil.companies.models import Company
from counterfoil.core.errors import DomainError
from counterfoil.platform.audit import GENESIS, broken_links, entry_hash, trail_of
from counterfoil.platform.commands import refusal_of
from counterfoil.platform.models import AuditEntry, AuditHead


@pytest.fixture
def trail(world: World) -> list[AuditEntry]:
    """Five entries more at the end of the chain; they are handed over in order."""
    before = AuditEntry.objects.count()
    for days in range(5):
        create_billing_terms(actor=FINANCE, name=f"Within {days} days", due_days=days)
    entries = list(AuditEntry.objects.order_by("seq")[before:])
    assert len(entries) == 5
    return entries


# --- many hands -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_chain_is_whole_after_many_commands_from_several_connections(committed_world: World) -> None:
    hands, deeds, before = 6, 8, AuditEntry.objects.count()

    def work(hand: int) -> Callable[[], object]:
        def run() -> None:
            for deed in range(deeds):
                if deed % 4 == 3:  # one in four is refused, and leaves neither an entry nor a hole
                    with pytest.raises(DomainError):
                        create_category(actor=OWNER, name="Hardware")
                else:
                    create_category(actor=OWNER, name=f"Category {hand}.{deed}")

        return run

    assert not refusals(at_once(*[work(hand) for hand in range(hands)]))

    sequence = list(AuditEntry.objects.order_by("seq").values_list("seq", flat=True))
    assert sequence == list(range(1, before + hands * 6 + 1))
    assert len(set(AuditEntry.objects.values_list("previous_hash", flat=True))) == len(sequence)  # it never forks
    head = AuditHead.objects.get()
    assert (head.seq, head.hash) == (sequence[-1], AuditEntry.objects.get(seq=head.seq).hash)
    assert list(broken_links()) == []


def test_each_entry_says_who_when_what_and_follows_the_one_before(trail: list[AuditEntry]) -> None:
    for former, entry in pairwise(trail):
        assert entry.previous_hash == former.hash
        assert entry.seq == former.seq + 1
        assert entry.at >= former.at
    assert trail[0].actor_name == FINANCE.name
    assert trail[0].channel == "page"
    assert "Within 0 days" in trail[0].sentence
    assert AuditEntry.objects.get(seq=1).previous_hash == GENESIS


def test_the_hash_covers_every_column(trail: list[AuditEntry]) -> None:
    entry, other = trail[2], trail[3]
    for field in AuditEntry._meta.concrete_fields:
        if field.attname == "hash":
            continue
        kept, changed = getattr(entry, field.attname), getattr(other, field.attname)
        changed = {"changed": True} if field.attname == "data" else f"{kept}x" if kept == changed else changed
        if field.attname == "actor_id":
            changed = 4711
        setattr(entry, field.attname, changed)
        assert entry_hash(entry) != entry.hash, field.attname
        setattr(entry, field.attname, kept)
    assert entry_hash(entry) == entry.hash


def test_words_and_numbers_of_any_kind_come_back_as_they_were_hashed(world: World) -> None:
    name = "Žižkov “Büro” 漢字 🖥 \\ \" ' \t end"
    update_company(actor=SALES, company_id=world.acme.pk, name=name)
    assert list(broken_links()) == []


# --- tampering ------------------------------------------------------------------------------------------------------


def without_guards(*statements: tuple[str, list[object]]) -> None:
    """What somebody could do who owns the database: switch the triggers off and write."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {TABLE} DISABLE TRIGGER USER")
        for statement, values in statements:
            cursor.execute(statement, values)
        cursor.execute(f"ALTER TABLE {TABLE} ENABLE TRIGGER USER")


TABLE, HEAD = AuditEntry._meta.db_table, AuditHead._meta.db_table


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("sentence", "did something harmless"),
        ("actor_name", "Somebody Else"),
        ("actor_id", 1),
        ("channel", "api"),
        ("verb", "other.deed"),
        ("object_id", 99),
        ("object_type", "companies.company"),
        ("at", "2020-01-01T00:00:00Z"),
        ("data", '{"more": 1}'),
    ],
)
def test_a_changed_entry_is_named(trail: list[AuditEntry], column: str, value: object) -> None:
    without_guards((f"UPDATE {TABLE} SET {column} = %s WHERE seq = %s", [value, trail[2].seq]))

    (found,) = broken_links()
    assert f"audit entry {trail[2].seq} was changed" in found


def test_a_changed_entry_with_a_hash_made_to_fit_is_named_by_the_next_one(trail: list[AuditEntry]) -> None:
    entry = trail[2]
    entry.sentence = "did something harmless"
    without_guards(
        (f"UPDATE {TABLE} SET sentence = %s, hash = %s WHERE seq = %s", [entry.sentence, entry_hash(entry), entry.seq])
    )

    assert list(broken_links()) == [f"audit entry {trail[3].seq} does not follow the one before it"]


def test_an_entry_deleted_in_the_middle_is_named(trail: list[AuditEntry]) -> None:
    without_guards((f"DELETE FROM {TABLE} WHERE seq = %s", [trail[2].seq]))

    found = list(broken_links())
    assert f"audit entry {trail[2].seq} is missing (the next one is {trail[3].seq})" in found
    assert f"audit entry {trail[3].seq} does not follow the one before it" in found


def test_a_gap_that_was_closed_up_is_named(trail: list[AuditEntry]) -> None:
    """One entry deleted, those after it numbered anew, and the head moved back."""
    without_guards(
        (f"DELETE FROM {TABLE} WHERE seq = %s", [trail[2].seq]),
        (f"UPDATE {TABLE} SET seq = seq - 1 WHERE seq = %s", [trail[3].seq]),
        (f"UPDATE {TABLE} SET seq = seq - 1 WHERE seq = %s", [trail[4].seq]),
        (f"UPDATE {HEAD} SET seq = seq - 1", []),
    )

    found = list(broken_links())
    assert f"audit entry {trail[2].seq} does not follow the one before it" in found


@pytest.mark.parametrize("kept", [4, 1, 0])
def test_a_tail_cut_off_is_named(trail: list[AuditEntry], kept: int) -> None:
    last = trail[0].seq - 1 + kept
    without_guards((f"DELETE FROM {TABLE} WHERE seq > %s", [last]))

    assert list(broken_links()) == [f"the audit trail ends at entry {last}, but {trail[-1].seq} were written"]


def test_a_trail_that_was_emptied_is_named(trail: list[AuditEntry]) -> None:
    without_guards((f"DELETE FROM {TABLE}", []))

    assert list(broken_links()) == [f"the audit trail ends at entry 0, but {trail[-1].seq} were written"]


def test_a_missing_head_is_named(trail: list[AuditEntry]) -> None:
    """Without the head nobody could tell whether the tail was cut off."""
    without_guards((f"DELETE FROM {HEAD}", []))

    (found,) = broken_links()
    assert "head" in found


def test_entries_that_changed_places_are_named(trail: list[AuditEntry]) -> None:
    one, two = trail[1].seq, trail[2].seq
    without_guards(
        (f"UPDATE {TABLE} SET seq = -1 WHERE seq = %s", [one]),
        (f"UPDATE {TABLE} SET seq = %s WHERE seq = %s", [one, two]),
        (f"UPDATE {TABLE} SET seq = %s WHERE seq = -1", [two]),
    )

    found = list(broken_links())
    for seq in (one, two):
        assert any(link.startswith(f"audit entry {seq} ") for link in found)


def test_an_entry_slipped_in_at_the_end_is_named(trail: list[AuditEntry]) -> None:
    forged = trail[-1]
    forged.seq, forged.previous_hash, forged.sentence = forged.seq + 1, forged.hash, "closed the year"
    forged.hash = entry_hash(forged)
    forged.save(force_insert=True)  # the guard lets entries be added: commands do

    (found,) = broken_links()
    assert found == f"the audit trail ends at entry {forged.seq}, but {forged.seq - 1} were written"


def test_verify_says_what_was_tampered_with(trail: list[AuditEntry]) -> None:
    assert next(check for check in verify() if check.name == "audit").ok
    without_guards((f"UPDATE {TABLE} SET sentence = 'x' WHERE seq = %s", [trail[2].seq]))

    check = next(check for check in verify() if check.name == "audit")
    assert not check.ok
    assert f"audit entry {trail[2].seq} was changed" in " ".join(check.details)


def test_the_database_neither_changes_nor_deletes_entries(trail: list[AuditEntry]) -> None:
    mine = AuditEntry.objects.filter(seq=trail[2].seq)
    for deed in (
        lambda: mine.update(sentence="x"),
        mine.delete,
        lambda: mine.get().delete(),
        lambda: AuditEntry.objects.all().delete(),
        lambda: connection.cursor().execute(f"UPDATE {TABLE} SET sentence = 'x'"),
        lambda: connection.cursor().execute(f"DELETE FROM {TABLE}"),
    ):
        with pytest.raises(DatabaseError) as caught, transaction.atomic():
            deed()
        assert refusal_of(caught.value).code == "posted_is_locked"
    assert list(broken_links()) == []


# --- the trail of a record ------------------------------------------------------------------------------------------


def test_the_trail_of_a_record_is_what_was_done_to_it_newest_first(world: World) -> None:
    update_company(actor=SALES, company_id=world.acme.pk, phone="1")
    update_company(actor=OWNER, company_id=world.globex.pk, phone="2")
    update_company(actor=OWNER, company_id=world.acme.pk, phone="3")
    update_product(actor=OWNER, product_id=world.lease.pk, description="Server, leased")

    assert [entry.actor_name for entry in trail_of(world.acme)] == [OWNER.name, SALES.name]
    assert [entry.object_id for entry in trail_of(world.acme, world.globex)] == [
        world.acme.pk,
        world.globex.pk,
        world.acme.pk,
    ]
    assert [entry.object_type for entry in trail_of(world.lease)] == ["catalog.product"]
    assert not trail_of(world.ingram)
    assert not trail_of()


def test_a_record_with_the_same_id_in_another_table_has_a_trail_of_its_own(world: World) -> None:
    update_company(actor=SALES, company_id=world.acme.pk, phone="1")
    namesake = world.lease
    namesake.pk = world.acme.pk
    assert not trail_of(namesake)
    assert Company.objects.filter(pk=world.acme.pk).exists()
