"""Many rows in one statement: every type comes back as it went in, and the database refuses as it always does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.postgres.fields import ArrayField
from django.db import DataError, IntegrityError, connection, models, transaction
from django.test.utils import CaptureQueriesContext, isolate_apps

from counterfoil.ledger.models import Account, AccountingPeriod, DefaultAccount
from counterfoil.platform.copying import copy_encoded, copy_rows, encode_rows, take_ids, update_rows
from counterfoil.platform.fields import price_field
from counterfoil.platform.models import AuditEntry, User

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 15, 12, 30, 15, 123456, tzinfo=UTC)


def test_texts_numbers_times_and_json_come_back_as_they_went_in() -> None:
    row: dict[str, Any] = {
        "seq": 2**40, "at": NOW, "actor_id": None, "actor_name": "Zoë “Z” 東", "channel": "page", "verb": "a.b",
        "sentence": "line\nbreak\ttab \\ 'quote'", "object_type": "", "object_id": 7,
        "data": {"amount": "1.50", "list": [1, None, True]}, "previous_hash": "0" * 64, "hash": "1" * 64,
    }  # fmt: skip
    assert copy_rows(AuditEntry, list(row), [row.values()]) == 1
    assert AuditEntry.objects.values(*row).get() == row


def test_arrays_and_booleans() -> None:
    columns = ("email", "name", "password", "roles", "is_active", "is_superuser", "last_login")
    rows = [("a@b.c", "A", "", ["sales", "finance"], False, True, NOW), ("d@b.c", "D", "", [], True, False, None)]
    copy_rows(User, columns, rows)
    assert list(User.objects.order_by("email").values_list(*columns[3:])) == [
        (["sales", "finance"], False, True, NOW),
        ([], True, False, None),
    ]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("0", "0"), ("0.06", "0.06"), ("-1.5", "-1.5"), ("999999999999.99999999", "999999999999.99999999"),
        ("0.00000001", "0.00000001"), ("1E+3", "1000"), ("100.00", "100"), ("10000.0001", "10000.0001"),
    ],
)  # fmt: skip
@isolate_apps("counterfoil.platform")
def test_decimals_to_the_last_digit(given: str, kept: str) -> None:
    class Sample(models.Model):
        value = price_field()

        class Meta:
            app_label = "platform"

    with connection.schema_editor() as editor:
        editor.create_model(Sample)
    copy_rows(Sample, ["value"], [[Decimal(given)]])
    assert Sample.objects.get().value == Decimal(kept)


AWKWARD = [
    "",
    "NULL",
    "\\N",
    "\\.",
    "\\",
    "\\t",
    "tab\there",
    "line\r\nbreak",
    "'quoted', \"twice\"",
    "Zoë 東 \u2028",
    " ",
]


@pytest.mark.parametrize("amounts", [1, 6], ids=["binary", "text"])
@isolate_apps("counterfoil.platform")
def test_whatever_is_written_arrives_in_either_format(amounts: int) -> None:
    """Tables of many amounts are copied as text, where tabs, line ends and backslashes mean something."""
    prices = {f"price_{n}": price_field(null=True) for n in range(amounts)}
    others: dict[str, Any] = {
        "words": models.TextField(),
        "day": models.DateField(null=True),
        "at": models.DateTimeField(),
        "taxable": models.BooleanField(),
        "data": models.JSONField(),
        "places": ArrayField(models.PositiveSmallIntegerField()),
        "names": ArrayField(models.CharField(max_length=20)),
    }
    meta = type("Meta", (), {"app_label": "platform"})
    sample: Any = type("Sample", (models.Model,), {"__module__": __name__, "Meta": meta, **prices, **others})
    with connection.schema_editor() as editor:
        editor.create_model(sample)
    columns = [*prices, *others]
    is_text = amounts > 1
    rows = [
        (
            *(None if n == 1 else Decimal(f"{n - 2}.00000001") * 10**n for n in range(amounts)),
            words, None if words == "NULL" else date(2026, 2, 28), NOW, words == "",
            {"said": words, "list": [None, True]}, [1, 2], [words, "a,b"],
        )
        for words in AWKWARD
    ]  # fmt: skip
    with CaptureQueriesContext(connection) as statements:
        assert copy_rows(sample, columns, rows) == copy_encoded(encode_rows(sample, columns, rows)) == len(rows)
    assert [("FORMAT TEXT" in each["sql"]) for each in statements] == [is_text, is_text]
    assert list(sample.objects.order_by("pk").values_list(*columns)) == [*rows, *rows]


def test_dates_and_foreign_keys_by_either_name() -> None:
    copy_rows(AccountingPeriod, ("start", "end", "status"), [(date(2026, 1, 1), date(2026, 2, 1), "open")])
    assert AccountingPeriod.objects.get().end == date(2026, 2, 1)

    account = Account.objects.create(code="1", name="Bank", type="bank")
    copy_rows(DefaultAccount, ("role", "account"), [("bank", account.pk)])
    copy_rows(DefaultAccount, ("role", "account_id"), [("cogs", account.pk)])
    assert account.default_for.count() == 2
    with pytest.raises(LookupError, match="DefaultAccount has no column acount"):
        copy_rows(DefaultAccount, ("acount",), [])


def test_what_is_refused_leaves_nothing_and_the_transaction_goes_on() -> None:
    columns = ("code", "name", "type", "description", "active")
    rows = [(str(n), "A", "bank", "", True) for n in range(10)]
    for bad, error in (
        (("3", "B", "bank", "", True), IntegrityError),
        (("10", "long" * 20, "bank", "", True), DataError),
        (("10", None, "bank", "", True), IntegrityError),
    ):
        with pytest.raises(error), transaction.atomic():
            copy_rows(Account, columns, [*rows, bad])
        assert not Account.objects.exists()
    assert copy_rows(Account, columns, rows) == 10


def test_a_fault_in_the_rows_leaves_nothing() -> None:
    def rows() -> Any:
        yield ("1", "A", "bank", "", True)
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"), transaction.atomic():
        copy_rows(Account, ("code", "name", "type", "description", "active"), rows())
    assert not Account.objects.exists()


def test_keys_are_taken_once_in_one_statement() -> None:
    with CaptureQueriesContext(connection) as statements:
        first = take_ids(Account, 1000)
    second = take_ids(Account, 3)
    made = Account.objects.create(code="1", name="Bank", type="bank")

    assert len(statements) == 1
    assert len({*first, *second, made.pk}) == 1004
    assert first == sorted(first)
    assert take_ids(Account, 0) == []


def test_many_rows_get_values_of_their_own_in_one_statement() -> None:
    accounts = [Account.objects.create(code=str(n), name="A", type="bank") for n in range(5)]
    rows = [(account.pk, f"Bank {account.code}", account.code != "3") for account in accounts[1:]]

    with CaptureQueriesContext(connection) as statements:
        assert update_rows(Account, ("name", "active"), rows) == 4

    assert len(statements) == 1
    assert list(Account.objects.values_list("name", "active")) == [
        ("A", True), ("Bank 1", True), ("Bank 2", True), ("Bank 3", False), ("Bank 4", True),
    ]  # fmt: skip
    assert update_rows(Account, ("name",), []) == 0


def test_foreign_keys_dates_and_amounts_can_be_changed_and_emptied() -> None:
    account, other = (Account.objects.create(code=code, name="A", type="bank") for code in "12")
    default = DefaultAccount.objects.create(role="bank", account=account)
    assert update_rows(DefaultAccount, ("account",), [(default.pk, other.pk)]) == 1
    default.refresh_from_db()
    assert default.account == other

    user, second = (User.objects.create(email=f"{n}@b.c", name="A", last_login=NOW) for n in "12")
    update_rows(User, ("last_login",), [(user.pk, None), (second.pk, NOW + timedelta(days=1))])
    assert list(User.objects.order_by("email").values_list("last_login", flat=True)) == [None, NOW + timedelta(days=1)]
