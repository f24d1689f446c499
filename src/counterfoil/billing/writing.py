"""Writing rated invoices, many at a time, by COPY: drafts, or closed invoices with their numbers.

Lines and taxes come first and the invoices after them: the guards of the database look at whole invoices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from operator import itemgetter
from typing import Any, Final

from django.db import connection

from counterfoil.agreements.models import BillingState
from counterfoil.billing.columns import overages_due
from counterfoil.billing.holds import hold_charges
from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceStatus, InvoiceTax
from counterfoil.billing.rated import RatedInvoice, RatedLine, RatedTax, StateAfter
from counterfoil.core.money import ZERO
from counterfoil.platform.anyof import AMONG, array_text
from counterfoil.platform.copying import Encoded, copy_encoded, copy_rows, encode_rows, take_ids
from counterfoil.platform.holds import inspect
from counterfoil.usage import allocating

#: Of work alone; lines of the billing amount and additions have what the database gives them.
_OF_WORK: Final = frozenset(
    {"relieves_stock", "covered_quantity", "covered_amount", "released_amount", "hidden", "charge_id"}
)
_PLAIN: Final = tuple(index for index, name in enumerate(RatedLine._fields) if name not in _OF_WORK)
_plain_of: Final = itemgetter(*_PLAIN)
_TAX_COLUMNS: Final = ("invoice", *RatedTax._fields)
_COLUMNS: Final = (
    "id", "number", "type", "status", "company", "bill_to", "bill_to_kind", "bill_to_name", "bill_to_address",
    "attention", "site", "date", "due_date", "terms_name", "agreement", "period_start", "period_end", "revision",
    "is_adjustment", "reissues", "ticket", "customer_po", "reference", "top_comment", "bottom_comment", "tax_code",
    "subtotal", "tax_total", "total", "cost_total", "balance", "line_count", "tax_count", "run", "closed_at",
    "created_at",
)  # fmt: skip


#: Waits for those who are changing one of the agreements, and keeps others from it until the transaction ends.
_HOLD: Final = f"""
    SELECT count(*) FROM (
        SELECT id FROM agreements_agreement WHERE id = {AMONG} OR parent_id = {AMONG} ORDER BY id FOR NO KEY UPDATE
    ) held
