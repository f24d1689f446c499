"""What agreements are to be billed, many at a time: columns in, functions of the core, plain values out.

Drafts, the billing run, its preview and the list of what is not billed are all this one function: they cannot differ.
A constant number of statements loads however many agreements; nothing is written here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, cast

from counterfoil.agreements.billing_state import HELD
from counterfoil.billing.asked import Asked, Reference
from counterfoil.billing.charges import cost_of, due_of, lines_of_charge, quantity_of
from counterfoil.billing.columns import (
    AdditionRow,
    AgreementRow,
    CompanyRow,
    History,
    LastInvoice,
    Loaded,
    load,
    period_start,
)
from counterfoil.billing.models import InvoiceLine, InvoiceType
from counterfoil.billing.rated import NOTHING, Parked, RatedInvoice, RatedLine, RatedTax, Rating, StateAfter
from counterfoil.companies.models import CompanyKind
from counterfoil.core import charges as core
from counterfoil.core.bills import check_bounds
from counterfoil.core.calendar import Cycle, CycleBase
from counterfoil.core.charges import Bill, BilledItem, OneOff, Step, Terms, Timing
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, format_money, sum_money
from counterfoil.core.proration import ProrationMethod
from counterfoil.core.recurring import bills_due, next_due
from counterfoil.core.salestax import Kind, TaxableLine
from counterfoil.platform.holds import held, held_among
from counterfoil.platform.models import Hold
from counterfoil.platform.records import plain_number as plain
from counterfoil.usage.models import Charge

__all__ = ["Asked", "Examine", "Reference", "rate", "terms_of"]

ONE: Final = Decimal(1)
_DAY: Final = timedelta(days=1)
_MOST: Final = Decimal(10) ** 13  # what a column of an amount can hold, and then some

#: What an item bills: an addition, the billing amount of an agreement, or work beyond it as it is shown.
Source = AdditionRow | AgreementRow | InvoiceLine

#: What is asked of every invoice before it is taken: raises a DomainError to park the agreement.
Examine = Callable[[RatedInvoice], None]


def rate(
    agreement_ids: Sequence[int], asked: Asked, reference: Reference | None = None, examine: Examine | None = None
) -> Rating:
    """The invoices that agreements are due for, in the order of the ids, with what has to be parked and what follows.

    Children are billed with their parents and not named here. An agreement that cannot be billed is parked with its
    reason; the others go on.
    """
    reference = reference or Reference()
    loaded = load(
        agreement_ids,
        through=asked.through,
        with_last=asked.bounded,
        with_overages=reference.has_overages(asked.through),
    )
    rating = Rating()
    holds = {} if asked.claimed else _holds(loaded)  # what a run has claimed is billed
    for pk in agreement_ids:
        if pk not in loaded.agreements or not asked.takes(loaded.states[pk]):
            continue
        if pk in holds:
            number = loaded.agreements[pk].number
            rating.parked.append(Parked(pk, number, held(number, "billed", holds[pk])))
            continue
        engine = _Engine(loaded, reference, asked, pk)
        try:
            invoices, after = engine.run()
            if examine:
                for invoice in invoices:
                    examine(invoice)
        except DomainError as refusal:
            agreement = loaded.agreements[pk]
            rating.parked.append(Parked(pk, agreement.number, refusal))
        else:
            rating.invoices += invoices
            rating.states.append(after)
    rating.last = loaded.last
    return rating


def _holds(loaded: Loaded) -> dict[int, list[Hold]]:
    """What holds the agreements; one that is billed with another holds that."""
    if not loaded.held:
        return {}
    head_of = {child.id: head for head, children in loaded.children.items() for child in children}
    found: dict[int, list[Hold]] = {}
    for pk, holds in held_among(HELD, loaded.held).items():
        found.setdefault(head_of.get(pk, pk), []).extend(holds)
    return found


@lru_cache(maxsize=256)
def _cycle(code: str) -> Cycle:
    return Cycle.parse(code)


@lru_cache(maxsize=4096)
def _next_due(cycle: str, anchor: date, base: CycleBase, timing: Timing, last_day: date | None, n: int) -> date | None:
    """As :func:`next_due`; many agreements have the same."""
    return next_due(Terms(_cycle(cycle), anchor, base, timing, last_day=last_day), n)


def terms_of(agreement: AgreementRow) -> Terms:
    """How an agreement is billed, as the core knows it; children are billed by the terms of their parent."""
    return _terms(
        agreement.billing_cycle,
        agreement.bill_start_date,
        agreement.cycle_base,
        agreement.billing_timing,
        agreement.prorate,
        agreement.prorate_first_bill,
        agreement.proration,
        _last_day(agreement),
        agreement.bill_one_time,
        agreement.credits,
        agreement.changes,
    )


@lru_cache(maxsize=4096)
def _terms(cycle: str, anchor: date, base: CycleBase, *rest: Any) -> Terms:
    """The terms in the order of :class:`Terms`; many agreements have the same."""
    timing, prorate, prorate_first_bill, method, *others = rest
    return Terms(_cycle(cycle), anchor, base, timing, prorate, prorate_first_bill, ProrationMethod(method), *others)


class _Engine:
    """One agreement with its children.

    Charges have whole numbers as keys: an addition its id, a billing amount the agreement's, negated; work has a text.
    """

    __slots__ = (
        "agreement", "asked", "changed_from", "family", "history", "items", "loaded", "overages", "reference", "state",
        "terms", "types",
    )  # fmt: skip

    def __init__(self, loaded: Loaded, reference: Reference, asked: Asked, pk: int) -> None:
        self.loaded, self.reference, self.asked = loaded, reference, asked
        self.agreement = loaded.agreements[pk]
        self.family: Sequence[AgreementRow] = (self.agreement, *loaded.children.get(pk, ()))
        self.state = loaded.states[pk]
        self.changed_from = loaded.changed.get(pk)
        self.history = loaded.history.get(pk, _NO_HISTORY)
        self.items: dict[Any, AdditionRow] = {}
        self.overages: dict[Any, Charge] = {}
        self.types = {member.id: member.type_id for member in self.family}
        self.terms = terms_of(self.agreement)

    def run(self) -> tuple[list[RatedInvoice], StateAfter]:
        """The invoices, and how the agreement stands when they are written.

        Raises:
            DomainError: why it has to be parked.
        """
        first = self.loaded.first.get(self.agreement.id, self.state.next_period)
        charges = self._charges()
        one_offs = self._one_offs()
        through = self._through(first)
        bills = bills_due(
            self.terms,
            charges,
            one_offs,
            self.history.booked,
            through=through,
            billed=self.history.billed,
            cancelled=self.loaded.cancelled.get(self.agreement.id, ()),
            first=first,
            changed_from=self.changed_from,
        )
        if self.asked.bounded and bills:
            self._check_bounds(bills, charges)
        if self.asked.earliest:
            bills = bills[:1]
        elif self.asked.period_start is not None:
            bills = [bill for bill in bills if bill.period and bill.period.start == self.asked.period_start]
        invoices = self._invoices(bills)
        return invoices, self._after(bills, first, through)

    def _through(self, first: int) -> date:
        """The last due date to look at."""
        if not self.asked.earliest and self.asked.period_start is None:
            return self.asked.through
        wanted, gone = self.asked.period_start, self._gone()
        n = first
        while (due := self._due(n)) is not None:
            start = self._period_start(n)
            if start == wanted or (wanted is None and start not in gone):
                return due
            if wanted is not None and start > wanted:
                break
            n += 1
        return date.min

    def _gone(self) -> set[date]:
        """First days of the periods that have their invoice or are cancelled."""
        return self.history.billed.union(self.loaded.cancelled.get(self.agreement.id, ()))

    def _period_start(self, n: int) -> date:
        agreement = self.agreement
        return period_start(agreement.billing_cycle, agreement.bill_start_date, agreement.cycle_base, n)

    def _due(self, n: int) -> date | None:
        """The day the n-th period falls due."""
        agreement, terms = self.agreement, self.terms
        return _next_due(agreement.billing_cycle, terms.anchor, terms.base, terms.timing, terms.last_day, n)

    # -- charges -------------------------------------------------------------------------------------------------------

    def _charges(self) -> list[core.Charge]:
        charges: list[core.Charge] = []
        for member in self.family:
            begin, end = member.bill_start_date, _last_day(member)
            if (amount := self._billing_amount(member, begin, end)) is not None:
                charges.append(amount)
            for row in self.loaded.additions.get(member.id, ()):
                if row.billing_option == "DoNotBill":  # its cost shows in the profit alone
                    continue
                self.items[row.id] = row
                last, effective = row.cancelled_date, row.effective_date
                if end is not None and (last is None or end < last):
                    last = end
                charges.append(core.Charge(row.id, self._steps(row), max(effective, begin), last))
        return charges

    def _billing_amount(self, member: AgreementRow, begin: date, last: date | None) -> core.Charge | None:
        changes = self.loaded.amounts.get(member.id)
        if changes:  # a step of no units makes no line: an amount of zero is not printed
            steps = tuple(Step(day, ONE if amount else NOTHING, amount) for day, amount in changes)
        elif member.billing_amount:
            steps = (Step(begin, ONE, member.billing_amount),)
        else:
            return None
        return core.Charge(-member.id, steps, begin, last)

    def _steps(self, row: AdditionRow) -> tuple[Step, ...]:
        is_free = row.billing_option == "NoCharge"
        changes = self.loaded.changes.get(row.id)
        if not changes:
            return (_step(row.effective_date, row.quantity, row.less_included, row.unit_price, row.unit_cost, is_free),)
        return tuple(_step(*change, is_free) for change in changes)

    def _one_offs(self) -> list[OneOff]:
        """Overruns whose period is over: they ride on the next invoice."""
        found = []
        for row in self.loaded.overages.get(self.agreement.id, ()):
            key = f"charge {row.pk}"
            self.overages[key] = row
            due = cast(date, row.allocation.bill_from) - _DAY
            amount, cost = due_of(row), cost_of(row)
            found.append(OneOff(key, due, quantity_of(row), row.unit_price, amount, cost, row.description))
        return found

    def _check_bounds(self, bills: list[Bill], charges: list[core.Charge]) -> None:
        if self.state.parked_code == "absurd_amount":  # somebody has looked at it and let it go on
            return
        settings, last = self.reference.settings, self.loaded.last.get(self.agreement.id)
        usual = last.subtotal if last and not _is_short(last, bills) else None
        check_bounds(
            bills,
            charges,
            self.history.booked,
            usual=usual,
            max_bills=settings.most_bills,
            max_factor=settings.absurd_factor,
        )

    # -- invoices ------------------------------------------------------------------------------------------------------

    def _invoices(self, bills: Iterable[Bill]) -> list[RatedInvoice]:
        taken = {start: set(revisions) for start, revisions in self.history.revisions.items()}
        made: list[RatedInvoice] = []
        for bill in bills:
            invoice = self._invoice(bill)
            parts = [self._invoice(part) for part in _parted(bill)] if _gives_back(invoice, bill) else [invoice]
            for part in parts:
                of_period = taken.setdefault(part.period_start, set())
                while part.revision in of_period:
                    part.revision += 1
                part.is_adjustment = part.revision > 0 and part.reissues_id is None
                of_period.add(part.revision)
                made.append(part)
        return made

    def _invoice(self, bill: Bill) -> RatedInvoice:
        agreement = self.agreement
        buyer = self.loaded.companies[agreement.bill_to_id]
        _check_buyer(buyer, agreement)
        reissues = None
        if bill.period is not None:
            start, end, revision = bill.period.start, bill.period.end, 0
            reissues = self.history.reversed.get(start)
            on = start if agreement.billing_timing == "advance" else bill.period.inclusive_end
        else:
            start = min(item.period.start for item in bill.items)
            end = max(item.period.end for item in bill.items)
            on, revision = self.asked.through, 1
        on = self.asked.invoice_date or on
        tax_code_id = self._tax_code()
        lines, taxes, tax_total = self._taxed(bill.items, buyer, tax_code_id, on)
        subtotal = sum_money(line.amount for line in lines)
        total = sum_money((subtotal, tax_total))
        if abs(total) > _MOST:
            raise DomainError(
                "absurd_amount", f"It comes to {format_money(total)}.", hint="Check quantities and prices."
            )
        terms_name, days = self._payment_terms(buyer)
        return RatedInvoice(
            agreement_id=agreement.id,
            agreement=agreement.number,
            types=self.types,
            prefix=agreement.type__invoice_prefix,
            type=InvoiceType.CREDIT_MEMO.value if total < 0 else InvoiceType.AGREEMENT.value,
            company_id=agreement.company_id,
            bill_to_id=buyer.id,
            bill_to_kind=buyer.kind,
            bill_to_name=buyer.name,
            bill_to_address=self.loaded.addresses.get(buyer.id, ""),
            attention=self.loaded.attention.get(buyer.id, ""),
            site_id=agreement.site_id,
            date=on,
            due_date=on + timedelta(days=days),
            terms_name=terms_name,
            period_start=start,
            period_end=end,
            revision=revision,
            is_adjustment=False,
            reissues_id=reissues,
            customer_po=agreement.customer_po,
            top_comment=agreement.invoice_text,
            tax_code_id=tax_code_id,
            subtotal=subtotal,
            tax_total=tax_total,
            total=total,
            cost_total=sum_money(line.cost for line in lines),
            lines=lines,
            taxes=taxes,
        )

    def _tax_code(self) -> int | None:
        agreement = self.agreement
        if agreement.tax_code_id is not None:
            return agreement.tax_code_id
        by_site = self.loaded.site_tax_codes.get(agreement.site_id or -agreement.company_id)
        return by_site or self.loaded.companies[agreement.company_id].tax_code_id

    def _payment_terms(self, buyer: CompanyRow) -> tuple[str, int]:
        """Those of the agreement, its type, the bill-to, or the usual ones; on the day itself without any."""
        agreement = self.agreement
        pk = (
            agreement.terms_id or agreement.type__terms_id or buyer.terms_id or self.reference.settings.default_terms_id
        )
        return self.reference.terms[pk] if pk else ("", 0)

    def _taxed(
        self, items: Sequence[BilledItem], buyer: CompanyRow, tax_code_id: int | None, on: date
    ) -> tuple[list[RatedLine], list[RatedTax], Decimal]:
        internal = buyer.kind == CompanyKind.INTERNAL
        sources = self._sources(items)
        sold = [self._sold(n, item, source, internal) for n, (item, source) in enumerate(sources, start=1)]
        result = self.reference.taxes(on).tax(tax_code_id, buyer.id, sold)
        tax_of = result.by_line
        lines = [
            self._line(item, source, each, tax_of[each.key]) for (item, source), each in zip(sources, sold, strict=True)
        ]
        if internal and (priced := next((line for line in lines if line.amount or line.unit_price), None)):
            raise DomainError(
                "price_on_internal_company",
                f"{buyer.name} is an internal company: “{priced.description}” has a price of"
                f" {format_money(priced.unit_price)} and must have none.",
                field="bill_to",
                hint="Set the price to zero, or bill a customer.",
            )
        taxes = [
            RatedTax(x.position, x.name, x.agency, x.rate, x.taxable_amount, x.exempt_amount, x.amount)
            for x in result.by_level
            if x.taxable_amount or x.exempt_amount or x.amount
        ]
        return lines, taxes, result.total

    def _sources(self, items: Sequence[BilledItem]) -> list[tuple[BilledItem, Source]]:
        """The items with what they bill; overruns are as many as the lines they are shown by."""
        found: list[tuple[BilledItem, Source]] = []
        for item in items:
            if row := self.items.get(item.key):
                found.append((item, row))
            elif charge := self.overages.get(item.key):
                earned = self.loaded.earned.get(charge.pk, ZERO)
                found += [(item, line) for line in lines_of_charge(charge, earned)]
            else:
                found.append((item, next(each for each in self.family if -each.id == item.key)))
        return found

    def _sold(self, position: int, item: BilledItem, source: Source, internal: bool) -> TaxableLine:
        """A line as it is taxed."""
        if isinstance(source, AdditionRow):
            kind: Kind = "service" if source.product__product_class == "Service" else "product"
            taxable = source.taxable and not internal
            return TaxableLine(position, item.amount, taxable, kind, item.quantity, source.product__category_id)
        if isinstance(source, AgreementRow):
            taxable = source.billing_amount_taxable and not internal
            return TaxableLine(position, item.amount, taxable, "service", item.quantity)
        return _sold_work(position, source, self.overages[item.key], internal)

    def _line(self, item: BilledItem, source: Source, sold: TaxableLine, tax: Decimal) -> RatedLine:
        if isinstance(source, InvoiceLine):
            return _worked(item, source, sold, tax, self.overages[item.key])
        period, service = item.period, item.service
        deferred = False
        product_id: int | None = None
        addition_id: int | None = None
        origin_id: int | None = None
        if isinstance(source, AgreementRow):
            deferred, of, text, explanation = source.is_deferred, source.id, source.name, item.explanation
        else:
            product_id, addition_id, origin_id = source.product_id, source.id, source.origin_id
            of, text = source.agreement_id, source.invoice_text.strip() or source.description
            explanation = _explained(item, source)
        return RatedLine(
            cast(int, sold.key),
            sold.kind,
            product_id,
            text[:200],
            item.quantity,
            item.unit_price,
            item.amount,
            item.cost,
            False,
            sold.taxable,
            tax,
            explanation,
            NOTHING,
            NOTHING,
            NOTHING,
            False,
            deferred,
            of,
            addition_id,
            period.start,
            period.end,
            service.start,
            service.end,
            None,
            origin_id,
        )

    # -- afterwards ----------------------------------------------------------------------------------------------------

    def _after(self, bills: Sequence[Bill], first: int, through: date) -> StateAfter:
        """Periods that are due are settled: billed, cancelled, or found empty; with a choice, only those billed."""
        made = {bill.period.start for bill in bills if bill.period is not None}
        gone = self._gone() | made
        chosen = self.asked.period_start is not None or self.asked.earliest
        n = self.state.next_period if not chosen else first
        while (due := self._due(n)) is not None:
            if (chosen or due > through) and self._period_start(n) not in gone:
                break
            n += 1
        changed_from = self.changed_from
        if changed_from is not None and not chosen:
            settled = due is None or any(bill.kind != "credit_memo" for bill in bills)
            changed_from = None if settled or self.terms.changes == "immediately" else changed_from
        return StateAfter(self.agreement.id, n, due, changed_from, bool(self.state.parked_code))


_NO_HISTORY: Final = History()


def _step(
    day: date, quantity: Decimal, included: Decimal, unit_price: Decimal, unit_cost: Decimal, is_free: bool
) -> Step:
    price = NOTHING if is_free else unit_price
    if not included:
        return Step(day, quantity, price, unit_cost)
    return Step(day, max(quantity - included, NOTHING), price, unit_cost, quantity)


def _gives_back(invoice: RatedInvoice, bill: Bill) -> bool:
    """Whether more is given back on a period's bill than is charged."""
    return invoice.total < 0 and bill.period is not None and any(not item.is_credit for item in bill.items)


