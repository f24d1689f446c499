"""Quotes, their versions with sections and lines, prices, approval, and what the customer sees."""

from __future__ import annotations

from datetime import UTC, date, datetime

from django.db.models import QuerySet

from counterfoil.api.area import Area
from counterfoil.api.areas.quotes import lines
from counterfoil.api.fields import Instant, Money, Number
from counterfoil.api.shapes import answer, many, row, shape
from counterfoil.companies.queries import local_date
from counterfoil.core.quoting import PricedLine, PricedQuote, SectionTotals, Sums, TaxEstimate, Totals
from counterfoil.flows.renewals import align_line
from counterfoil.platform.lookup import existing
from counterfoil.quotes import commands, links, queries
from counterfoil.quotes.acceptance import answer_question, change_quote_settings
from counterfoil.quotes.approvals import Finding
from counterfoil.quotes.customer import CustomerQuote, customer_view
from counterfoil.quotes.models import (
    Approval,
    ApprovalRule,
    Quote,
    QuoteLink,
    QuoteMessage,
    QuoteSection,
    QuoteSettings,
    QuoteVersion,
)
from counterfoil.quotes.pricing import price_version

area = Area("Quotes")

sections = shape(QuoteSection)
approvals = shape(Approval, source=queries.approvals)
versions = shape(
    QuoteVersion,
    parts={"sections": sections, "lines": lines, "approvals": approvals},
    source=queries.versions,
)
_newest = {
    "version_id": int | None,
    "version_number": int | None,
    "status": str | None,
    "expires_on": date | None,
    "sent_at": Instant | None,
}
quotes = shape(
    Quote, extra=_newest, parts={"versions": shape(QuoteVersion, name="VersionOfQuote")}, source=queries.quotes
)
templates = shape(Quote, name="QuoteTemplate", without=("opportunity", "agreement"))
rules = shape(ApprovalRule)
settings = shape(QuoteSettings, without=("calendar_secret",))
quote_links = shape(QuoteLink)
messages = shape(QuoteMessage)
link_made = answer("QuoteLinkMade", links.create_link.__doc__, link=quote_links.head, address=str)

row(Sums, discount=Money, discount_percent=Number | None, margin=Money, margin_percent=Number | None)
priced_line = answer(
    "PricedLine",
    PricedLine.__doc__,
    key=int,
    counts=bool,
    quantity=Number,
    list_price=Number,
    unit_price=Number,
    list_amount=Money,
    discount_amount=Money,
    amount=Money,
    cost=Money,
    cycles=int | None,
    first_amount=Money | None,
    explanation=list[str],
)
priced_quote = answer(
    "PricedQuote",
    PricedQuote.__doc__,
    lines=many(priced_line),
    totals=row(Totals, "QuoteTotals"),
    sections=many(row(SectionTotals)),
    with_options=row(Totals, "QuoteTotals") | None,
    tax=row(TaxEstimate) | None,
    deposit=Money,
)


def _loaded(version_id: int) -> QuoteVersion:
    return existing(queries.versions(), version_id, "version_id")


def _today(on: date | None) -> date:
    return on or local_date(datetime.now(UTC))


def prices(*, version_id: int, on: date | None = None) -> PricedQuote:
    """What a version comes to line by line, with a tax estimate of the day."""
    return price_version(_loaded(version_id), on=_today(on))


def customers_view(*, version_id: int, on: date | None = None) -> CustomerQuote:
    """What the customer sees of a version: no cost, no margin, nothing hidden."""
    return customer_view(_loaded(version_id), on=_today(on))


def comparison(*, version_id: int, other_id: int) -> queries.Comparison:
    """What is different in another version."""
    return queries.compare_versions(_loaded(version_id), _loaded(other_id))


def approvals_needed(*, version_id: int) -> tuple[Finding, ...]:
    """The rules that ask for approval of a version as it stands."""
    found = queries.editor_of(version := _loaded(version_id), price_version(version))
    return found.asks


