"""Work roles, work types and expense types."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal as D
from typing import Any

import pytest
from tests.world import SALES, VIEWER

from counterfoil.catalog import commands, queries
from counterfoil.catalog.models import WorkType
from counterfoil.core.errors import DomainError
from counterfoil.platform.models import AuditEntry

pytestmark = pytest.mark.django_db


def refused(deed: Callable[..., Any], **given: Any) -> tuple[str, str | None]:
    with pytest.raises(DomainError) as refusal:
        deed(**({"actor": SALES} | given))
    return refusal.value.code, refusal.value.field


def test_a_role_a_type_and_an_expense_type() -> None:
    role = commands.create_work_role(actor=SALES, name=" Engineer ", hourly_rate=D(100), hourly_cost=D(35))
    kind = commands.create_work_type(actor=SALES, name="After hours", rate=D("1.5"), hours_min=D(1), hours_max=D(8))
    miles = commands.create_expense_type(actor=SALES, name="Mileage")
    assert (role.name, kind.rate_type, kind.cost_multiplier, miles.taxable) == ("Engineer", "Multiplier", 1, False)
    commands.update_work_role(actor=SALES, work_role_id=role.pk, hourly_rate=D(110))
    commands.update_work_type(actor=SALES, work_type_id=kind.pk, round_hours_to=D("0.25"), hours_max=None)
    commands.update_expense_type(actor=SALES, expense_type_id=miles.pk, active=False, taxable=True)
    assert queries.work_roles().get().hourly_rate == 110
    assert (WorkType.objects.get().hours_max, WorkType.objects.get().hours_min) == (None, 1)
    assert not queries.expense_types(active=True).exists()
    assert [entry.sentence for entry in AuditEntry.objects.order_by("seq")][-3:] == [
        "changed the work role Engineer: hourly rate from 100 to 110",
        "changed the work type After hours: hours max from 8 to none, round hours to from 0 to 0.25",
        "changed the expense type Mileage: taxable from no to yes, active from yes to no",
    ]


def test_names_differ_in_more_than_capitals() -> None:
    commands.create_work_role(actor=SALES, name="Engineer")
    other = commands.create_work_role(actor=SALES, name="Architect")
    assert refused(commands.create_work_role, name="ENGINEER") == ("duplicate", "name")
    assert refused(commands.update_work_role, work_role_id=other.pk, name=" engineer ") == ("duplicate", "name")
    commands.update_work_role(actor=SALES, work_role_id=other.pk, name="architect")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"rate": D(-1)}, "rate"),
        ({"rate_type": "Custom", "rate": D(-1)}, "rate"),
        ({"rate_type": "Nonsense"}, "rate_type"),
        ({"cost_multiplier": D(0)}, "cost_multiplier"),
        ({"hours_min": D(-1)}, "hours_min"),
        ({"hours_min": D(2), "hours_max": D(1)}, "hours_max"),
        ({"round_hours_to": D(2), "hours_max": D(1)}, "hours_max"),
    ],
)
def test_rates_and_hours_that_make_no_sense(given: dict[str, Any], field: str) -> None:
    assert refused(commands.create_work_type, name="On site", **given) == ("invalid", field)
    assert not WorkType.objects.exists()


def test_a_discount_is_a_rate_below_zero_that_is_added() -> None:
    assert commands.create_work_type(actor=SALES, name="Remote", rate_type="AdjAmount", rate=D(-10)).rate == -10


def test_what_else_is_refused() -> None:
    assert refused(commands.create_work_role, name="Engineer", hourly_cost=D(-1)) == ("invalid", "hourly_cost")
    assert refused(commands.create_work_role, name=" ") == ("required", "name")
    assert refused(commands.update_work_role, work_role_id=9) == ("not_found", None)
    assert refused(commands.create_expense_type, actor=VIEWER, name="Meals") == ("role_required", None)