def _parted(bill: Bill) -> tuple[Bill, Bill]:
    """What a period's bill charges, and as a credit memo of its own what it gives back."""
    charged = tuple(item for item in bill.items if not item.is_credit)
    given_back = tuple(item for item in bill.items if item.is_credit)
    return Bill("period", bill.period, charged), Bill("credit_memo", None, given_back)


def _last_day(agreement: AgreementRow) -> date | None:
    end, cancelled = agreement.end_date, agreement.cancelled_on
    if end is None or cancelled is None:
        return cancelled or end
    return min(end, cancelled)


def _is_short(last: LastInvoice, bills: Sequence[Bill]) -> bool:
    """Whether the last invoice was for a part of a period: what follows is many times as much, and right."""
    days = (last.period_end - last.period_start).days
    return any(bill.period is not None and bill.period.days > 2 * days for bill in bills)


def _explained(item: BilledItem, row: AdditionRow) -> str:
    text = item.explanation
    if row.less_included and not item.is_credit and item.quantity == row.quantity - row.less_included:
        text = f"{plain(row.quantity)} less {plain(row.less_included)} included: {text}"
    if row.billing_option == "NoCharge":
        text += ", no charge"
    return text[:300]


def _sold_work(position: int, line: InvoiceLine, charge: Charge, internal: bool) -> TaxableLine:
    return TaxableLine(
        position,
        line.amount,
        line.taxable and not internal,
        cast(Kind, line.kind),
        line.quantity - line.covered_quantity or line.quantity,
        charge.product.category_id if charge.product else None,
        charge.expense_type_id,
        charge.work_role_id,
    )


