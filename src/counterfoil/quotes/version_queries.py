"""What is known about quotes: the list, one version for its editor, what differs between two, who is to approve."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from django.db.models import (
    Case,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    When,
    prefetch_related_objects,
)
from django.db.models.functions import Round

from counterfoil.core.bills import price_text, quantity_text
from counterfoil.core.calendar import Cycle, format_date
from counterfoil.core.money import ZERO, format_money, round_money, sum_money
from counterfoil.core.quoting import PricedLine, PricedQuote, SectionTotals, Totals
from counterfoil.platform.fields import money_field
from counterfoil.quotes.approvals import Finding, findings
from counterfoil.quotes.customer import recurrence_words, start_words
from counterfoil.quotes.loading import with_customer
from counterfoil.quotes.models import (
    CHANGEABLE,
    Approval,
    ApprovalRule,
    ApprovalStatus,
    LineAction,
    Quote,
    QuoteLine,
    QuoteSection,
    QuoteSettings,
    QuoteVersion,
)
from counterfoil.quotes.pricing import lines_of, price_version

_TAKES_AWAY: Final = (LineAction.DECREASE, LineAction.CANCEL)


# -- the list ----------------------------------------------------------------------------------------------------------


def quotes(
    *,
    search: str = "",
    status: str = "",
    kind: str = "",
    company_id: int | None = None,
    opportunity_id: int | None = None,
    templates: bool = False,
) -> QuerySet[Quote]:
    """Quotes, newest first, with opportunity and customer, and of the newest version ``version_id``,
    ``version_number``, ``status``, ``expires_on`` and ``sent_at``.

    Args:
        search: words of number, name, customer or opportunity.
        status: of the newest version.
        kind: ``new``, ``change``, ``renewal``, ``coterm``.
        company_id: of one customer.
        opportunity_id: of one opportunity.
        templates: the templates instead.
    """
    newest = QuoteVersion.objects.filter(quote=OuterRef("pk")).order_by("-number")
    rows = Quote.objects.filter(is_template=templates).select_related("opportunity__company")
    rows = rows.annotate(
        version_id=Subquery(newest.values("pk")[:1]),
        version_number=Subquery(newest.values("number")[:1]),
        status=Subquery(newest.values("status")[:1]),
        expires_on=Subquery(newest.values("expires_on")[:1]),
        sent_at=Subquery(newest.values("sent_at")[:1]),
    )
    for word in search.split():
        rows = rows.filter(
            Q(number__icontains=word)
            | Q(name__icontains=word)
            | Q(opportunity__company__name__icontains=word)
            | Q(opportunity__number__icontains=word)
        )
    if status:
        rows = rows.filter(status=status)
    if kind:
        rows = rows.filter(kind=kind)
    if company_id is not None:
        rows = rows.filter(opportunity__company_id=company_id)
    return rows if opportunity_id is None else rows.filter(opportunity_id=opportunity_id)


@dataclass(frozen=True, slots=True)
class QuoteRow:
    """A quote of the list; ``quote`` has what :func:`quotes` annotates. Amounts are of the newest version."""

    quote: Quote
    one_time: Decimal
    monthly: Decimal


def quote_rows(found: Iterable[Quote]) -> tuple[QuoteRow, ...]:
    """Quotes of a page with what they come to (one query)."""
    page = list(found)
    amounts = amounts_of({quote.version_id for quote in page if quote.version_id})  # type: ignore[attr-defined]
    return tuple(QuoteRow(quote, *amounts.get(quote.version_id, (ZERO, ZERO))) for quote in page)  # type: ignore[attr-defined]


def amounts_of(version_ids: Iterable[int]) -> dict[int, tuple[Decimal, Decimal]]:
    """What versions come to, once and a month, by their ids (one query); as the prices kept on their lines say."""
    amount = Round(F("quantity") * F("unit_price"), precision=2, output_field=money_field())
    signed = Case(When(action__in=_TAKES_AWAY, then=-amount), default=amount, output_field=money_field())
    counting = QuoteLine.objects.filter(version__in=list(version_ids), selected=True, is_usage=False).filter(
        Q(bundle__isnull=True) | Q(bundle__selected=True)
    )
    sums = counting.order_by().values_list("version_id", "billing_cycle").annotate(total=Sum(signed))
    once: dict[int, Decimal] = defaultdict(lambda: ZERO)
    months: dict[int, Fraction] = defaultdict(Fraction)
    for version_id, cycle, total in sums:
        if cycle:
            months[version_id] += Fraction(total) * Cycle.parse(cycle).per_month
        else:
            once[version_id] = sum_money([once[version_id], total])
    return {pk: (once[pk], round_money(months[pk])) for pk in once.keys() | months.keys()}


# -- one version -------------------------------------------------------------------------------------------------------


def versions(*, quote_id: int | None = None, status: str = "") -> QuerySet[QuoteVersion]:
    """Versions of quotes, of one or of all, with quote, customer, site, contact and terms."""
    rows = with_customer(QuoteVersion.objects.all())
    if quote_id is not None:
        rows = rows.filter(quote_id=quote_id)
    return rows.filter(status=status) if status else rows


def version(version_id: int) -> QuoteVersion | None:
    """A version with sections, lines, products and price models, in a fixed number of queries."""
    found = versions().prefetch_related("sections").filter(pk=version_id).first()
    if found is not None:
        lines_of(found)
    return found


def newest_version_id(quote_id: int) -> int | None:
    """The id of the newest version of a quote, where no more is needed of it."""
    return QuoteVersion.objects.filter(quote_id=quote_id).order_by("-number").values_list("pk", flat=True).first()


def newest_version(quote_id: int) -> QuoteVersion | None:
    """The newest version of a quote, as :func:`version`."""
    pk = newest_version_id(quote_id)
    return None if pk is None else version(pk)


def is_of_newest(model: type[QuoteLine | QuoteSection], quote_id: int, pk: int) -> bool:
    """Whether a line or a section is of the newest version of a quote."""
    newest = QuoteVersion.objects.filter(quote_id=quote_id).order_by("-number").values("pk")[:1]
    return model._default_manager.filter(version=newest, pk=pk).exists()


@dataclass(frozen=True, slots=True)
class EditorRow:
    """A line in the editor: what was entered, what it comes to, and what staff alone see."""

    line: QuoteLine
    priced: PricedLine

    @property
    def recurrence(self) -> str:
        """``1 year, billed monthly``; ``Once``."""
        return recurrence_words(self.line)

    @property
    def start(self) -> str:
        """``On acceptance``; ``1 Feb 2026``."""
        return start_words(self.line)

    @property
    def note(self) -> str:
        """Why it does not count."""
        return _note(self.line, self.priced)


@dataclass(frozen=True, slots=True)
class EditorSection:
    """A section in the editor; without a record: the lines in no section."""

    section: QuoteSection | None
    rows: tuple[EditorRow, ...]
    one_time: Decimal
    monthly: Decimal


@dataclass(frozen=True, slots=True)
class Editor:
    """A version as staff work on it.

    Attributes:
        version: with quote, customer, lines and sections loaded.
        sections: in order; the lines in no section come first.
        priced: lines and totals.
        asks: the rules that ask for approval as it stands now.
        approvals: what was asked, and the answers.
        changeable: staff may still change it.
    """

    version: QuoteVersion
    sections: tuple[EditorSection, ...]
    priced: PricedQuote
    asks: tuple[Finding, ...]
    approvals: tuple[Approval, ...]
    changeable: bool

    @property
    def totals(self) -> Totals:
        """What is taken comes to."""
        return self.priced.totals


def editor(version_id: int, *, on: date) -> Editor | None:
    """A version for its editor, with a tax estimate of the day, in a fixed number of queries.

    Raises:
        DomainError: ``invalid`` when it cannot be priced; ``tax_code_not_in_effect``.
    """
    if (found := version(version_id)) is None:
        return None
    return editor_of(found, price_version(found, on=on))


def editor_of(found: QuoteVersion, priced: PricedQuote) -> Editor:
    """The same, for a version that is loaded and priced."""
    records = {section.pk: section for section in found.sections.all()}
    subtotals = {section.key: section for section in priced.sections}
    by_section: dict[int | None, list[EditorRow]] = defaultdict(list)
    for line, done in zip(lines_of(found), priced.lines, strict=True):
        by_section[line.section_id].append(EditorRow(line, done))
    nothing = SectionTotals(None, ZERO, ZERO)
    keys: list[int | None] = [None, *records] if by_section[None] or not records else [*records]
    sections = [
        EditorSection(
            records.get(key or 0),
            tuple(by_section[key]),
            subtotals.get(key, nothing).one_time,
            subtotals.get(key, nothing).monthly,
        )
        for key in keys
    ]
    # What was asked of the content before a change is void.
    approvals = () if found.recalculated is not None else found.approvals.select_related("rule__approver")
    changeable = found.status in CHANGEABLE
    return Editor(
        version=found,
        sections=tuple(sections),
        priced=priced,
        asks=tuple(findings(found, priced)) if changeable else (),
        approvals=tuple(approvals),
        changeable=changeable,
    )


def _note(line: QuoteLine, done: PricedLine) -> str:
    if line.is_usage:
        return "Estimate"
    if done.counts:
        return ""
    return "With its bundle" if line.bundle_id is not None else "Not chosen" if line.choice_group else "Option"


# -- what differs ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VersionDifference:
    """A value of the first version and of the second, in words."""

    name: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class ChangedLine:
    """A line that is in both versions and differs."""

    old: QuoteLine
    new: QuoteLine
    differences: tuple[VersionDifference, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions side by side: of ``old`` to ``new``.

    Attributes:
        old: the one; ``new``: the other.
        added: lines that only the new one has; ``removed``: that only the old one has.
        changed: lines of both that differ; ``same``: how many do not.
        differences: of the versions themselves: texts, discount, deposit, last day, sections.
        totals: one-time, monthly, yearly, over the term, margin; all of them, whether they differ or not.
    """

    old: QuoteVersion
    new: QuoteVersion
    added: tuple[QuoteLine, ...]
    removed: tuple[QuoteLine, ...]
    changed: tuple[ChangedLine, ...]
    same: int
    differences: tuple[VersionDifference, ...]
    totals: tuple[VersionDifference, ...]