def links_of(*, quote_id: int | None = None) -> QuerySet[QuoteLink]:
    """The links by which customers come, of one quote or of all."""
    rows = QuoteLink.objects.order_by("pk")
    return rows if quote_id is None else rows.filter(quote_id=quote_id)


def messages_of(*, version_id: int | None = None) -> QuerySet[QuoteMessage]:
    """What customers asked and what was answered, of one version or of all."""
    rows = QuoteMessage.objects.order_by("pk")
    return rows if version_id is None else rows.filter(version_id=version_id)


def shown_link(link: QuoteLink) -> dict[str, object]:
    """A link with its address, below the origin of the pages."""
    return {"link": link, "address": links.address_of(link)}


def our_quote_settings() -> QuoteSettings:
    """How quotes are made and accepted here."""
    return queries.quote_settings()


area.records("/quotes", quotes, queries.quotes)
area.post("/quotes", commands.create_quote, quotes)
area.detail("/quotes/{quote_id}", quotes)
area.report("/quote-settings", settings.head, our_quote_settings)
area.put("/quote-settings", change_quote_settings, settings)

area.records("/quote-links", quote_links, links_of)
area.post("/quotes/{quote_id}/links", links.create_link, link_made, show=shown_link)
area.act("/quote-links/{link_id}/revoke", links.revoke_link, quote_links)
area.act("/quote-links/{link_id}/send", links.send_link, quote_links)

area.records("/quote-messages", messages, messages_of)
area.post("/quote-versions/{version_id}/messages", answer_question, messages)

area.records("/quote-versions", versions, queries.versions)
area.detail("/quote-versions/{version_id}", versions)
area.patch("/quote-versions/{version_id}", commands.update_version, versions)
area.delete("/quote-versions/{version_id}", commands.remove_version)
area.report("/quote-versions/{version_id}/prices", priced_quote, prices)
area.report("/quote-versions/{version_id}/customer-view", row(CustomerQuote), customers_view)
area.report("/quote-versions/{version_id}/comparison", row(queries.Comparison), comparison)
area.report("/quote-versions/{version_id}/approvals-needed", many(row(Finding)), approvals_needed)
area.post("/quote-versions/{version_id}/new-version", commands.new_version, versions)
area.post("/quote-versions/{version_id}/duplicate", commands.duplicate_quote, quotes)
area.post("/quote-versions/{version_id}/template", commands.make_template, templates)
area.act("/quote-versions/{version_id}/reprice", commands.reprice_version, versions)
area.act("/quote-versions/{version_id}/submit", commands.submit_for_approval, versions)
area.act("/quote-versions/{version_id}/send", commands.send_quote, versions)
area.act("/quote-versions/{version_id}/withdraw", commands.withdraw_quote, versions)
area.act("/quote-versions/{version_id}/decline", commands.decline_version, versions)

area.post("/quote-versions/{version_id}/lines", commands.add_version_lines, many(lines.head))
area.put("/quote-versions/{version_id}/line-order", commands.reorder_version_lines, versions)
area.patch("/quote-version-lines/{line_id}", commands.update_version_line, lines)
area.delete("/quote-version-lines/{line_id}", commands.remove_version_line)
area.act("/quote-version-lines/{line_id}/offer", commands.choose_offer, lines)
area.act("/quote-version-lines/{line_id}/align", align_line, lines)
area.post("/quote-versions/{version_id}/sections", commands.add_section, sections)
area.put("/quote-versions/{version_id}/section-order", commands.reorder_sections, versions)
area.patch("/quote-sections/{section_id}", commands.update_section, sections)
area.delete("/quote-sections/{section_id}", commands.remove_section)

area.records("/approvals", approvals, queries.approvals)
area.act("/approvals/{approval_id}/approve", commands.approve_quote, approvals)
area.act("/approvals/{approval_id}/reject", commands.reject_quote, approvals)
area.records("/approval-rules", rules, queries.approval_rules)
area.post("/approval-rules", commands.create_approval_rule, rules)
area.detail("/approval-rules/{rule_id}", rules)
area.patch("/approval-rules/{rule_id}", commands.update_approval_rule, rules)