def _worked(item: BilledItem, line: InvoiceLine, sold: TaxableLine, tax: Decimal, charge: Charge) -> RatedLine:
    """A line of work beyond what an agreement covers, as work is shown on every invoice."""
    return RatedLine(
        cast(int, sold.key),
        line.kind,
        charge.product_id,
        line.description[:200],
        line.quantity,
        line.unit_price,
        line.amount,
        line.cost,
        False,
        sold.taxable,
        tax,
        line.explanation,
        line.covered_quantity,
        line.covered_amount,
        line.released_amount,
        line.hidden,
        False,
        charge.agreement_id,
        None,
        item.period.start,
        item.period.end,
        charge.date,
        charge.date + _DAY,
        charge.pk,
        charge.origin_id,
    )


def _check_buyer(buyer: CompanyRow, agreement: AgreementRow) -> None:
    if buyer.kind == CompanyKind.MY_COMPANY:
        raise DomainError(
            "my_company_not_billable",
            f"{buyer.name} is My Company and can never be billed.",
            field="bill_to",
            hint="Bill an internal company instead, at zero price.",
        )
    if not buyer.active:
        raise DomainError(
            "conflict",
            f"{buyer.name}, whom {agreement.number} is billed to, is inactive.",
            field="bill_to",
            hint="Make the company active again, or choose another bill-to for the agreement.",
        )