#: What is compared of a line: name for people -> field.
_LINE_FIELDS: Final[dict[str, str]] = {
    "Description": "description", "Text": "customer_text", "Offer": "offer", "Quantity": "quantity",
    "From quantity": "quantity_min", "Up to quantity": "quantity_max", "List price": "list_price",
    "Unit price": "unit_price", "Unit cost": "unit_cost", "Discount": "discount_value", "Price model": "price_model",
    "Taxable": "taxable", "Term": "term", "Billing cycle": "billing_cycle", "Cycles": "cycles", "Usage": "is_usage",
    "Start": "start_policy", "Start date": "start_date", "Aligned to": "align_to", "Optional": "optional",
    "Taken": "selected", "Choice group": "choice_group", "For each bundle": "bundle_quantity", "Hidden": "hidden",
    "Action": "action",
}  # fmt: skip
_VERSION_FIELDS: Final[dict[str, str]] = {
    "Site": "site", "Contact": "contact", "Last day": "expires_on", "Introduction": "introduction",
    "Terms and conditions": "terms_and_conditions", "Payment terms": "terms", "Tax code": "tax_code",
    "Discount": "discount_value", "Deposit": "deposit_value", "One-time code": "ask_code",
}  # fmt: skip


def compare_versions(old: QuoteVersion, new: QuoteVersion) -> Comparison:
    """What is different between two versions; lines of the same product are laid beside each other."""
    pairs = _pairs(lines_of(old), lines_of(new))
    prefetch_related_objects([*lines_of(old), *lines_of(new)], "offer")
    changed, same = [], 0
    for before, after in pairs:
        if before is None or after is None:
            continue
        if found := _differences(before, after, _LINE_FIELDS):
            changed.append(ChangedLine(before, after, found))
        else:
            same += 1
    sections = VersionDifference("Sections", _section_words(old), _section_words(new))
    return Comparison(
        old=old,
        new=new,
        added=tuple(after for before, after in pairs if before is None and after is not None),
        removed=tuple(before for before, after in pairs if after is None and before is not None),
        changed=tuple(changed),
        same=same,
        differences=(
            *_differences(old, new, _VERSION_FIELDS),
            *([sections] if sections.old != sections.new else []),
        ),
        totals=_totals(price_version(old).totals, price_version(new).totals),
    )


