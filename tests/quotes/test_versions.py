"""The life of a quote: made, copied, approved, sent, seen, declined, expired; and what then stands still."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from tests.quotes.quoting import NOW, TODAY, D, add, draft_of, quote_of, sent, starter_kit
from tests.world import FINANCE, OWNER, SALES, World, actor_of

from counterfoil.companies.models import Company
from counterfoil.core.errors import DomainError
from counterfoil.platform.audit import trail_of
from counterfoil.platform.identity import SYSTEM, Role
from counterfoil.quotes import queries, tasks
from counterfoil.quotes.commands import (
    NewLine,
    add_section,
    add_version_lines,
    approve_quote,
    create_approval_rule,
    create_opportunity,
    create_quote,
    decline_version,
    duplicate_quote,
    expire_quotes,
    lose_opportunity,
    make_template,
    mark_viewed,
    new_version,
    reject_quote,
    remove_version,
    remove_version_line,
    send_quote,
    submit_for_approval,
    update_approval_rule,
    update_version,
    update_version_line,
    withdraw_quote,
)
from counterfoil.quotes.content import content_hash
from counterfoil.quotes.customer import customer_view
from counterfoil.quotes.models import Approval, Opportunity, Quote, QuoteLine, QuoteSection, QuoteVersion
from counterfoil.quotes.pricing import Picks

pytestmark = pytest.mark.django_db

SALES_MANAGER = actor_of(Role.SALES, name="Mia Manager")
CUSTOMER = actor_of(Role.CUSTOMER, name="Jane Doe (Acme Corp)")


@pytest.fixture
def draft(world: World) -> QuoteVersion:
    version = draft_of(world)
    add(version, world.lease, "2")
    return version


def fresh(version: QuoteVersion) -> QuoteVersion:
    found = queries.version(version.pk)
    assert found is not None
    return found


def refused(code: str, deed: Any, match: str | None = None) -> DomainError:
    with pytest.raises(DomainError, match=match) as refusal:
        deed()
    assert refusal.value.code == code
    return refusal.value


# -- made --------------------------------------------------------------------------------------------------------------


def test_a_quote_for_a_company_opens_an_opportunity_with_it(world: World) -> None:
    quote = quote_of(world)
    version = quote.versions.get()
    assert quote.opportunity is not None
    assert (quote.opportunity.company, quote.opportunity.name) == (world.acme, "Office move")
    assert (version.number, version.status, version.terms, version.currency) == (1, "draft", world.net30, "USD")
    assert version.expires_on == TODAY + timedelta(days=30)


def test_a_quote_for_an_opportunity(world: World) -> None:
    deal = create_opportunity(actor=SALES, company_id=world.globex.pk, name="Backup")
    quote = create_quote(actor=SALES, name="Backup", on=TODAY, opportunity_id=deal.pk)
    assert (quote.opportunity, Opportunity.objects.count()) == (deal, 1)


def test_a_quote_is_for_a_customer_that_is_not_lost(world: World) -> None:
    refused("required", lambda: create_quote(actor=SALES, name="x", on=TODAY))
    refused("invalid", lambda: create_quote(actor=SALES, name="x", on=TODAY, company_id=world.ingram.pk))
    mine = world.my_company.pk
    refused("my_company_not_billable", lambda: create_quote(actor=SALES, name="x", on=TODAY, company_id=mine))
    deal = create_opportunity(actor=SALES, company_id=world.acme.pk, name="Backup")
    refused("not_found", lambda: create_quote(actor=SALES, name="x", on=TODAY, opportunity_id=deal.pk, site_id=0))
    refused("not_found", lambda: create_quote(actor=SALES, name="x", on=TODAY, opportunity_id=deal.pk, agreement_id=0))
    lose_opportunity(actor=SALES, opportunity_id=deal.pk)
    refused("wrong_state", lambda: create_quote(actor=SALES, name="x", on=TODAY, opportunity_id=deal.pk))
    refused("role_required", lambda: create_quote(actor=FINANCE, name="x", on=TODAY, company_id=world.acme.pk))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"currency_code": "EUR"}, "currency"),
        ({"discount_kind": "half"}, "discount_kind"),
        ({"discount_kind": "percent", "discount_value": D("101")}, "discount_value"),
        ({"deposit_kind": "percent", "deposit_value": D("101")}, "deposit_value"),
        ({"site_id": 0}, "site_id"),
        ({"contact_id": 0}, "contact_id"),
        ({"terms_id": 0}, "terms_id"),
        ({"name": ""}, "name"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(draft: QuoteVersion, given: dict[str, Any], field: str) -> None:
    with pytest.raises(DomainError) as refusal:
        update_version(actor=SALES, version_id=draft.pk, **given)
    assert refusal.value.field == field


def test_a_copy_is_another_quote_with_the_same_content(world: World, draft: QuoteVersion) -> None:
    section = add_section(actor=SALES, version_id=draft.pk, title="Hardware")
    add(draft, world.server_inventory, "3", "4000", section_id=section.pk, optional=True, selected=False)
    copy = duplicate_quote(actor=SALES, version_id=draft.pk, on=TODAY, company_id=world.globex.pk)
    assert copy.opportunity is not None
    assert copy.opportunity.company == world.globex
    comparison = queries.compare_versions(fresh(draft), fresh(copy.versions.get()))
    assert (comparison.added, comparison.removed, comparison.changed, comparison.same) == ((), (), (), 2)
    same = duplicate_quote(actor=SALES, version_id=draft.pk, on=TODAY, name="Again")
    assert (same.opportunity, same.name) == (draft.quote.opportunity, "Again")


def test_a_template_is_no_offer(world: World, draft: QuoteVersion) -> None:
    template = make_template(actor=SALES, version_id=draft.pk, name="Server lease")
    version = template.versions.get()
    refused("invalid", lambda: sent(version), "is a template")
    refused("invalid", lambda: update_version(actor=SALES, version_id=version.pk, site_id=1), "nobody in particular")
    refused("invalid", lambda: quote_of(world, template_id=draft.quote_id), "is no template")
    assert list(queries.quotes(templates=True)) == [template]
    assert list(queries.quotes()) == [draft.quote]


# -- versions ----------------------------------------------------------------------------------------------------------


def test_a_new_version_takes_the_place_of_the_one_that_was_sent(draft: QuoteVersion) -> None:
    sent(draft)
    second = new_version(actor=SALES, version_id=draft.pk, on=TODAY, now=NOW, comment="More servers")
    draft.refresh_from_db()
    assert (draft.status, draft.closed_at, second.number, second.status) == ("superseded", NOW, 2, "draft")
    assert second.lines.get().version_id == second.pk
    third = new_version(actor=SALES, version_id=draft.pk, on=TODAY + timedelta(days=90), now=NOW)
    assert (third.number, third.expires_on) == (3, TODAY + timedelta(days=120))
    assert [version.status for version in draft.quote.versions.all()] == ["superseded", "superseded", "draft"]


def test_an_accepted_version_is_changed_by_another_quote_only(draft: QuoteVersion) -> None:
    sent(draft)
    QuoteVersion.objects.filter(pk=draft.pk).update(status="accepted")
    refused("wrong_state", lambda: new_version(actor=SALES, version_id=draft.pk, on=TODAY, now=NOW), "is accepted")


def test_versions_are_compared_line_by_line(world: World, draft: QuoteVersion) -> None:
    server = add(draft, world.server_inventory, "1", "4000")
    sent(draft)
    second = new_version(actor=SALES, version_id=draft.pk, on=TODAY, now=NOW)
    lease, copied = second.lines.order_by("position")
    update_version_line(
        actor=SALES, line_id=lease.pk, quantity=D("3"), discount_kind="percent", discount_value=D("10"), on=TODAY
    )
    remove_version_line(actor=SALES, line_id=copied.pk)
    add(second, world.server_noninventory, "1", "3900")
    update_version(actor=SALES, version_id=second.pk, introduction="Dear Jane")
    found = queries.compare_versions(fresh(draft), fresh(second))
    assert [line.pk for line in found.removed] == [server.pk]
    assert [line.product for line in found.added] == [world.server_noninventory]
    (changed,) = found.changed
    assert [(one.name, one.old, one.new) for one in changed.differences] == [
        ("Quantity", "2", "3"), ("Unit price", "150.00", "135.00"), ("Discount", "none", "10 %"),
    ]  # fmt: skip
    assert [(one.name, one.old, one.new) for one in found.differences] == [("Introduction", "none", "Dear Jane")]
    assert [(one.name, one.old, one.new) for one in found.totals][:2] == [
        ("One-time", "4,000.00", "3,900.00"), ("Monthly", "300.00", "405.00"),
    ]  # fmt: skip


def test_a_draft_nobody_saw_is_thrown_away_and_the_quote_with_its_last(draft: QuoteVersion) -> None:
    second = new_version(actor=SALES, version_id=draft.pk, on=TODAY, now=NOW)
    remove_version(actor=SALES, version_id=second.pk)
    refused("quote_is_sent", lambda: remove_version(actor=SALES, version_id=draft.pk))  # it was superseded
    other = duplicate_quote(actor=SALES, version_id=draft.pk, on=TODAY)
    remove_version(actor=SALES, version_id=other.versions.get().pk)
    assert not Quote.objects.filter(pk=other.pk).exists()


# -- sent, and still ---------------------------------------------------------------------------------------------------


def test_sending_keeps_the_hash_of_what_was_sent(draft: QuoteVersion) -> None:
    version = sent(draft)
    assert (version.status, version.sent_at) == ("sent", NOW)
    assert version.content_sha256 == content_hash(fresh(version))
    assert trail_of(draft.quote)[0].sentence == f"sent {draft}: 0.00 once, 300.00 a month"


def test_what_is_not_ready_is_not_sent(world: World, draft: QuoteVersion) -> None:
    refused("required", lambda: sent(draft_of(world, name="Empty")), "nothing to offer")
    update_version(actor=SALES, version_id=draft.pk, expires_on=TODAY - timedelta(days=1))
    refused("quote_expired", lambda: sent(draft), "expired on 1 Mar 2026")
    update_version(actor=SALES, version_id=draft.pk, expires_on=None)
    refused("required", lambda: sent(draft))
    update_version(actor=SALES, version_id=draft.pk, expires_on=TODAY)
    Company.objects.filter(pk=world.acme.pk).update(active=False)
    refused("invalid", lambda: sent(draft), "not active")
    Company.objects.filter(pk=world.acme.pk).update(active=True)
    QuoteLine.objects.filter(version=draft).update(unit_price=D("1"))
    refused("conflict", lambda: sent(draft), "not what it comes to")


def test_an_internal_company_is_quoted_at_no_price(world: World) -> None:
    version = create_quote(actor=SALES, name="x", on=TODAY, company_id=world.internal.pk).versions.get()
    line = add(version, world.lease)
    refused("price_on_internal_company", lambda: sent(version))
    update_version_line(actor=SALES, line_id=line.pk, list_price=D("0"), on=TODAY)
    assert sent(version).status == "sent"


TAMPERED: list[Any] = [
    lambda v: QuoteLine.objects.filter(version=v).update(description="Something else"),
    lambda v: QuoteLine.objects.filter(version=v).update(unit_cost=1),
    lambda v: QuoteLine.objects.filter(version=v).delete(),
    lambda v: QuoteSection.objects.filter(version=v).update(title="Other"),
    lambda v: QuoteSection.objects.create(version=v, position=9, title="New"),
    lambda v: QuoteVersion.objects.filter(pk=v.pk).update(terms_and_conditions="All yours"),
    lambda v: QuoteVersion.objects.filter(pk=v.pk).update(discount_kind="percent", discount_value=50),
    lambda v: QuoteVersion.objects.filter(pk=v.pk).update(content_sha256="0" * 64),
    lambda v: QuoteVersion.objects.filter(pk=v.pk).delete(),
    lambda v: connection.cursor().execute("UPDATE quotes_quoteline SET list_price = 1 WHERE version_id = %s", [v.pk]),
    lambda v: connection.cursor().execute("DELETE FROM quotes_quoteline WHERE version_id = %s", [v.pk]),
    lambda v: connection.cursor().execute("UPDATE quotes_quoteversion SET expires_on = '2030-01-01'"),
]


@pytest.mark.parametrize("status", ["viewed", "accepted"])
def test_the_database_holds_what_was_sent_still(world: World, draft: QuoteVersion, status: str) -> None:
    add_section(actor=SALES, version_id=draft.pk, title="Hardware")
    sent(draft)
    QuoteVersion.objects.filter(pk=draft.pk).update(status=status)
    for tamper in TAMPERED:
        with pytest.raises(DatabaseError, match="stands still"), transaction.atomic():
            tamper(draft)


def test_what_the_customer_picks_is_written_while_it_is_with_them(draft: QuoteVersion) -> None:
    sent(draft)
    assert QuoteLine.objects.filter(version=draft).update(quantity=9, selected=False) == 1
    QuoteVersion.objects.filter(pk=draft.pk).update(status="declined")
    with pytest.raises(DatabaseError, match="stands still"), transaction.atomic():
        QuoteLine.objects.filter(version=draft).update(quantity=10)


def test_the_customer_looks_once_and_declines_with_a_reason(draft: QuoteVersion) -> None:
    refused("wrong_state", lambda: mark_viewed(actor=CUSTOMER, version_id=draft.pk, now=NOW))
    sent(draft)
    mark_viewed(actor=CUSTOMER, version_id=draft.pk, now=NOW)
    later = mark_viewed(actor=CUSTOMER, version_id=draft.pk, now=NOW + timedelta(hours=1))
    assert (later.status, later.viewed_at) == ("viewed", NOW)
    declined = decline_version(actor=CUSTOMER, version_id=draft.pk, now=NOW, reason=" Too dear ")
    assert (declined.status, declined.close_reason, declined.closed_at) == ("declined", "Too dear", NOW)
    refused("wrong_state", lambda: decline_version(actor=CUSTOMER, version_id=draft.pk, now=NOW))
    refused("role_required", lambda: withdraw_quote(actor=CUSTOMER, version_id=draft.pk, now=NOW))
    assert new_version(actor=SALES, version_id=draft.pk, on=TODAY, now=NOW).status == "draft"


def test_a_withdrawn_quote_is_not_the_customers_any_more(draft: QuoteVersion) -> None:
    sent(draft)
    assert withdraw_quote(actor=SALES, version_id=draft.pk, now=NOW, reason="Wrong price").status == "withdrawn"
    refused("wrong_state", lambda: withdraw_quote(actor=SALES, version_id=draft.pk, now=NOW))


def test_quotes_expire_after_their_last_day(world: World, draft: QuoteVersion) -> None:
    sent(draft)
    last = draft.expires_on
    assert isinstance(last, date)
    assert expire_quotes(actor=SYSTEM, on=last, now=NOW) == []
    assert expire_quotes(actor=SYSTEM, on=last + timedelta(days=1), now=NOW) == [draft]
    draft.refresh_from_db()
    assert draft.status == "expired"
    assert expire_quotes(actor=SYSTEM, on=last + timedelta(days=2), now=NOW) == []


def test_the_hourly_job_closes_what_has_expired(draft: QuoteVersion) -> None:
    sent(draft)
    tasks.expire_quotes(0)  # the quote's last day is long over
    draft.refresh_from_db()
    assert draft.status == "expired"
    assert trail_of(draft.quote)[0].actor_name == "Counterfoil"


# -- approval ----------------------------------------------------------------------------------------------------------


def rule(measure: str, threshold: str, **more: Any) -> Any:
    return create_approval_rule(actor=OWNER, name=f"{measure} {threshold}", measure=measure, threshold=D(threshold),
                                **more)  # fmt: skip


def ask(version: QuoteVersion) -> list[Approval]:
    submit_for_approval(actor=SALES, version_id=version.pk, now=NOW)
    return list(queries.approvals(version_id=version.pk, status="waiting"))


def test_a_deep_discount_is_approved_before_it_is_sent(world: World, draft: QuoteVersion) -> None:
    rule("discount", "15", approver_role="sales")
    refused("wrong_state", lambda: ask(draft), "needs nobody's approval")
    update_version(actor=SALES, version_id=draft.pk, discount_kind="percent", discount_value=D("20"))
    refusal = refused("approval_required", lambda: sent(draft))
    assert refusal.message == f"{draft} needs approval first: Discount of 20.0 %, more than 15 % (the role sales)."
    (approval,) = ask(draft)
    refused("approval_required", lambda: sent(draft))
    refused("role_required", lambda: approve_quote(actor=SALES, approval_id=approval.pk, now=NOW), "cannot give it")
    refused("role_required", lambda: approve_quote(actor=FINANCE, approval_id=approval.pk, now=NOW), "the role sales")
    approve_quote(actor=SALES_MANAGER, approval_id=approval.pk, now=NOW, comment="Fine")
    refused("wrong_state", lambda: approve_quote(actor=OWNER, approval_id=approval.pk, now=NOW), "approved")
    version = sent(draft)
    approval.refresh_from_db()
    assert version.content_sha256 == approval.content_sha256


def test_any_later_change_asks_again(world: World, draft: QuoteVersion) -> None:
    rule("monthly", "100")
    (approval,) = ask(draft)
    approve_quote(actor=OWNER, approval_id=approval.pk, now=NOW)
    update_version(actor=SALES, version_id=draft.pk, introduction="Dear Jane")
    draft.refresh_from_db()
    approval.refresh_from_db()
    assert (draft.status, draft.content_sha256, approval.status) == ("draft", "", "void")
    refused("approval_required", lambda: sent(draft))
    (again,) = ask(draft)
    assert again.content_sha256 != approval.content_sha256
    approve_quote(actor=OWNER, approval_id=again.pk, now=NOW)
    assert sent(draft).status == "sent"


def test_an_approval_of_other_content_does_not_count(world: World, draft: QuoteVersion) -> None:
    """A line changed behind the commands' back is not what was approved."""
    rule("monthly", "100")
    (approval,) = ask(draft)
    QuoteLine.objects.filter(version=draft).update(customer_text="Five years' warranty")
    refused("wrong_state", lambda: approve_quote(actor=OWNER, approval_id=approval.pk, now=NOW), "has changed since")


