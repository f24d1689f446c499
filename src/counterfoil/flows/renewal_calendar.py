"""What comes to its end: terms to renew, windows that close, co-terms, agreements; as a list and as iCalendar."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

from django.db.models import F, Prefetch, Q, QuerySet
from django.utils.crypto import constant_time_compare

from counterfoil.agreements.commitments import is_renewal
from counterfoil.agreements.models import Addition, AdditionChange, Agreement, AgreementStatus
from counterfoil.agreements.queries import history_of, is_monthly, last_day, quantity_on
from counterfoil.catalog.models import SeatsDown
from counterfoil.core.calendar import Cycle, format_date
from counterfoil.core.icalendar import Event, calendar
from counterfoil.core.money import ZERO, multiply, round_money, sum_money
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.records import plain_number
from counterfoil.quotes.models import ACTIVE, LineAction, QuoteLine, QuoteSettings, VersionStatus

_DAY: Final = timedelta(days=1)

RENEWAL: Final = "renewal"
COTERM: Final = "coterm"
WINDOW: Final = "window"
NOTICE: Final = "notice"
AGREEMENT_END: Final = "agreement_end"

#: What each kind is called, in the order in which entries of one day stand.
KINDS: Final = {
    RENEWAL: "Renewal",
    COTERM: "Co-term",
    AGREEMENT_END: "Agreement ends",
    NOTICE: "Last day for changes",
    WINDOW: "Window closes",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that falls on a day.

    Attributes:
        day: the last day of a term, of a window, or of an agreement.
        kind: one of :data:`KINDS`.
        company: the customer.
        agreement_id: what it is about; ``agreement`` is its number.
        what: the additions, with their quantities.
        to_do: what it asks for.
        monthly: what it is worth a month.
        addition_ids: what a renewal quote would renew.
        quote: the number of the renewal quote under way, if there is one; ``quote_id`` its id.
    """

    day: date
    kind: str
    company: str
    agreement_id: int
    agreement: str
    what: str
    to_do: str
    monthly: Decimal = ZERO
    addition_ids: tuple[int, ...] = ()
    quote: str = ""
    quote_id: int | None = None

    @property
    def label(self) -> str:
        """What the kind is called."""
        return KINDS[self.kind]

    @property
    def uid(self) -> str:
        """The same for the same thing."""
        return f"{self.kind}-{self.agreement_id}-{self.day:%Y%m%d}@counterfoil"


# -- entries -----------------------------------------------------------------------------------------------------------


def entries(*, since: date, until: date, company_id: int | None = None) -> list[Entry]:
    """Everything that falls on a day from ``since`` through ``until``, in order of the days; six queries."""
    # A window or a day of notice lies near the purchase or the end it belongs to, so all that runs then is looked at.
    running = _running(since, company_id)
    renewals = _renewal_quotes(running)
    groups: dict[tuple[date, str, int], list[Addition]] = {}
    for addition in running:
        for day, kind in _days_of(addition):
            if since <= day <= until:
                groups.setdefault((day, kind, addition.agreement_id), []).append(addition)
    found = [_entry(day, kind, group, renewals) for (day, kind, _), group in groups.items()]
    covered = {(entry.agreement_id, entry.day) for entry in found if entry.kind in (RENEWAL, COTERM)}
    for agreement in _ending(since, until, company_id):
        if (agreement.pk, agreement.end_date) not in covered:
            found.append(_end_of(agreement))
    order = list(KINDS)
    return sorted(found, key=lambda entry: (entry.day, order.index(entry.kind), entry.company, entry.agreement))


def _running(since: date, company_id: int | None) -> list[Addition]:
    """Committed additions of active agreements whose term goes on then, or whose last window may close then."""
    rows = Addition.objects.filter(
        agreement__status=AgreementStatus.ACTIVE, committed_through__gte=since, committed_through__isnull=False
    ).exclude(Q(cancelled_date__lt=since) | Q(cancelled_date__lt=F("effective_date")))
    if company_id is not None:
        rows = rows.filter(agreement__company=company_id)
    loaded = rows.select_related("agreement__company", "origin", "offer__commitment_rule").prefetch_related(
        Prefetch("changes", AdditionChange.objects.select_related("origin"))
    )
    return list(loaded.order_by("agreement__company__name", "agreement_id", "position"))


def _days_of(addition: Addition) -> Iterable[tuple[date, str]]:
    """The end of its term, the last day to change what is renewed, and the last days on which it may be given back."""
    end = addition.committed_through
    assert end is not None  # only committed ones are looked at
    ends_then = addition.cancelled_date is None or addition.cancelled_date >= end
    if ends_then and not (addition.term and is_monthly(addition.term)):
        aligned = addition.origin is not None and addition.origin.align_to == end + _DAY
        yield end, COTERM if aligned else RENEWAL
        rule = addition.offer.commitment_rule if addition.offer is not None else None
        if rule is not None and rule.notice_days:
            yield end + _DAY - timedelta(days=rule.notice_days), NOTICE
    if addition.cancellation_days:
        for purchase in _purchases(addition):
            yield purchase + timedelta(days=addition.cancellation_days - 1), WINDOW


def _purchases(addition: Addition) -> Iterable[date]:
    """The days that open a window: a renewal, and where seats do not go down at renewal alone, each purchase."""
    renewals = {row.effective_date for row in addition.changes.all() if is_renewal(row)}
    if addition.seats_down == SeatsDown.RENEWAL:
        return sorted(renewals)
    bought, there = set(), Decimal(0)
    for values in history_of(addition):
        if values.quantity > there:
            bought.add(values.since)
        there = values.quantity
    return sorted(bought | renewals)


