"""Renewal, change and co-term quotes, the calendar of what comes to its end, and the rules of conversion."""

from __future__ import annotations

import datetime as dt
from typing import Any

from counterfoil.agreements.models import Addition, AgreementStatus
from counterfoil.api.area import Area
from counterfoil.api.areas.agreements import agreements
from counterfoil.api.fields import Id, Money
from counterfoil.api.shapes import Out, many, row, shape
from counterfoil.companies.models import Company
from counterfoil.companies.queries import local_date
from counterfoil.core.coterm import Proposal
from counterfoil.flows import accepted, renewal_calendar, renewals, waiting
from counterfoil.flows.changes import renewal_day
from counterfoil.platform.lookup import existing
from counterfoil.quotes import routing
from counterfoil.quotes.models import ConversionRule, Quote

area = Area("Renewals")

rules = shape(ConversionRule)


class ProposedQuote(Out):
    """A quote that was drafted, with its one version."""

    id: Id
    number: str
    name: str
    kind: str
    version_id: Id


class CotermLine(Out):
    """What bringing an addition to the anniversary takes and costs, before tax."""

    addition_id: Id
    name: str
    start_date: dt.date | None
    end_date: dt.date | None
    part: str
    amount: Money
    explanation: str


class LeftBehind(Out):
    """An addition that cannot end then, and why."""

    addition_id: Id
    name: str
    reason: str


class CotermProposal(Out):
    """Additions brought to one anniversary; ``end`` is the first day after."""

    end: dt.date
    total: Money
    lines: list[CotermLine]
    refused: list[LeftBehind]


class WaitingRow(Out):
    """The lines of an accepted quote that begin with the delivery of its goods.

    ``is_stuck``: nothing will be delivered any more; begin them from a day, or cancel them.
    """

    version_id: Id
    quote: str
    company: str
    opportunity_id: Id
    line_ids: list[int]
    sales_orders: list[str]
    is_stuck: bool
    why: str


class WaitingCancelled(Out):
    """The version of the quote whose waiting lines became nothing."""

    version_id: Id


def waiting_rows(*, opportunity_id: int | None = None) -> list[dict[str, Any]]:
    """Accepted lines that wait for their goods, by quote."""
    names = ("version_id", "quote", "company", "opportunity_id", "line_ids", "is_stuck", "why")
    return [
        {name: getattr(found, name) for name in names} | {"sales_orders": [order.number for order in found.orders]}
        for found in sorted(waiting.waiting(opportunity_id=opportunity_id), key=lambda found: found.version_id)
    ]


def renewal_entries(*, since: dt.date, until: dt.date, company_id: int | None = None) -> list[renewal_calendar.Entry]:
    """What comes to its end between two days: terms to renew, windows, co-terms, agreements."""
    return renewal_calendar.entries(since=since, until=until, company_id=company_id)


def customer_coterm(
    *,
    company_id: int,
    end: dt.date | None = None,
    month: int | None = None,
    day: int = 1,
    on: dt.date | None = None,
) -> dict[str, Any]:
    """What it takes and costs to bring all that a customer has for a term to one anniversary. Nothing is written."""
    on = on or local_date(dt.datetime.now(dt.UTC))
    company = existing(Company.objects.all(), company_id)
    running = Addition.objects.filter(agreement__company=company, agreement__status=AgreementStatus.ACTIVE)
    rows = running.exclude(committed_through=None).select_related("agreement").order_by("pk")
    ids = [addition.pk for addition in rows if renewal_day(addition, on) is not None]
    return _proposal(renewals.coterm_proposal(addition_ids=ids, on=on, end=end, month=month, day=day))


def _proposal(found: Proposal) -> dict[str, Any]:
    return {
        "end": found.end,
        "total": found.total,
        "lines": [
            {
                "addition_id": line.candidate.key,
                "name": line.candidate.name,
                "start_date": line.service.start if line.service else None,
                "end_date": line.service.inclusive_end if line.service else None,
                "part": line.part,
                "amount": line.amount,
                "explanation": line.explanation,
            }
            for line in found.lines
        ],
        "refused": [
            {"addition_id": candidate.key, "name": candidate.name, "reason": why} for candidate, why in found.refused
        ],
    }


def _proposed(quote: Quote) -> dict[str, Any]:
    names = ("number", "name", "kind")
    version = quote.versions.order_by("-number").first()
    return {"id": quote.pk, "version_id": version.pk if version else 0} | {name: getattr(quote, name) for name in names}


area.rows(
    "/renewal-calendar",
    row(renewal_calendar.Entry, "RenewalEntry", label=str, uid=str),
    renewal_entries,
    key=lambda entry: f"{entry.day:%Y%m%d} {entry.uid}",
)
area.report("/companies/{company_id}/coterm-proposal", CotermProposal, customer_coterm)
area.post("/renewal-quotes", renewals.propose_renewal, ProposedQuote, show=_proposed)
area.post("/agreements/{agreement_id}/change-quotes", renewals.propose_change, ProposedQuote, show=_proposed)
area.post("/coterm-quotes", renewals.propose_coterm, ProposedQuote, show=_proposed)
area.act("/delivered/start", accepted.start_delivered, many(agreements.head))
area.rows("/waiting-lines", WaitingRow, waiting_rows, key=lambda row: row["version_id"])
area.act("/waiting-lines/start", waiting.start_waiting, many(agreements.head))
area.act(
    "/waiting-lines/cancel", waiting.cancel_waiting, WaitingCancelled, show=lambda version: {"version_id": version.pk}
)

area.records("/conversion-rules", rules, routing.conversion_rules)
area.put("/conversion-rules", routing.set_conversion_rules, many(rules.head))
