"""Sent twice, done once: the ``Idempotency-Key``."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connection, connections, transaction
from django.http import HttpResponse
from tests.api.client import Api, MakeApi, key_of
from tests.world import World

from counterfoil.catalog import commands
from counterfoil.catalog.models import Category
from counterfoil.platform.identity import Role
from counterfoil.platform.models import AuditEntry, RememberedAnswer

KEY = {"Idempotency-Key": "order-66"}


def test_a_repeated_request_gets_the_first_answer_and_does_nothing(owner: Api) -> None:
    first = owner.send("POST", "/categories", {"name": "Hardware"}, **KEY)
    second = owner.send("POST", "/categories", {"name": "Hardware"}, **KEY)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert "Idempotent-Replay" not in first
    assert second["Idempotent-Replay"] == "true"
    assert Category.objects.count() == 1
    assert AuditEntry.objects.filter(verb__contains="category").count() == 1


def test_another_request_with_the_same_key_is_refused(owner: Api) -> None:
    owner.post("/categories", {"name": "Hardware"}, **KEY)
    assert owner.post("/categories", {"name": "Software"}, status=409, **KEY)["code"] == "idempotency_key_reused"
    assert owner.post("/agreement-types", {"name": "Hardware"}, status=409, **KEY)["code"] == "idempotency_key_reused"
    assert Category.objects.count() == 1


def test_a_key_belongs_to_its_user(make_api: MakeApi) -> None:
    make_api(Role.SALES).post("/categories", {"name": "Hardware"}, **KEY)
    make_api(Role.OWNER).post("/categories", {"name": "Software"}, **KEY)
    assert Category.objects.count() == 2


def test_a_refused_request_leaves_the_key_free(owner: Api) -> None:
    owner.post("/categories", {"name": ""}, status=422, **KEY)
    assert not RememberedAnswer.objects.exists()
    owner.post("/categories", {"name": "Hardware"}, **KEY)


def test_a_request_that_fails_in_the_middle_leaves_nothing(owner: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from counterfoil.api import area

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(area, "_rendered", fail)
        owner.post("/categories", {"name": "Hardware"}, status=500, **KEY)
    assert not Category.objects.exists()
    assert not RememberedAnswer.objects.exists()
    assert not AuditEntry.objects.filter(verb__contains="category").exists()
    owner.post("/categories", {"name": "Hardware"}, **KEY)


@pytest.mark.parametrize("key", ["", "x" * 101, "tab\there", "schlüssel"])
def test_keys_that_are_none(owner: Api, key: str) -> None:
    refused = owner.post("/categories", {"name": "Hardware"}, status=422, **{"Idempotency-Key": key})
    assert refused["field"] == "Idempotency-Key"
    assert not Category.objects.exists()


def race(*requests: Callable[[], HttpResponse]) -> list[HttpResponse]:
    """Send the requests at the same moment, each over a connection of its own."""
    barrier, answers, failures = threading.Barrier(len(requests)), [], []

    def send(request: Callable[[], HttpResponse]) -> None:
        try:
            barrier.wait(10)
            answers.append(request())
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send, args=(request,)) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    return answers


@pytest.mark.django_db(transaction=True)
def test_of_eight_at_once_with_one_key_one_is_done_and_all_get_its_answer(committed_world: World) -> None:
    key = key_of(Role.OWNER)
    body = {"on": "2026-01-25", "memo": "Rent",
            "lines": [{"account": "6000", "debit": "10"}, {"account": "1000", "credit": "10"}]}  # fmt: skip
    before = AuditEntry.objects.count()
    answers = race(*[lambda: Api(key).send("POST", "/journal-entries", body, **KEY)] * 8)
    assert [answer.status_code for answer in answers] == [201] * 8, [a.content for a in answers]
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotent-Replay" in answer for answer in answers) == 7
    assert AuditEntry.objects.count() == before + 1


@pytest.mark.django_db(transaction=True)
def test_who_waits_for_a_request_that_fails_is_done_instead(committed_world: World) -> None:
    """The first claims the key and fails; the second was waiting and runs."""
    key, claimed, go = key_of(Role.OWNER), threading.Event(), threading.Event()
    answers: list[HttpResponse] = []

    def claim_and_fail() -> None:
        try:
            with transaction.atomic():
                user = RememberedAnswer._meta.get_field("user").related_model.objects.get(name="owner")
                RememberedAnswer.objects.create(
                    user=user, key=KEY["Idempotency-Key"], request_sha256="x", status=0, body=""
                )
                claimed.set()
                go.wait(10)
                transaction.set_rollback(True)
        finally:
            connection.close()

    def repeat() -> None:
        answers.append(Api(key).send("POST", "/categories", {"name": "Printers"}, **KEY))
        connections.close_all()

    first, second = threading.Thread(target=claim_and_fail), threading.Thread(target=repeat)
    first.start()
    assert claimed.wait(10)
    second.start()
    second.join(0.7)
    assert second.is_alive(), "the second does not wait for the first"
    go.set()
    first.join(10)
    second.join(20)
    assert [answer.status_code for answer in answers] == [201]
    assert Category.objects.filter(name="Printers").count() == 1


def test_a_command_called_from_elsewhere_is_not_touched(owner: Api) -> None:
    from tests.world import OWNER

    commands.create_category(actor=OWNER, name="Direct")
    assert not RememberedAnswer.objects.exists()
