"""Agreement types, agreements with all their parts, and what becomes of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from counterfoil.agreements import commands, queries
from counterfoil.agreements.models import (
    Addition,
    AdditionChange,
    Adjustment,
    Agreement,
    AgreementType,
    BillingAmountChange,
    CancelledPeriod,
    CoverageItem,
    WorkRoleRate,
    WorkTypeRate,
)
from counterfoil.api.area import Area
from counterfoil.api.shapes import Shape, many, row, shape
from counterfoil.usage.queries import used_up

area = Area("Agreements")

_OWNERS = ("agreement", "agreement_type")
work_role_rates = shape(WorkRoleRate, without=_OWNERS)
work_type_rates = shape(WorkTypeRate, without=_OWNERS)
coverage_items = shape(CoverageItem, without=_OWNERS)
lists: dict[str, Shape[Any]] = {
    "work_role_rates": work_role_rates,
    "work_type_rates": work_type_rates,
    "coverage_items": coverage_items,
}

agreement_types = shape(AgreementType, parts=lists)
addition_changes = shape(AdditionChange, without=("addition",))
additions = shape(Addition, parts={"changes": addition_changes})
adjustments = shape(Adjustment)
cancelled_periods = shape(CancelledPeriod)
billing_amounts = shape(BillingAmountChange, without=("agreement",))
agreements = shape(
    Agreement,
    parts={
        "additions": additions,
        "billing_amounts": billing_amounts,
        "adjustments": adjustments,
        "cancelled_periods": cancelled_periods,
        **lists,
    },
)


def standing(*, agreement_id: int, on: date) -> queries.Standing:
    """Where an agreement stands on the day ``on``: state, worth, what is billed next, what holds it up.

    ``state`` is ``active``, ``inactive`` (not begun), ``expired``, ``cancelled``, or ``used_up``: expired, since it
    expires when nothing is left.
    """
    found = queries.standing(agreement_id=agreement_id, on=on)
    gone = used_up(on=on, agreement_ids=[agreement_id])
    return replace(found, state="used_up") if agreement_id in gone else found


# -- types

area.records("/agreement-types", agreement_types, queries.agreement_types)
area.post("/agreement-types", commands.create_agreement_type, agreement_types)
area.post("/agreement-types/usual", commands.install_agreement_types, many(agreement_types.head))
area.detail("/agreement-types/{agreement_type_id}", agreement_types)
area.patch("/agreement-types/{agreement_type_id}", commands.update_agreement_type, agreement_types)
area.put("/agreement-types/{agreement_type_id}/work-role-rates", commands.set_type_work_role_rates, agreement_types)
area.put("/agreement-types/{agreement_type_id}/work-type-rates", commands.set_type_work_type_rates, agreement_types)
area.put("/agreement-types/{agreement_type_id}/coverage-items", commands.set_type_coverage_items, agreement_types)

# -- agreements

area.records("/agreements", agreements, queries.agreements)
area.post("/agreements", commands.create_agreement, agreements)
area.detail("/agreements/{agreement_id}", agreements)
area.patch("/agreements/{agreement_id}", commands.update_agreement, agreements)
area.act("/agreements/{agreement_id}/cancel", commands.cancel_agreement, agreements)
area.act("/agreements/{agreement_id}/end", commands.end_agreement, agreements)
area.post("/agreements/{agreement_id}/copy", commands.copy_agreement, agreements)
area.post("/agreements/{agreement_id}/renew", commands.renew_agreement, agreements)
area.act("/agreements/{agreement_id}/attach", commands.attach_child, agreements)
area.act("/agreements/{agreement_id}/detach", commands.detach_child, agreements)
area.act("/agreements/{agreement_id}/unpark", commands.unpark_agreement, agreements)
area.act("/agreements/{agreement_id}/billing-amount", commands.change_billing_amount, agreements)

area.report("/agreements/{agreement_id}/standing", row(queries.Standing), standing)
area.records("/expiring-agreements", agreements, queries.expiring)

# -- periods

area.post("/agreements/{agreement_id}/cancelled-periods", commands.cancel_period, cancelled_periods)
area.act("/agreements/{agreement_id}/reopen-period", commands.reopen_period, agreements)

# -- coverage

area.post("/agreements/{agreement_id}/adjustments", commands.add_adjustment, adjustments)
area.delete("/adjustments/{adjustment_id}", commands.remove_adjustment)
area.put("/agreements/{agreement_id}/work-role-rates", commands.set_work_role_rates, agreements)
area.put("/agreements/{agreement_id}/work-type-rates", commands.set_work_type_rates, agreements)
area.put("/agreements/{agreement_id}/coverage-items", commands.set_coverage_items, agreements)

# -- additions

area.post("/agreements/{agreement_id}/additions", commands.add_addition, additions)
area.detail("/additions/{addition_id}", additions)
area.patch("/additions/{addition_id}", commands.update_addition, additions)
area.act("/additions/{addition_id}/change", commands.change_addition, additions)
area.act("/additions/{addition_id}/remove-change", commands.remove_addition_change, additions)
area.act("/additions/{addition_id}/cancel", commands.cancel_addition, additions)
area.act("/additions/{addition_id}/uncancel", commands.uncancel_addition, additions)
area.report("/agreements/{agreement_id}/timeline", many(row(queries.AdditionTimeline)), queries.timeline)
