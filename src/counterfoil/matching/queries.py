"""What pages and programs ask about the match: exceptions, a thread side by side, dollars by code, the rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import Count, Q, QuerySet, Sum

from counterfoil.core.matching import (
    CATALOGUE,
    LEGS,
    AgreementLeg,
    Difference,
    InvoiceLeg,
    Leg,
    OrderLeg,
    PurchaseLeg,
    QuoteLeg,
    QuoteThread,
    leg_of,
    match_quote_thread,
    said,
)
from counterfoil.core.money import ZERO
from counterfoil.matching.loading import current_rules, load_threads
from counterfoil.matching.matching import origins_of
from counterfoil.matching.models import ExceptionStatus, HoldRule, MatchException, MatchTolerance

_DAY: Final = timedelta(days=1)
_SEARCHED: Final = (
    "message", "origin__description", "company__name", "vendor__name", "product__identifier",
    "purchase_order_line__purchase_order__number", "addition__agreement__number",
)  # fmt: skip


# -- exceptions --------------------------------------------------------------------------------------------------------


def exceptions(
    *,
    status: str = "",
    kind: str = "",
    code: str = "",
    leg: str = "",
    company_id: int | None = None,
    vendor_id: int | None = None,
    origin_id: int | None = None,
    search: str = "",
) -> QuerySet[MatchException]:
    """Differences that the match has found, the most expensive first.

    Args:
        status: ``open``, ``mended``, ``overridden``; empty is all.
        kind: ``quote``, ``purchase`` or ``reconciliation``.
        code: one code of the catalogue.
        leg: where the actual value stands (``purchase``, ``agreement``, ``invoice``, ``bill``, ...).
        company_id: of this customer.
        vendor_id: of this vendor.
        origin_id: of the thread of this quoted line.
        search: words of the message, the customer, the vendor, the product, the numbers of its documents.
    """
    rows = MatchException.objects.select_related(
        "company", "vendor", "product", "origin__opportunity", "origin__version__quote", "addition__agreement",
        "order_line__order", "purchase_order_line__purchase_order", "bill_line__bill", "invoice_line__invoice",
    )  # fmt: skip
    asked = {
        "status": status, "kind": kind, "code": code, "actual_leg": leg, "company_id": company_id,
        "vendor_id": vendor_id, "origin_id": origin_id,
    }  # fmt: skip
    rows = rows.filter(**{name: value for name, value in asked.items() if value not in ("", None)})
    for word in search.split():
        wanted = Q()
        for name in _SEARCHED:
            wanted |= Q(**{f"{name}__icontains": word})
        rows = rows.filter(wanted)
    return rows.order_by("-over_term", "id")


@dataclass(frozen=True, slots=True)
class ExceptionTotal:
    """Exceptions of a kind and code: how many, what they cost us, and apart from it what we gain (above zero both)."""

    kind: str
    code: str
    label: str
    exceptions: int
    monthly: Decimal
    over_term: Decimal
    monthly_gain: Decimal
    over_term_gain: Decimal


def exception_totals(
    *, status: str = ExceptionStatus.OPEN, company_id: int | None = None, vendor_id: int | None = None
) -> list[ExceptionTotal]:
    """Dollars a month and over the term, by kind and code, the most expensive first."""
    rows = exceptions(status=status, company_id=company_id, vendor_id=vendor_id)
    grouped = (
        rows.order_by()
        .values_list("kind", "code")
        .annotate(
            count=Count("pk"),
            lost_monthly=Sum("monthly", filter=Q(monthly__gt=0)),
            lost_over_term=Sum("over_term", filter=Q(over_term__gt=0)),
            gained_monthly=Sum("monthly", filter=Q(monthly__lt=0)),
            gained_over_term=Sum("over_term", filter=Q(over_term__lt=0)),
        )
    )
    found = [
        ExceptionTotal(
            kind,
            code,
            label_of(code),
            count,
            monthly or ZERO,
            over_term or ZERO,
            -(monthly_gain or ZERO),
            -(over_term_gain or ZERO),
        )
        for kind, code, count, monthly, over_term, monthly_gain, over_term_gain in grouped
    ]
    return sorted(found, key=lambda row: (-row.over_term, row.kind, row.code))


def label_of(code: str) -> str:
    """What a code is called."""
    known = CATALOGUE.get(code)
    return known.label if known else code.replace("_", " ").capitalize()


# -- a thread, side by side --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cell:
    """A value of a leg, and whether it differs from what was quoted."""

    text: str
    differs: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A leg of a thread: ``quote``, ``agreement``, ``order``, ``purchase`` or ``invoice``, with its document."""

    leg: str
    document: str
    label: str = ""
    document_id: int | None = None


@dataclass(frozen=True, slots=True)
class ThreadRow:
    """One value across the columns."""

    code: str
    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class ThreadView:
    """A quoted line beside what descends from it. ``differences`` are as they are now, written or not."""

    origin_id: int
    product: str
    columns: tuple[Column, ...]
    rows: tuple[ThreadRow, ...]
    differences: tuple[Difference, ...]


def thread_views(origin_ids: Sequence[int], *, on: date) -> list[ThreadView]:
    """The threads of quoted lines side by side, in the order of the lines; only of lines that were accepted."""
    rules = current_rules()
    return [
        _view(thread, match_quote_thread(thread, rules.tolerances, on=on, currency=rules.currency))
        for thread in sorted(load_threads(list(origin_ids), rules), key=lambda thread: thread.quote.id)
    ]