def test_a_rejection_says_why_and_leads_back_to_draft(world: World, draft: QuoteVersion) -> None:
    rule("monthly", "100")
    rule("margin", "101", approver_role="finance")
    first, second = ask(draft)
    refused("required", lambda: reject_quote(actor=OWNER, approval_id=first.pk, now=NOW, comment=" "))
    reject_quote(actor=OWNER, approval_id=first.pk, now=NOW, comment="Too cheap")
    draft.refresh_from_db()
    second.refresh_from_db()
    assert (draft.status, second.status) == ("draft", "void")
    assert len(ask(draft)) == 2


@pytest.mark.parametrize(
    ("measure", "threshold", "asks"),
    [
        ("one_time", "3999.99", True), ("one_time", "4000", False),
        ("monthly", "299", True), ("monthly", "300", False),
        ("term", "7599", True), ("term", "7600", False),
        ("margin", "53", True), ("margin", "52", False),
        ("discount", "0", False),
    ],
)  # fmt: skip
def test_what_rules_look_at(world: World, measure: str, threshold: str, asks: bool) -> None:
    """4,000 once at a cost of 3,600, and 300 a month for a year without a cost: margin 52.6 % of 7,600."""
    version = draft_of(world)
    add(version, world.server_inventory, "1", "4000")
    add(version, world.lease, "2", term="year:1")
    rule(measure, threshold)
    found = queries.editor(version.pk, on=TODAY)
    assert found is not None
    assert bool(found.asks) is asks