def _pairs(old: Sequence[QuoteLine], new: Sequence[QuoteLine]) -> list[tuple[QuoteLine | None, QuoteLine | None]]:
    """Lines laid beside each other in the order of the new version: the most alike first."""
    left = list(old)
    partner: dict[int, QuoteLine] = {}
    for key in _LIKENESS:
        waiting: dict[Any, list[QuoteLine]] = defaultdict(list)
        for line in left:
            waiting[key(line)].append(line)
        for line in new:
            if line.pk not in partner and waiting[key(line)]:
                partner[line.pk] = waiting[key(line)].pop(0)
                left.remove(partner[line.pk])
    return [*((partner.get(line.pk), line) for line in new), *((line, None) for line in left)]


#: How alike two lines are, strictest first.
_LIKENESS: Final[tuple[Callable[[QuoteLine], Any], ...]] = (
    lambda line: (
        line.product_id, line.addition_id, line.offer_id, line.choice_group, line.optional, line.description,
        line.quantity, line.list_price, line.bundle_id is None,
    ),
    lambda line: (line.product_id, line.addition_id, line.offer_id, line.description, line.bundle_id is None),
    lambda line: (line.product_id, line.addition_id, line.bundle_id is None),
)  # fmt: skip


def _differences(old: Any, new: Any, names: dict[str, str]) -> tuple[VersionDifference, ...]:
    found = []
    for name, attribute in names.items():
        before, after = getattr(old, attribute), getattr(new, attribute)
        if attribute in ("discount_value", "deposit_value"):
            kind = attribute.replace("value", "kind")
            before, after = _of_kind(getattr(old, kind), before), _of_kind(getattr(new, kind), after)
        if before != after:
            found.append(VersionDifference(name, _words(attribute, before), _words(attribute, after)))
    return tuple(found)


