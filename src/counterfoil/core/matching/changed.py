"""What accepted lines ask of an addition that runs, what became of it, and what was changed beside any quote.

An addition changes once a day, whoever wrote last: two change quotes, or a person after them. So a change is held
against what all lines ask together that were accepted for its day, and the last of them says what differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Final, NamedTuple

from counterfoil.core.matching import said
from counterfoil.core.matching.dollars import in_cycle, last_day, over_time, quoted_cycle
from counterfoil.core.matching.legs import AgreementLeg, AskedLeg, ChangeLeg, QuoteLeg, QuoteThread
from counterfoil.core.matching.look import Look, compare_price, compare_product, compare_start

_DAY: Final = timedelta(days=1)
_NOTHING: Final = Decimal(0)
#: What names the price from then on.
_PRICED: Final = ("increase", "renew")


class Step(NamedTuple):
    """A change of an addition: how many more it has, how many of these were quoted, and the price that was.

    What a line of a quote did otherwise than it asks (not ``as_asked``) counts as quoted: its own thread says so.
    """

    change: ChangeLeg
    more: Decimal
    quoted: Decimal
    price: Decimal | None
    as_asked: bool


def steps(changes: Sequence[ChangeLeg], asked: Sequence[AskedLeg]) -> Iterator[Step]:
    """The changes of one addition after what it began with.

    As asked is what was added to what was there, or to what was agreed so far, as if nobody had changed it by hand.
    """
    agreed = changes[0].quantity
    for before, change in pairwise(changes):
        asks = _on(asked, change.addition_id, change.start)
        more, quoted = change.quantity - before.quantity, _after(asks, agreed) - agreed
        as_asked = change.quantity in (_after(asks, before.quantity), agreed + quoted)
        price = next((ask.unit_price for ask in reversed(asks) if ask.action in _PRICED), None)
        if change.origin_id is not None:
            quoted, price = quoted if as_asked else more, change.unit_price
        agreed += quoted
        yield Step(change, more, quoted, price, as_asked)


def _on(asked: Sequence[AskedLeg], addition_id: int, day: date) -> list[AskedLeg]:
    """What is asked of an addition for a day."""
    return [ask for ask in asked if (ask.addition_id, ask.start) == (addition_id, day) and not ask.apart]


def _after(asks: Iterable[AskedLeg], before: Decimal) -> Decimal:
    """How many there are to be when what is asked for a day is done; not fewer than none."""
    for ask in asks:
        if ask.action == "renew":
            before = ask.quantity
        else:
            before += ask.quantity if ask.action == "increase" else -ask.quantity
    return max(before, _NOTHING)


def begins_with(quote: QuoteLeg, line: AgreementLeg, asked: Sequence[AskedLeg]) -> Decimal:
    """How many an addition is to begin with: as quoted, and as asked for its first day. None left is a cancellation."""
    return _after(_on(asked, line.id, line.start), quote.quantity) or quote.quantity


def _before(line: AgreementLeg, changes: Sequence[ChangeLeg], day: date) -> Decimal | None:
    """How many there were until a day; not known where the addition began with a change of that day."""
    if not changes:
        return line.quantity
    return next((change.quantity for change in reversed(changes) if change.start < day), None)


# -- the thread of the line that an addition came of -------------------------------------------------------------------


def changed_by_hand(look: Look, line: AgreementLeg, changes: Sequence[ChangeLeg], asked: Sequence[AskedLeg]) -> None:
    """What was changed beside any quote, if it is still other than quoted."""
    quote, now = look.quote, changes[-1]
    included = _NOTHING if quote.has_price_model else changes[0].less_included
    agreed, price = changes[0].quantity - included, changes[0].unit_price
    for step in steps(changes, asked):
        agreed += step.quoted
        price = price if step.price is None else step.price
    quantity = now.quantity - (_NOTHING if quote.has_price_model else now.less_included)
    if (quantity, now.unit_price) == (agreed, price):
        return
    expected = f"{said.number(agreed)} at {said.price(price)}"
    actual = f"{said.number(quantity)} at {said.price(now.unit_price)}"
    text = f"{line.label} was changed by hand on {said.day(now.start)}: {quote.product} {actual}, not {expected}."
    less = in_cycle(agreed * price - quantity * now.unit_price, line.billing_cycle, quoted_cycle(quote))
    look.add("changed_by_hand", "agreement", line.label, expected, actual, text, over_time(less, quote), line.id)


def quoted_end(
    quote: QuoteLeg, line: AgreementLeg, changes: Sequence[ChangeLeg], asked: Sequence[AskedLeg]
) -> date | None:
    """The last day of an addition by what was accepted: as quoted, as renewed, as cancelled; none where it is open.

    What was accepted last counts: a cancellation also takes back a renewal that would have followed. More of what runs
    already ends with it, which the quote need not say.
    """
    asked = [ask for ask in asked if ask.addition_id == line.id]
    last = last_day(quote, quote.start or line.start) if quote.action != "increase" or quote.align_to else None
    for ask in asked:
        if ask.action == "renew":
            last = ask.start - _DAY if ask.apart else last_day(ask, ask.start)
        elif _leaves_none(line, changes, asked, ask):
            gone = max(ask.start, line.start) - _DAY
            last = gone if last is None else min(last, gone)
    return last


def _leaves_none(line: AgreementLeg, changes: Sequence[ChangeLeg], asked: Sequence[AskedLeg], ask: AskedLeg) -> bool:
    before = _before(line, changes, ask.start)
    return ask.action == "cancel" if before is None else not _after(_on(asked, line.id, ask.start), before)


# -- the thread of a line of a change quote ----------------------------------------------------------------------------


def match_change(look: Look, thread: QuoteThread, line: AgreementLeg) -> None:
    """A line of a change quote against the addition that it changes.

    What was done by hand afterwards is said on the thread of the line that the addition came of, if it came of one.
    """
    quote, changes = look.quote, thread.history
    own = next((ask for ask in thread.asked if ask.id == quote.id), None)
    if own is None:
        return  # not converted yet
    asks = _on(thread.asked, line.id, own.start)
    if asks[-1].id != quote.id:
        return  # said of the last line that was accepted for the day
    made = next((each for each in changes if each.origin_id == quote.id), None)
    made = made or next((each for each in changes if each.start == own.start), None)
    since = made.start if made else own.start
    is_over = line.ends is not None and line.ends < max(since, line.start)
    if is_over or (line.origin_id is not None and made is not None and made.origin_id is None):
        return
    compare_product(look, "agreement", line)
    compare_start(look, "agreement", line.label, line.id, since)
    before = _before(line, changes, since)
    if before is not None and not quote.is_usage:
        _compare_change(look, line, asks, before, _more(changes, thread.asked, made))
    if made is not None and quote.action in _PRICED and not quote.has_price_model:
        compare_price(look, "agreement", line.label, line.id, quote.quantity, quote.unit_price, made.unit_price, "")


def _more(changes: Sequence[ChangeLeg], asked: Sequence[AskedLeg], made: ChangeLeg | None) -> Decimal | None:
    """How many more the addition has from a change on; nothing where that is as asked."""
    for step in steps(changes, asked) if changes else ():
        if step.change is made:
            return None if step.as_asked else step.more
    return _NOTHING


def _compare_change(
    look: Look, line: AgreementLeg, asks: Sequence[AskedLeg], before: Decimal, more: Decimal | None
) -> None:
    quote, left = look.quote, _after(asks, before)
    if not left and more is None:
        return  # it has none any more
    if not left:
        last, ends = max(asks[-1].start, line.start) - _DAY, line.ends
        text = f"{quote.label} ends {quote.product} on {said.day(last)}; {line.label} bills it until {said.day(ends)}."
        dollars = over_time(-before * quote.unit_price, quote)
        look.add("end_date", "agreement", line.label, said.day(last), said.day(ends), text, dollars, line.id)
    elif more is not None and not look.tolerance("quantity").covers(left - before, more):
        wanted, done, since = said.number(left - before), said.number(more), said.day(asks[-1].start)
        text = f"{quote.label} asks for {wanted} more {quote.product} from {since} on; {line.label} has {done} more."
        dollars = over_time((left - before - more) * quote.unit_price, quote)
        look.add("quantity", "agreement", line.label, wanted, done, text, dollars, line.id)