def test_rules_are_the_owners(world: World) -> None:
    refused(
        "role_required",
        lambda: create_approval_rule(actor=SALES, name="x", measure="margin", threshold=D("1")),
    )
    refused("invalid", lambda: rule("margin", "-1"))
    refused("invalid", lambda: rule("looks", "1"))
    refused("invalid", lambda: rule("margin", "1", approver_role="customer"))
    refused("invalid", lambda: rule("margin", "1", approver_role="viewer"))
    made = rule("margin", "20")
    update_approval_rule(actor=OWNER, rule_id=made.pk, active=False)
    assert list(queries.approval_rules(active=True)) == []


# -- what is shown -----------------------------------------------------------------------------------------------------


def test_the_list_has_newest_version_and_totals(world: World, draft: QuoteVersion) -> None:
    add(draft, world.server_inventory, "1", "4000", optional=True, selected=False)
    add(draft, world.server_inventory, "2", "10")
    (row,) = queries.quote_rows(queries.quotes(search="office acme"))
    assert (row.quote.status, row.one_time, row.monthly) == ("draft", D("20.00"), D("300.00"))  # type: ignore[attr-defined]
    sent(draft)
    assert [quote.pk for quote in queries.quotes(status="sent", company_id=world.acme.pk)] == [draft.quote_id]
    assert not queries.quotes(status="draft").exists()
    assert not queries.quotes(search="globex").exists()


