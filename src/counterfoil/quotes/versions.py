"""The life of quotes and their versions: made, changed, copied, sent, seen, declined, expired, withdrawn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, cast

from django.db.models import Max

from counterfoil.companies.models import Company
from counterfoil.companies.policies import ensure_billable, ensure_customer
from counterfoil.companies.queries import bill_to_of, currency, local_date, site_of
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, format_money
from counterfoil.core.quoting import Deposit, Discount, Kind, PricedQuote
from counterfoil.core.states import words
from counterfoil.platform import audit, mail
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.copying import take_ids
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.numbering import take_number
from counterfoil.platform.records import (
    UNSET,
    Unset,
    change,
    changes_in_words,
    check_fields,
    fetch,
    save_checked,
)
from counterfoil.quotes.approvals import ensure_approved
from counterfoil.quotes.content import content_hash
from counterfoil.quotes.editing import (
    ensure_not_lost,
    finish,
    hold_version,
    open_version,
    set_status,
    void_approvals,
)
from counterfoil.quotes.models import (
    ACTIVE,
    CHANGEABLE,
    WITH_CUSTOMER,
    Opportunity,
    Quote,
    QuoteKind,
    QuoteLine,
    QuoteSection,
    QuoteSettings,
    QuoteVersion,
    VersionStatus,
)
from counterfoil.quotes.opportunities import contact_of, create_opportunity
from counterfoil.quotes.pricing import lines_of, price_version

SELLERS: Final = (Role.SALES,)
SELLERS_AND_CUSTOMER: Final = (Role.SALES, Role.CUSTOMER)

refuse_as(
    "one_active_version_of_a_quote",
    "conflict",
    "Somebody else has just made a version of this quote. Reload to see it.",
)
refuse_as("quote_version_number_once", "conflict", "Somebody else has just made a version of this quote.")

#: What a copied version keeps.
_COPIED: Final = (
    "currency", "introduction", "terms_and_conditions", "terms_id", "discount_kind", "discount_value", "deposit_kind",
    "deposit_value", "ask_code",
)  # fmt: skip
#: What belongs to one customer.
_CUSTOMERS: Final = ("site_id", "contact_id", "tax_code_id", "expires_on")


# -- made --------------------------------------------------------------------------------------------------------------


@command(roles=SELLERS)
def create_quote(
    *,
    actor: Actor,
    name: str,
    on: date,
    opportunity_id: int | None = None,
    company_id: int | None = None,
    template_id: int | None = None,
    kind: str = QuoteKind.NEW,
    agreement_id: int | None = None,
    site_id: int | None = None,
    contact_id: int | None = None,
) -> Quote:
    """Make a quote with its first version: for an opportunity, or for a company, which opens one.

    Args:
        actor: who.
        name: what it is about.
        on: today; the quote expires so many days later as the settings say.
        opportunity_id: what it belongs to.
        company_id: the customer, where no opportunity is named.
        template_id: the quote it begins as a copy of.
        kind: new business, a change, a renewal, a co-term.
        agreement_id: whose additions it changes or renews; new recurring lines join it.
        site_id: the customer's, whose tax is estimated.
        contact_id: the customer's, whom it is addressed to.

    Raises:
        DomainError: ``required`` without a customer; ``not_found``; ``invalid``; ``my_company_not_billable``.
    """
    if opportunity_id is None and company_id is None:
        raise DomainError("required", "For whom is it? Name an opportunity or a company.", field="company_id")
    if opportunity_id is None:
        opportunity = create_opportunity(
            actor=actor, company_id=cast(int, company_id), name=name, site_id=site_id, contact_id=contact_id
        )
    else:
        opportunity = fetch(Opportunity, opportunity_id, field="opportunity_id", lock=True)
        ensure_customer(opportunity.company)
    _ensure_agreement(opportunity.company, agreement_id)
    site_of(opportunity.company, site_id)
    contact_of(opportunity.company, contact_id)
    settings = QuoteSettings.objects.filter(pk=1).first() or QuoteSettings()
    quote = Quote(
        number=take_number("quote"), name=name.strip(), kind=kind, opportunity=opportunity, agreement_id=agreement_id
    )
    save_checked(quote)
    version = QuoteVersion(
        quote=quote,
        site_id=site_id,
        contact_id=contact_id,
        currency=currency(),
        expires_on=on + timedelta(days=settings.valid_days),
        terms_and_conditions=settings.terms_and_conditions,
        terms_id=bill_to_of(opportunity.company).terms_id or opportunity.company.terms_id,
        ask_code=settings.ask_code,
    )
    ensure_not_lost(version)
    said = ""
    if template_id is not None:
        template = fetch(Quote, template_id, field="template_id")
        if not template.is_template:
            raise DomainError("invalid", f"{template} is no template.", field="template_id", hint="Duplicate it.")
        source = _latest(template)
        _take_over(version, source, but=("currency", "terms_id"))
        save_checked(version)
        _copy_content(source, version)
        said = f" from the template {template.name}"
    else:
        save_checked(version)
    audit.record(
        actor, "quotes.quote.created", f"made {quote}, {quote.name}, for {opportunity.company.name}{said}", quote
    )
    return quote


@command(roles=SELLERS)
def duplicate_quote(
    *,
    actor: Actor,
    version_id: int,
    on: date,
    name: str | None = None,
    opportunity_id: int | None = None,
    company_id: int | None = None,
) -> Quote:
    """Make another quote with the content of a version, for the same opportunity unless another customer is named.

    Raises:
        DomainError: ``not_found``; ``invalid`` when it changes what one customer has and is copied for another.
    """
    source = fetch(QuoteVersion, version_id, field="version_id")
    former = source.quote
    if opportunity_id is None and company_id is None:
        opportunity_id = former.opportunity_id
    same = _same_customer(former, opportunity_id, company_id)
    if not same:
        _refuse_changes(source)
    keeps = same and former.agreement_id is not None
    quote = create_quote(
        actor=actor,
        name=name or former.name,
        on=on,
        opportunity_id=opportunity_id,
        company_id=company_id,
        kind=former.kind if keeps else QuoteKind.NEW,
        agreement_id=former.agreement_id if keeps else None,
        site_id=source.site_id if same else None,
        contact_id=source.contact_id if same else None,
    )
    version = quote.versions.get()
    _take_over(version, source, but=() if same else ("terms_id",))
    save_checked(version)
    _copy_content(source, version)
    audit.record(actor, "quotes.quote.duplicated", f"copied {source} to {quote}", quote)
    return quote


@command(roles=SELLERS)
def make_template(*, actor: Actor, version_id: int, name: str) -> Quote:
    """Keep the content of a version as a template for other quotes, without its customer.

    Raises:
        DomainError: ``not_found``; ``required``; ``invalid`` when it changes what a customer has.
    """
    source = fetch(QuoteVersion, version_id, field="version_id")
    _refuse_changes(source)
    template = Quote(number=take_number("quote"), name=name.strip(), is_template=True)
    save_checked(template)
    version = QuoteVersion(quote=template)
    _take_over(version, source)
    save_checked(version)
    _copy_content(source, version)
    audit.record(actor, "quotes.template.created", f"made the template {template.name} of {source}", template)
    return template


@command(roles=SELLERS)
def new_version(*, actor: Actor, version_id: int, on: date, now: datetime, comment: str = "") -> QuoteVersion:
    """Go on with a copy of a version; it takes the active one's place at once.

    Args:
        actor: who.
        version_id: which one to go on with; any of the quote's.
        on: today; a copy that has expired, or will before, gets a new last day.
        now: the instant the former version is superseded.
        comment: what is different, for staff.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` once a version is accepted.
    """
    source = hold_version(version_id)
    ensure_not_lost(source)
    quote = source.quote
    for active in quote.versions.filter(status__in=ACTIVE).select_for_update(no_key=True):
        active.quote = quote
        if active.status == VersionStatus.ACCEPTED:
            raise DomainError(
                "wrong_state", f"{active} is accepted: it is what was agreed.", field="version_id",
                hint="Make a change quote for what is to be different.",
            )  # fmt: skip
        void_approvals(active)
        set_status(active, VersionStatus.SUPERSEDED, closed_at=now, close_reason="A new version took its place.")
    last = quote.versions.aggregate(last=Max("number"))["last"]
    version = QuoteVersion(quote=quote, number=last + 1, comment=comment.strip())
    _take_over(version, source, also=_CUSTOMERS)
    if not quote.is_template and (version.expires_on is None or version.expires_on < on):
        settings = QuoteSettings.objects.filter(pk=1).first() or QuoteSettings()
        version.expires_on = on + timedelta(days=settings.valid_days)
    save_checked(version)
    _copy_content(source, version)
    audit.record(
        actor, "quotes.version.created", f"made {version} of version {source.number}", quote, version=version.number
    )
    return version


def _latest(quote: Quote) -> QuoteVersion:
    return quote.versions.order_by("-number")[0]


def _take_over(
    version: QuoteVersion, source: QuoteVersion, *, also: Sequence[str] = (), but: Sequence[str] = ()
) -> None:
    for name in (*_COPIED, *also):
        if name not in but:
            setattr(version, name, getattr(source, name))


def _copy_content(source: QuoteVersion, version: QuoteVersion) -> None:
    """Copy sections and lines; three statements, however many there are."""
    sections = {
        section.pk: QuoteSection(
            version=version,
            position=section.position,
            title=section.title,
            text=section.text,
            discount_kind=section.discount_kind,
            discount_value=section.discount_value,
        )
        for section in source.sections.all()
    }
    QuoteSection.objects.bulk_create(sections.values())
    lines = lines_of(source)
    keys = dict(zip([line.pk for line in lines], take_ids(QuoteLine, len(lines)), strict=True))
    copies = []
    for line in lines:
        values: dict[str, Any] = {field.attname: getattr(line, field.attname) for field in line._meta.concrete_fields}
        values |= {
            "id": keys[line.pk],
            "opportunity_id": None,
            "version_id": version.pk,
            "section_id": None if line.section_id is None else sections[line.section_id].pk,
            "bundle_id": None if line.bundle_id is None else keys[line.bundle_id],
        }
        copies.append(QuoteLine(**values))
    QuoteLine.objects.bulk_create(copies)


def _same_customer(former: Quote, opportunity_id: int | None, company_id: int | None) -> bool:
    """Whether a copy is for the customer of the former quote."""
    if former.opportunity is None:
        return False
    if opportunity_id is not None:
        return fetch(Opportunity, opportunity_id, field="opportunity_id").company_id == former.opportunity.company_id
    return company_id == former.opportunity.company_id


def _refuse_changes(source: QuoteVersion) -> None:
    if line := source.lines.filter(addition__isnull=False).first():
        raise DomainError(
            "invalid", f"“{line.description}” changes what the customer has; it can be quoted to nobody else.",
            field="version_id",
        )  # fmt: skip


def _ensure_agreement(company: Company, agreement_id: int | None) -> None:
    """Refuse another customer's agreement (a higher context's record, known by its key alone)."""
    if agreement_id is None:
        return
    agreements = cast(Any, Quote._meta.get_field("agreement")).related_model.objects
    if not agreements.filter(pk=agreement_id, company=company).exists():
        raise DomainError(
            "not_found", f"{company.name} has no agreement with the id {agreement_id}.", field="agreement_id"
        )


# -- changed -----------------------------------------------------------------------------------------------------------


@command(roles=SELLERS)
def update_version(
    *,
    actor: Actor,
    version_id: int,
    name: str | Unset = UNSET,
    comment: str | Unset = UNSET,
    site_id: int | Unset | None = UNSET,
    contact_id: int | Unset | None = UNSET,
    currency_code: str | Unset = UNSET,
    expires_on: date | Unset | None = UNSET,
    introduction: str | Unset = UNSET,
    terms_and_conditions: str | Unset = UNSET,
    terms_id: int | Unset | None = UNSET,
    tax_code_id: int | Unset | None = UNSET,
    discount_kind: str | Unset = UNSET,
    discount_value: Decimal | Unset = UNSET,
    deposit_kind: str | Unset = UNSET,
    deposit_value: Decimal | Unset = UNSET,
    ask_code: bool | Unset = UNSET,
) -> QuoteVersion:
    """Change what is given of a draft, or the name of its quote.

    Raises:
        DomainError: ``quote_is_sent``; ``invalid``, ``required``, ``not_found``.
    """
    version = open_version(version_id)
    changes = change(version.quote, name=name)
    if changes:
        save_checked(version.quote)
    changes |= change(
        version,
        comment=comment,
        site_id=site_id,
        contact_id=contact_id,
        currency=currency_code,
        expires_on=expires_on,
        introduction=introduction,
        terms_and_conditions=terms_and_conditions,
        terms_id=terms_id,
        tax_code_id=tax_code_id,
        discount_kind=discount_kind,
        discount_value=discount_value,
        deposit_kind=deposit_kind,
        deposit_value=deposit_value,
        ask_code=ask_code,
    )
    _check_version(version)
    save_checked(version)
    said = f"changed {changes_in_words(changes)}"
    if changes.keys() - {"comment", "name"}:
        finish(actor, version, "quotes.version.changed", said)
    elif not changes:
        audit.record_nothing()
    else:
        audit.record(actor, "quotes.version.changed", f"{said} on {version}", version.quote)
    return version


def _check_version(version: QuoteVersion) -> None:
    opportunity = version.quote.opportunity
    if opportunity is None and (version.site_id or version.contact_id):
        raise DomainError("invalid", "A template is for nobody in particular.", field="site_id")
    if opportunity is not None:
        site_of(opportunity.company, version.site_id)
        contact_of(opportunity.company, version.contact_id)
    check_fields(version)
    Discount(cast(Kind, version.discount_kind), version.discount_value)
    Deposit(cast(Kind, version.deposit_kind), version.deposit_value)
    if version.deposit_kind == "percent" and version.deposit_value > 100:
        raise DomainError("invalid", "A deposit is at most 100 % of the one-time total.", field="deposit_value")
    if version.currency != (ours := currency()):
        raise DomainError(
            "invalid", f"You price and bill in {ours}; a quote in {version.currency} could not be invoiced.",
            field="currency", hint=f"Quote in {ours}.",
        )  # fmt: skip


@command(roles=SELLERS)
def remove_version(*, actor: Actor, version_id: int) -> None:
    """Throw a draft away that nobody has seen; of a quote with no other version, the quote with it.

    Raises:
        DomainError: ``quote_is_sent``.
    """
    version = open_version(version_id)
    quote = version.quote
    others = quote.versions.exclude(pk=version.pk).exists()
    thrown = str(version) if others else f"{quote}, {quote.name}"
    audit.record(actor, "quotes.version.removed", f"threw away {thrown}", quote)
    version.lines.all().delete()
    version.sections.all().delete()
    version.delete()
    if not others:
        quote.delete()


# -- sent, seen, closed ------------------------------------------------------------------------------------------------


@command(roles=SELLERS)
def send_quote(*, actor: Actor, version_id: int, on: date, now: datetime) -> QuoteVersion:
    """Let the customer have a version: from here on its content stands still.

    Args:
        actor: who.
        version_id: a draft, or a version that has been approved.
        on: today; it must not have expired.
        now: the instant it is sent.

    Raises:
        DomainError: ``quote_is_sent``; ``approval_required``, naming who; ``required`` without lines;
            ``quote_expired``; ``mail_not_configured`` where it asks for a code that cannot be mailed; ``invalid`` for a
            template or prices that do not hold; ``my_company_not_billable``, ``price_on_internal_company``.
    """
    version = open_version(version_id)
    priced = _ensure_sendable(version, on)
    ensure_approved(version, priced)
    set_status(version, VersionStatus.SENT, content_sha256=content_hash(version), sent_at=now)
    audit.record(
        actor, "quotes.version.sent",
        f"sent {version}: {format_money(priced.totals.one_time.price)} once,"
        f" {format_money(priced.totals.monthly.price)} a month",
        version.quote, version=version.number, content_sha256=version.content_sha256,
    )  # fmt: skip
    return version


def _ensure_codes_can_be_mailed(version: QuoteVersion) -> None:
    try:
        mail.ensure_configured()
    except DomainError as error:
        raise DomainError(
            error.code, f"{version} asks for a one-time code. {error.message}", field="ask_code",
            hint=f"Ask for no code on this quote, or have mail set up. {error.hint}",
        ) from error  # fmt: skip


def _ensure_sendable(version: QuoteVersion, on: date) -> PricedQuote:
    opportunity = version.quote.opportunity
    if opportunity is None:
        raise DomainError("invalid", f"{version.quote} is a template.", hint="Make a quote of it, for a customer.")
    if version.expires_on is None:
        raise DomainError("required", "Until when can it be accepted?", field="expires_on")
    if version.expires_on < on:
        raise DomainError(
            "quote_expired", f"{version} expired on {format_date(version.expires_on)}.", field="expires_on",
            hint="Set another last day.",
        )  # fmt: skip
    if version.ask_code:
        _ensure_codes_can_be_mailed(version)
    lines = lines_of(version)
    if not lines:
        raise DomainError("required", f"{version} has no lines: there is nothing to offer.", field="lines")
    priced = price_version(version, on=on)
    for line, done in zip(lines, priced.lines, strict=True):
        if line.unit_price != done.unit_price or line.quantity != done.quantity:
            raise DomainError(
                "conflict", f"The price kept of “{line.description}” is not what it comes to.", field="lines",
                hint="Change the line, which prices it anew.",
            )  # fmt: skip
    company = opportunity.company
    ensure_customer(company)
    billed = max((abs(line.amount) for line in priced.lines if line.counts), default=ZERO)
    ensure_billable(company, company.bill_to, price_total=billed)
    return priced


@command(roles=SELLERS)
def withdraw_quote(*, actor: Actor, version_id: int, now: datetime, reason: str = "") -> QuoteVersion:
    """Take back a version: the customer can no longer accept it.

    Raises:
        DomainError: ``wrong_state``.
    """
    version = hold_version(version_id)
    if version.status in CHANGEABLE:
        void_approvals(version)
    return _close(actor, version, VersionStatus.WITHDRAWN, "withdrew", now, reason)


@command(roles=SELLERS_AND_CUSTOMER)
def mark_viewed(*, actor: Actor, version_id: int, now: datetime) -> QuoteVersion:
    """The customer has looked at it; the first look counts, later ones change nothing.

    Raises:
        DomainError: ``wrong_state`` for a version that was never sent.
    """
    version = hold_version(version_id)
    if version.status != VersionStatus.VIEWED:
        set_status(version, VersionStatus.VIEWED, viewed_at=now)
    audit.record(actor, "quotes.version.viewed", f"looked at {version}", version.quote, version=version.number)
    return version


@command(roles=SELLERS_AND_CUSTOMER)
def decline_version(*, actor: Actor, version_id: int, now: datetime, reason: str = "") -> QuoteVersion:
    """The customer does not want it.

    Raises:
        DomainError: ``wrong_state`` unless it is with the customer.
    """
    return _close(actor, hold_version(version_id), VersionStatus.DECLINED, "declined", now, reason)


@command(roles=SELLERS)
def expire_quotes(*, actor: Actor, on: date, now: datetime) -> list[QuoteVersion]:
    """Close the versions with customers whose last day is over.

    Args:
        actor: who; every day Counterfoil itself.
        on: today, for the MSP.
        now: the instant they are closed.
    """
    over = QuoteVersion.objects.filter(status__in=WITH_CUSTOMER, expires_on__lt=on).order_by("pk")
    expired = []
    for version_id in over.values_list("pk", flat=True):
        version = hold_version(version_id)
        if version.status in WITH_CUSTOMER:  # somebody may have been quicker
            expired.append(_close(actor, version, VersionStatus.EXPIRED, "let expire", now, ""))
    audit.record(actor, "quotes.expired", f"closed {len(expired)} expired quotes")
    return expired


def _close(
    actor: Actor, version: QuoteVersion, status: VersionStatus, deed: str, now: datetime, reason: str
) -> QuoteVersion:
    reason = reason.strip()
    if len(reason) > 2000:
        raise DomainError("invalid", "A reason has at most 2,000 characters.", field="reason")
    set_status(version, status, closed_at=now, close_reason=reason)
    audit.record(
        actor, f"quotes.version.{status}", f"{deed} {version}" + (f": {reason}" if reason else ""), version.quote,
        version=version.number,
    )  # fmt: skip
    return version


def ensure_acceptable(version: QuoteVersion, now: datetime) -> None:
    """Refuse to accept what is not with the customer, or whose last day is over.

    Raises:
        DomainError: ``already_accepted``, ``quote_changed`` (another version took its place), ``quote_expired``,
            ``wrong_state``.
    """
    if version.status == VersionStatus.ACCEPTED:
        raise DomainError("already_accepted", f"{version} has been accepted already.")
    if version.status == VersionStatus.SUPERSEDED:
        raise DomainError("quote_changed", f"Another version took the place of {version}.", hint="Look at that one.")
    expired = version.expires_on is not None and version.expires_on < local_date(now)
    if version.status == VersionStatus.EXPIRED or (version.status in WITH_CUSTOMER and expired):
        raise DomainError("quote_expired", f"{version} has expired.", hint="Ask for a new one.")
    if version.status not in WITH_CUSTOMER:
        raise DomainError("wrong_state", f"{version} is {words(version.status)}; it cannot be accepted.")
