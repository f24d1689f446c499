"""Agreement types, agreements and additions."""

from __future__ import annotations

from counterfoil.agreements import commands, queries
from counterfoil.agreements.models import Addition, Agreement, AgreementType
from counterfoil.api.area import Area
from counterfoil.api.shapes import shape

area = Area("Agreements")

agreement_types = shape(AgreementType)
additions = shape(Addition)
agreements = shape(Agreement, parts={"additions": additions})

area.records("/agreement-types", agreement_types, queries.agreement_types)
area.post("/agreement-types", commands.create_agreement_type, agreement_types)

area.records("/agreements", agreements, queries.agreements)
area.post("/agreements", commands.create_agreement, agreements)
area.detail("/agreements/{agreement_id}", agreements)
area.patch("/agreements/{agreement_id}", commands.update_agreement, agreements)
area.act("/agreements/{agreement_id}/cancel", commands.cancel_agreement, agreements)

area.post("/agreements/{agreement_id}/additions", commands.add_addition, additions)
area.detail("/additions/{addition_id}", additions)
area.patch("/additions/{addition_id}", commands.update_addition, additions)
area.act("/additions/{addition_id}/cancel", commands.cancel_addition, additions)