"""  # noqa: S608 - our own


def hold(agreement_ids: Sequence[int], through: date, *, with_overages: bool = True) -> None:
    """Keep agreements and their children as they are while they are rated and written; their coverage is decided.

    Who may hold them back looks at them once more.
    """
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, {"of": array_text(agreement_ids)})
    inspect("agreements.agreement", agreement_ids)
    if not with_overages:
        return
    covering = overages_due(through).filter(agreement__any=agreement_ids).order_by()
    if overrun := set(covering.values_list("agreement", flat=True)):
        allocating.refresh(overrun)


@dataclass(slots=True)
class Prepared:
    """Invoices that are ready to be written: with their ids, and their lines and taxes as COPY takes them.

    ``invoices`` have lost their lines and taxes; ``counts`` says how many there were of each.
    """

    ids: list[int]
    invoices: list[RatedInvoice]
    counts: list[tuple[int, int]]
    lines: Encoded
    taxes: Encoded
    charge_ids: list[int]


def prepare(invoices: Sequence[RatedInvoice], ids: list[int]) -> Prepared:
    """Make rated invoices ready to be written under ids that were taken for them."""
    pairs = list(zip(ids, invoices, strict=True))
    charges = [line.charge_id for x in invoices for line in x.lines if line.charge_id is not None]
    if charges:
        columns: Sequence[str] = RatedLine._fields
        lines = ((pk, *line) for pk, invoice in pairs for line in invoice.lines)
    else:
        columns = [RatedLine._fields[index] for index in _PLAIN]
        lines = ((pk, *_plain_of(line)) for pk, invoice in pairs for line in invoice.lines)
    prepared = Prepared(
        ids,
        list(invoices),
        [(len(invoice.lines), len(invoice.taxes)) for invoice in invoices],
        encode_rows(InvoiceLine, ("invoice", *columns), lines),
        encode_rows(InvoiceTax, _TAX_COLUMNS, ((pk, *tax) for pk, invoice in pairs for tax in invoice.taxes)),
        charges,
    )
    for invoice in invoices:
        invoice.lines, invoice.taxes = (), ()
    return prepared


def write_invoices(
    invoices: Sequence[RatedInvoice], *, now: datetime, numbers: Sequence[str] | None = None, run_id: int | None = None
) -> list[int]:
    """Write invoices in the transaction of the caller: drafts, or with ``numbers`` closed ones.

    Returns:
        Their ids, in the same order.
    """
    if not invoices:
        return []
    prepared = prepare(invoices, take_ids(Invoice, len(invoices)))
    return write_prepared(prepared, now=now, numbers=numbers, run_id=run_id)


def write_prepared(
    prepared: Prepared, *, now: datetime, numbers: Sequence[str] | None = None, run_id: int | None = None
) -> list[int]:
    """Write what was prepared; as :func:`write_invoices`."""
    copy_encoded(prepared.lines)
    copy_encoded(prepared.taxes)
    closed = numbers is not None
    status = (InvoiceStatus.CLOSED if closed else InvoiceStatus.DRAFT).value
    rows = zip(prepared.ids, prepared.invoices, prepared.counts, strict=True)
    copy_rows(
        Invoice,
        _COLUMNS,
        (
            (
                pk,
                numbers[index] if numbers is not None else None,
                x.type,
                status,
                x.company_id,
                x.bill_to_id,
                x.bill_to_kind,
                x.bill_to_name,
                x.bill_to_address,
                x.attention,
                x.site_id,
                x.date,
                x.due_date,
                x.terms_name,
                x.agreement_id,
                x.period_start,
                x.period_end,
                x.revision,
                x.is_adjustment,
                x.reissues_id,
                "",
                x.customer_po,
                "",
                x.top_comment,
                "",
                x.tax_code_id,
                x.subtotal,
                x.tax_total,
                x.total,
                x.cost_total,
                x.total if closed else ZERO,
                lines if closed else 0,
                taxes if closed else 0,
                run_id,
                now if closed else None,
                now,
            )
            for index, (pk, x, (lines, taxes)) in enumerate(rows)
        ),
    )
    if prepared.charge_ids:
        hold_charges(prepared.charge_ids)
    return prepared.ids


#: Notes how far agreements are billed now, those that stand alike together; they are nobody's claim any more.
MOVE_ON: Final = """
    UPDATE agreements_billingstate SET next_period = n.next_period, due_on = n.due_on, changed_from = n.changed_from,
        run_id = NULL
    FROM (
        SELECT next_period, due_on, changed_from, unnest(ids::bigint[]) AS id
        FROM unnest(%s::integer[], %s::date[], %s::date[], %s::text[]) s(next_period, due_on, changed_from, ids)
    ) n WHERE agreement_id = n.id
"""


def moves(states: Iterable[StateAfter]) -> list[list[Any]]:
    """The parameters of :data:`MOVE_ON`."""
    alike: dict[tuple[int, date | None, date | None], list[int]] = {}
    for state in states:
        alike.setdefault((state.next_period, state.due_on, state.changed_from), []).append(state.agreement_id)
    columns = [list(column) for column in zip(*alike, strict=True)] or [[], [], []]
    return [*columns, [array_text(ids) for ids in alike.values()]]


def move_on(states: Sequence[StateAfter]) -> None:
    """Note how far agreements are billed now; they are nobody's claim and not parked any more."""
    if not states:
        return
    with connection.cursor() as cursor:
        cursor.execute(MOVE_ON, moves(states))
    release(states)


def release(states: Iterable[StateAfter]) -> None:
    """What was parked and is billed now is not parked any more."""
    if released := [state.agreement_id for state in states if state.was_parked]:
        parked = BillingState.objects.filter(agreement__any=released)
        parked.update(parked_code="", parked_reason="", parked_hint="", parked_at=None)