def _of_kind(kind: str, value: Decimal) -> str:
    if not kind:
        return "none"
    return f"{quantity_text(value)} %" if kind == "percent" else format_money(value)


def _words(name: str, value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return price_text(value) if "price" in name or "cost" in name else quantity_text(value)
    return format_date(value) if isinstance(value, date) else str(value)


def _section_words(found: QuoteVersion) -> str:
    said = [
        section.title
        + (f" ({_of_kind(section.discount_kind, section.discount_value)})" if section.discount_kind else "")
        for section in found.sections.all()
    ]
    return ", ".join(said) or "none"


def _totals(old: Totals, new: Totals) -> tuple[VersionDifference, ...]:
    rows: list[tuple[str, Callable[[Totals], Decimal]]] = [
        ("One-time", lambda totals: totals.one_time.price),
        ("Monthly", lambda totals: totals.monthly.price),
        ("Yearly", lambda totals: totals.yearly.price),
        ("Over the term", lambda totals: totals.term.price),
        ("Usage a month", lambda totals: totals.usage_monthly.price),
        ("Discount", lambda totals: totals.value.discount),
        ("Margin", lambda totals: totals.value.margin),
    ]
    return tuple(VersionDifference(name, format_money(of(old)), format_money(of(new))) for name, of in rows)


# -- approval ----------------------------------------------------------------------------------------------------------


def approval_rules(*, active: bool | None = None) -> QuerySet[ApprovalRule]:
    """The rules by name, with the person they ask."""
    rows = ApprovalRule.objects.select_related("approver")
    return rows if active is None else rows.filter(active=active)


def approvals(*, version_id: int | None = None, status: str = "") -> QuerySet[Approval]:
    """Requests for approval with their answers, in the order they were asked; of one version or of all."""
    rows = Approval.objects.select_related("rule__approver", "version__quote__opportunity__company").order_by("pk")
    if version_id is not None:
        rows = rows.filter(version_id=version_id)
    return rows.filter(status=status) if status else rows


def waiting_approvals() -> QuerySet[Approval]:
    """What waits for an answer."""
    return approvals(status=ApprovalStatus.WAITING)


def quote_settings() -> QuoteSettings:
    """How quotes are made here; as it is at first when nothing was set."""
    return QuoteSettings.objects.filter(pk=1).first() or QuoteSettings()