def threads_of(label: str, pk: int, *, on: date) -> list[ThreadView]:
    """The threads of a document, by its model's label: a purchase order, vendor bill, invoice, agreement, order."""
    return thread_views(origins_of(label, [pk]), on=on)


def _view(thread: QuoteThread, found: tuple[Difference, ...]) -> ThreadView:
    legs = list(_legs(thread))
    columns = tuple(Column(leg_of(leg), LEGS[leg_of(leg)], leg.label, _document_id(leg)) for leg in legs)
    rows = []
    for code, label, values in _ROWS:
        cells = tuple(Cell(values(leg, thread), _differs(code, leg, thread, found)) for leg in legs)
        if any(cell.text for cell in cells):
            rows.append(ThreadRow(code, label, cells))
    return ThreadView(thread.quote.id, thread.quote.product, columns, tuple(rows), found)


def _legs(thread: QuoteThread) -> Iterable[Leg]:
    yield thread.quote
    yield from thread.agreements
    if thread.changed:
        yield thread.changed
    yield from thread.orders
    yield from thread.purchases
    yield from thread.invoices[-1:]  # the latest; what differs on others is among the differences


def _document_id(leg: Leg) -> int | None:
    match leg:
        case AgreementLeg():
            return leg.agreement_id
        case OrderLeg():
            return leg.order_id
        case PurchaseLeg():
            return leg.purchase_order_id
        case InvoiceLeg():
            return leg.invoice_id
    return None


def _differs(code: str, leg: Leg, thread: QuoteThread, found: Iterable[Difference]) -> bool:
    """Whether a difference is about the cell; an invoice has what its agreement has."""
    name = leg_of(leg)
    for each in found:
        if each.code != code and not (each.code == "changed_by_hand" and code in ("quantity", "unit_price")):
            continue
        if each.actual_leg == name and each.line_id in (None, leg.id):
            return True
        if isinstance(leg, InvoiceLeg) and each.actual_leg == "agreement" and each.line_id == leg.addition_id:
            return True
    return False


def _product(leg: Leg, thread: QuoteThread) -> str:
    return leg.product


def _quantity(leg: Leg, thread: QuoteThread) -> str:
    return said.number(leg.quantity)


def _cost(leg: Leg, thread: QuoteThread) -> str:
    return said.price(leg.unit_cost) if isinstance(leg, QuoteLeg | PurchaseLeg) else ""


def _price(leg: Leg, thread: QuoteThread) -> str:
    return "" if isinstance(leg, PurchaseLeg) else said.price(leg.unit_price)


def _term(leg: Leg, thread: QuoteThread) -> str:
    return said.term(leg.term) if not isinstance(leg, InvoiceLeg) and leg.term else ""


def _frequency(leg: Leg, thread: QuoteThread) -> str:
    if isinstance(leg, QuoteLeg | PurchaseLeg | OrderLeg):
        return said.frequency(leg.term, leg.billing_cycle) if leg.term or leg.billing_cycle else ""
    if not leg.billing_cycle:
        return ""
    # A whole prepaid term billed at once is prepaid, on whatever document.
    term = thread.quote.term if leg.billing_cycle == thread.quote.billing_cycle else ""
    return said.frequency(term, leg.billing_cycle)


def _start(leg: Leg, thread: QuoteThread) -> str:
    start = leg.service_start if isinstance(leg, InvoiceLeg) else leg.start
    return said.day(start) if start else ""


def _end(leg: Leg, thread: QuoteThread) -> str:
    match leg:
        case QuoteLeg():
            last = leg.align_to - _DAY if leg.align_to else None
        case AgreementLeg():
            last = leg.ends
        case PurchaseLeg():
            last = leg.end
        case InvoiceLeg():
            last = leg.service_end - _DAY if leg.service_end else None
        case _:
            last = None
    return said.day(last) if last else ""


_ROWS: Final = (
    ("product", "Product", _product),
    ("quantity", "Quantity", _quantity),
    ("unit_cost", "Unit cost", _cost),
    ("unit_price", "Unit price", _price),
    ("term", "Term", _term),
    ("billing_frequency", "Billed", _frequency),
    ("start_date", "From", _start),
    ("end_date", "To", _end),
)


# -- rules -------------------------------------------------------------------------------------------------------------


def tolerances() -> QuerySet[MatchTolerance]:
    """All tolerances."""
    return MatchTolerance.objects.select_related("vendor", "category", "company").order_by("measure", "pk")


@dataclass(frozen=True, slots=True)
class CodeRow:
    """A code of the match: what it means, what an exception holds, what to do.

    ``of_statement``: a reconciliation finds it, and it can hold invoices alone.
    """

    code: str
    label: str
    meaning: str
    what_to_do: str
    of_statement: bool
    holds_purchase_order: bool
    holds_vendor_bill: bool
    holds_invoice: bool


def match_codes() -> list[CodeRow]:
    """The catalogue with the hold rules as they are."""
    rules = {rule.code: rule for rule in HoldRule.objects.all()}
    return [
        CodeRow(
            code.code,
            code.label,
            code.meaning,
            code.mend.format(where="the document"),
            code.of_statement,
            *(
                getattr(rules.get(code.code, code), name)
                for name in ("holds_purchase_order", "holds_vendor_bill", "holds_invoice")
            ),
        )
        for code in CATALOGUE.values()
    ]