def statements(version: QuoteVersion) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        queries.editor(version.pk, on=TODAY)
    return len(captured)


def test_the_editor_takes_as_many_queries_for_forty_lines_as_for_one(world: World, draft: QuoteVersion) -> None:
    rule("discount", "5")
    add(draft, world.server_inventory, "1", "9")
    few = statements(draft)
    for index in range(8):
        add_section(actor=SALES, version_id=draft.pk, title=f"Section {index}")
    new = [NewLine(world.lease.pk, D("1")), NewLine(world.server_inventory.pk, D("1"), list_price=D("9"))] * 20
    add_version_lines(actor=SALES, version_id=draft.pk, lines=new, on=TODAY)
    assert statements(draft) == few
    assert few <= 17


def test_the_customer_sees_no_cost_no_margin_and_nothing_hidden(world: World, draft: QuoteVersion) -> None:
    kit = add(draft, starter_kit(world, price_from_components=True), "1", optional=True, selected=False)
    section = add_section(actor=SALES, version_id=draft.pk, title="Later")
    add(draft, world.lease, "5", "1000", section_id=section.pk, discount_kind="percent", discount_value=D("10"))
    view = customer_view(fresh(draft), on=TODAY)
    lines = [line for part in view.sections for line in part.lines]
    assert [(line.description, line.taken, line.amount) for line in lines] == [
        ("Server as a service", True, D("300.00")),
        ("Starter kit", False, D("100.00")),  # the hidden component's price
        ("Rack server", False, D("8000.00")),
        ("Server as a service", True, D("4500.00")),
    ]
    assert view.totals.monthly == sum((p.monthly for p in view.sections), D("0")) == D("4800.00")
    assert (view.totals.tax_recurring, view.totals.tax_one_time) == (D("288.00"), D("0.00"))
    assert view.with_options is not None
    assert view.with_options.one_time == D("8100.00")
    assert not {name for name in names_in(view) if "cost" in name or "margin" in name or "hidden" in name}
    assert "3600" not in repr(view)
    taken = customer_view(fresh(draft), Picks(frozenset({kit.pk})), on=TODAY)
    assert taken.totals.one_time == D("8100.00")
    assert taken.totals.one_time == sum(
        (line.amount for part in taken.sections for line in part.lines if line.taken and not line.billing_cycle), D("0")
    )


def names_in(value: Any) -> set[str]:
    """The names of all fields, however deep."""
    if isinstance(value, tuple):
        return set().union(*map(names_in, value)) if value else set()
    if not is_dataclass(value):
        return set()
    own = {one.name for one in fields(value)}
    return own.union(*(names_in(getattr(value, name)) for name in own))


def test_sending_needs_the_role(draft: QuoteVersion) -> None:
    refused("role_required", lambda: send_quote(actor=FINANCE, version_id=draft.pk, on=TODAY, now=NOW))