def _entry(day: date, kind: str, group: list[Addition], renewals: dict[int, QuoteLine]) -> Entry:
    agreement = group[0].agreement
    quoted = next((renewals[addition.pk] for addition in group if addition.pk in renewals), None)
    version = quoted.version if quoted is not None else None
    return Entry(
        day=day,
        kind=kind,
        company=agreement.company.name,
        agreement_id=agreement.pk,
        agreement=agreement.number,
        what=_named(group, day),
        to_do=_to_do(kind, day, version.status if version is not None else ""),
        monthly=sum_money(_monthly(addition, day) for addition in group),
        addition_ids=tuple(addition.pk for addition in group) if kind in (RENEWAL, COTERM) else (),
        quote=version.quote.number if version is not None and kind != WINDOW else "",
        quote_id=version.quote_id if version is not None and kind != WINDOW else None,
    )


def _named(additions: Iterable[Addition], day: date) -> str:
    return ", ".join(f"{plain_number(_quantity(addition, day))} × {addition.description}" for addition in additions)


def _quantity(addition: Addition, day: date) -> Decimal:
    return quantity_on(addition, min(day, addition.cancelled_date or day))


def _to_do(kind: str, day: date, quoted: str) -> str:
    if kind == WINDOW:
        return "Give back what is not needed: afterwards the whole term is owed."
    if quoted == VersionStatus.ACCEPTED:
        return "Nothing: its renewal is accepted."
    if quoted:
        return f"Its renewal quote is {quoted.replace('_', ' ')}."
    if kind == NOTICE:
        return "Tell the vendor by today what is to be renewed, and what not."
    return f"Make the renewal quote: billing ends with {format_date(day)}."


def _monthly(addition: Addition, day: date) -> Decimal:
    quantity = _quantity(addition, day)
    per_month = Cycle.parse(addition.agreement.billing_cycle).per_month
    return round_money(per_month * Fraction(multiply(quantity, addition.unit_price)))


def _ending(since: date, until: date, company_id: int | None) -> QuerySet[Agreement]:
    rows = Agreement.objects.filter(
        status=AgreementStatus.ACTIVE, end_date__gte=since, end_date__lte=until, renewed_by=None
    )
    rows = rows if company_id is None else rows.filter(company=company_id)
    return rows.select_related("company").prefetch_related("additions__changes")


def _end_of(agreement: Agreement) -> Entry:
    end = last_day(agreement) or date.max
    running = [a for a in agreement.additions.all() if quantity_on(a, end)]
    return Entry(
        day=end,
        kind=AGREEMENT_END,
        company=agreement.company.name,
        agreement_id=agreement.pk,
        agreement=agreement.number,
        what=_named(running, end) or agreement.name,
        to_do=f"Renew it, or let it end with {format_date(end)}.",
        monthly=sum_money(_monthly(addition, end) for addition in running),
        addition_ids=tuple(addition.pk for addition in running),
    )


def _renewal_quotes(additions: list[Addition]) -> dict[int, QuoteLine]:
    """The line of the newest quote that would renew each addition, by the addition's id; declined ones do not count.

    One that renewed it for the term it has now is over.
    """
    rows = QuoteLine.objects.filter(
        addition__in=[addition.pk for addition in additions],
        action=LineAction.RENEW,
        version__status__in=ACTIVE,
    )
    ends = {addition.pk: addition.committed_through for addition in additions}
    found: dict[int, QuoteLine] = {}
    for line in rows.select_related("version__quote").order_by("pk"):
        end = ends.get(line.addition_id or 0)
        is_accepted = line.version is not None and line.version.status == VersionStatus.ACCEPTED
        if not is_accepted or (line.start_date is not None and end is not None and line.start_date > end):
            found[line.addition_id or 0] = line
    return found


# -- the feed ----------------------------------------------------------------------------------------------------------


@command(roles=(Role.SALES,))
def renew_calendar_address(*, actor: Actor) -> str:
    """Give the calendar another secret address; the former one answers no more.

    Returns:
        The secret in the address.
    """
    settings, _ = QuoteSettings.objects.get_or_create(pk=1)
    settings.calendar_secret = secrets.token_urlsafe(32)
    settings.save(update_fields=["calendar_secret"])
    audit.record(actor, "quotes.calendar.address_renewed", "gave the renewal calendar another address")
    return settings.calendar_secret


@command(roles=(Role.SALES,))
def close_calendar_address(*, actor: Actor) -> None:
    """Take the calendar's address away: nobody reads it from outside any more."""
    QuoteSettings.objects.filter(pk=1).update(calendar_secret="")
    audit.record(actor, "quotes.calendar.address_closed", "took the address of the renewal calendar away")


def calendar_secret() -> str:
    """The secret in the calendar's address; empty when it has none."""
    return QuoteSettings.objects.filter(pk=1).values_list("calendar_secret", flat=True).first() or ""


def opens_calendar(secret: str) -> bool:
    """Whether this is the secret; the time it takes tells nothing."""
    known = calendar_secret()
    return bool(known) and constant_time_compare(secret, known)


def feed(*, name: str, since: date, until: date, now: datetime, address: Callable[[Entry], str]) -> str:
    """The calendar as iCalendar; ``address`` is where to act on an entry."""
    events = [
        Event(
            uid=entry.uid,
            day=entry.day,
            summary=f"{entry.label}: {entry.company}, {entry.agreement}",
            description=f"{entry.what}\n{entry.to_do}",
            url=address(entry),
            category=entry.label,
        )
        for entry in entries(since=since, until=until)
    ]
    return calendar(name, events, now=now)
