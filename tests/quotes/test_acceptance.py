"""Accepting a quote: what the customer saw becomes the legal record, once, and everything that follows from it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pgtrigger
import pytest
from django.db import DatabaseError, connection, transaction
from tests.offers import NOW, TODAY, VISITOR, Offer, make_offer, signature
from tests.world import SALES, VIEWER, World, actor_of
from typer.testing import CliRunner

from counterfoil.accounting.verification import acceptances_hold
from counterfoil.agreements.models import Agreement
from counterfoil.core.canonical import canonical_json, sha256_of
from counterfoil.core.errors import DomainError
from counterfoil.flows.acceptance import accept_quote, enter_code
from counterfoil.orders.models import SalesOrder
from counterfoil.platform import signing
from counterfoil.platform.audit import broken_links
from counterfoil.platform.commands import COMMANDS
from counterfoil.platform.identity import STAFF, Role
from counterfoil.platform.models import AuditEntry
from counterfoil.platform.signing import attachment_of, verify_pdf
from counterfoil.platform.users import SCOPES, create_user
from counterfoil.quotes import codes
from counterfoil.quotes.acceptance import Seen, accept_version, answer_question, ask_question, decline_quote
from counterfoil.quotes.links import (
    address_of,
    create_link,
    customer_of,
    resolve_link,
    revoke_link,
    send_link,
    shown_version,
    token_of,
)
from counterfoil.quotes.models import Acceptance, OpportunityStatus, QuoteLine, QuoteLink, QuoteVersion, VersionStatus
from counterfoil.quotes.verification import acceptance_of, identify_file, identify_fingerprint, verify_acceptance
from counterfoil.quotes.versions import new_version, withdraw_quote

pytestmark = pytest.mark.django_db


@pytest.fixture
def offer(world: World) -> Offer:
    return make_offer(world)


def refusal(deed: Any, *args: Any, **given: Any) -> DomainError:
    with pytest.raises(DomainError) as caught:
        deed(*args, **given)
    return caught.value


# -- the record --------------------------------------------------------------------------------------------------------


def test_the_record_says_what_was_accepted_by_whom_and_when(offer: Offer) -> None:
    picks = offer.picks("backup", "premium", seats=12)
    made = accept_version(**offer.asked(picks)).acceptance
    record = json.loads(bytes(made.record))

    assert bytes(made.record) == canonical_json(record)
    assert sha256_of(bytes(made.record)) == made.record_sha256
    assert record["format"] == "counterfoil/acceptance/1"
    assert (record["seller"]["name"], record["customer"]["name"]) == ("Northwind IT", "Acme Corp")
    assert record["customer"]["address"] == ["1 Main St", "Detroit, MI 48226"]
    assert (record["quote"]["number"], record["quote"]["version"]) == ("Q-0001", 1)
    assert record["quote"]["content_sha256"] == offer.version.content_sha256
    lines = {line["description"]: line for section in record["sections"] for line in section["lines"]}
    assert {
        name: (line["quantity"], line["unit_price"], line["amount"], line["taken"]) for name, line in lines.items()
    } == {
        "Rack server": ("1", "3600", "3600.00", True),
        "Seats": ("12", "20", "240.00", True),
        "Backup": ("1", "150", "150.00", True),
        "Basic support": ("1", "100", "100.00", False),
        "Premium support": ("1", "250", "250.00", True),
    }
    assert (record["totals"]["one_time"], record["totals"]["monthly"]) == ("3600.00", "640.00")
    accepted = record["acceptance"]
    assert (accepted["name"], accepted["title"], accepted["email"]) == ("Jane Doe", "CFO", "jane@acme.example")
    assert (accepted["ip_address"], accepted["user_agent"]) == (VISITOR.ip_address, VISITOR.user_agent)
    assert accepted["accepted_at"] == "2026-03-02T15:30:00.000+00:00"
    assert accepted["signature"] == {"kind": "typed", "value": "Jane Doe"}
    assert accepted["consent"].startswith("I have read this quote")


def test_the_pdf_is_signed_and_carries_the_record_and_the_trail_knows_both(offer: Offer) -> None:
    made = accept_version(**offer.asked(offer.picks("basic"))).acceptance
    pdf = bytes(made.pdf)
    found = verify_pdf(pdf)

    assert found.intact
    assert found.certificate_sha256 == made.certificate_sha256 == signing.current().sha256
    assert made.record_sha256 in found.reason
    assert attachment_of(pdf, "record.json") == bytes(made.record)
    assert b"pdfaid" in pdf  # it says that it is PDF/A
    entry = AuditEntry.objects.get(verb="quotes.version.accepted")
    assert (entry.data["record_sha256"], entry.data["pdf_sha256"]) == (made.record_sha256, made.pdf_sha256)
    before = json.loads(bytes(made.record))["previous_audit_entry"]
    assert AuditEntry.objects.get(seq=before["seq"]).hash == before["hash"]
    assert before["seq"] < entry.seq
    assert not list(broken_links())


def test_what_was_picked_stands_on_the_opportunity_and_nothing_else(offer: Offer) -> None:
    accept_version(**offer.asked(offer.picks("premium", seats=15)))
    opportunity = offer.version.quote.opportunity
    assert opportunity is not None

    taken = QuoteLine.objects.filter(opportunity=opportunity).order_by("position")
    assert [(line.description, line.quantity) for line in taken] == [
        ("Rack server", 1),
        ("Seats", 15),
        ("Premium support", 1),
    ]
    opportunity.refresh_from_db()
    assert opportunity.customer_po == "PO-77"
    assert QuoteVersion.objects.get(pk=offer.version.pk).status == VersionStatus.ACCEPTED


def test_nothing_later_changes_it(offer: Offer) -> None:
    made = accept_version(**offer.asked(offer.picks("basic"))).acceptance

    for change in (
        lambda: Acceptance.objects.filter(pk=made.pk).update(name="John Roe"),
        lambda: Acceptance.objects.filter(pk=made.pk).delete(),
        lambda: QuoteLine.objects.filter(pk=offer.lines["seats"].pk).update(quantity=99),
        lambda: QuoteVersion.objects.filter(pk=offer.version.pk).update(status="sent"),
        lambda: QuoteVersion.objects.filter(pk=offer.version.pk).update(terms_and_conditions="Other terms"),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
    assert "is accepted" in refusal(new_version, actor=SALES, version_id=offer.version.pk, on=TODAY, now=NOW).message


# -- and what follows from it ------------------------------------------------------------------------------------------


def test_agreement_and_order_come_into_being_with_the_acceptance(offer: Offer) -> None:
    accepted = accept_quote(**offer.asked(offer.picks("premium", seats=12)))

    additions = Agreement.objects.get().additions.order_by("pk")
    assert [(addition.origin_id, addition.quantity) for addition in additions] == [
        (offer.lines["seats"].pk, 12),
        (offer.lines["premium"].pk, 1),
    ]
    (line,) = SalesOrder.objects.get().lines.all()
    assert (line.origin_id, line.unit_price) == (offer.lines["server"].pk, Decimal(3600))
    assert accepted.acceptance.version.quote.opportunity.status != OpportunityStatus.LOST


def test_when_what_follows_is_refused_nothing_was_accepted(offer: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise DomainError("tax_code_not_in_effect", "The tax code is not in effect.")

    monkeypatch.setattr("counterfoil.flows.acceptance.convert_accepted", refuse)

    assert refusal(accept_quote, **offer.asked(offer.picks("basic"))).code == "tax_code_not_in_effect"
    assert not Acceptance.objects.exists()
    assert QuoteVersion.objects.get(pk=offer.version.pk).status == VersionStatus.SENT
    assert not QuoteLine.objects.filter(version=offer.version, opportunity__isnull=False).exists()


def test_a_lost_answer_asked_for_again_is_the_same_acceptance(offer: Offer) -> None:
    asked = offer.asked(offer.picks("basic"))
    first, again = accept_quote(**asked), accept_quote(**asked)

    assert (first.repeated, again.repeated) == (False, True)
    assert first.acceptance.pk == again.acceptance.pk
    assert Agreement.objects.count() == SalesOrder.objects.count() == 1
    other = refusal(accept_quote, **asked | {"signature": signature(name="John Roe")})
    assert other.code == "already_accepted"
    assert "Jane Doe" in other.message


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_who_accepts_what_they_did_not_see_is_told(offer: Offer) -> None:
    picks = offer.picks("premium", seats=12)

    assert refusal(accept_version, **offer.asked(picks, seen=offer.seen())).code == "quote_changed"
    assert refusal(accept_version, **offer.asked(picks, seen=None)).code == "quote_changed"
    assert Seen.parse(str(offer.seen(picks))) == offer.seen(picks)
    assert Seen.parse("nothing") is None


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": ""}, "name"),
        ({"title": " "}, "title"),
        ({"email": "nobody"}, "email"),
        ({"consent": False}, "consent"),
        ({"value": "J"}, "signature"),
        ({"kind": "stamped"}, "signature"),
        ({"kind": "drawn", "value": "M1 1"}, "signature"),
        ({"kind": "drawn", "value": 'M1 1L2 2"/><script>'}, "signature"),
    ],
)
def test_a_signature_in_which_something_is_missing(offer: Offer, given: dict[str, Any], field: str) -> None:
    asked = offer.asked(offer.picks("basic"), signature=signature(**given))

    assert refusal(accept_version, **asked).field == field


def test_picks_outside_their_bounds(offer: Offer) -> None:
    seen = offer.seen()
    for picks in (
        offer.picks("basic", seats=4),
        offer.picks("basic", seats=21),
        offer.picks("basic", "premium"),
        offer.picks(),
    ):
        asked = offer.asked(offer.picks("basic")) | {"picks": picks, "seen": seen}
        assert refusal(accept_version, **asked).code == "invalid"
    server = replace(offer.picks("basic"), quantities={offer.lines["server"].pk: Decimal(2)})
    assert "fixed" in refusal(accept_version, **offer.asked(offer.picks("basic")) | {"picks": server}).message


def test_after_its_last_day_superseded_or_withdrawn(offer: Offer) -> None:
    asked = offer.asked(offer.picks("basic"))
    late = {"now": NOW + timedelta(days=31), "on": TODAY + timedelta(days=31)}

    assert refusal(accept_version, **asked | late).code == "quote_expired"
    newer = new_version(actor=SALES, version_id=offer.version.pk, on=TODAY, now=NOW)
    assert refusal(accept_version, **asked).code == "quote_changed"
    withdraw_quote(actor=SALES, version_id=newer.pk, now=NOW)
    assert refusal(accept_version, **asked | {"version_id": newer.pk}).code == "wrong_state"


# -- links -------------------------------------------------------------------------------------------------------------


def test_a_link_opens_until_it_expires_or_is_revoked(offer: Offer) -> None:
    token = token_of(offer.link)

    assert resolve_link(token, now=NOW).pk == offer.link.pk
    assert (offer.link.name, offer.link.email) == ("Jane Doe", "jane@acme.example")
    assert offer.link.expires_at == NOW + timedelta(days=90)  # 30 days until the last day, and 60 more
    assert address_of(offer.link, "https://books.example.com").startswith("https://books.example.com/q/")
    assert refusal(resolve_link, token, now=NOW + timedelta(days=90)).code == "link_expired"
    revoke_link(actor=SALES, link_id=offer.link.pk, now=NOW)
    assert refusal(resolve_link, token, now=NOW).code == "link_revoked"
    assert refusal(accept_version, **offer.asked(offer.picks("basic"))).code == "link_revoked"
    assert refusal(revoke_link, actor=SALES, link_id=offer.link.pk, now=NOW).code == "wrong_state"


def test_a_token_cannot_be_made_up(offer: Offer) -> None:
    pk, _, signed = token_of(offer.link).partition(".")

    for token in ("", "1", f"{pk}.", f"{int(pk) + 1}.{signed}", f"{pk}.{signed[:-1]}", f"{pk}.{signed}x"):
        assert refusal(resolve_link, token, now=NOW).code == "not_found"


def test_a_link_follows_the_newest_version_that_was_sent(offer: Offer) -> None:
    assert shown_version(offer.version.quote) == offer.version
    newer = new_version(actor=SALES, version_id=offer.version.pk, on=TODAY, now=NOW)
    shown = shown_version(newer.quote)
    assert shown is not None
    assert (shown.number, shown.status) == (1, VersionStatus.SUPERSEDED)  # a draft is nobody's business


def test_a_link_is_mailed_only_where_mail_can_be_sent(offer: Offer) -> None:
    assert refusal(send_link, actor=SALES, link_id=offer.link.pk, now=NOW).code == "mail_not_configured"
    assert refusal(create_link, actor=SALES, quote_id=offer.version.quote_id, now=NOW, expires_at=NOW).code == "invalid"


# -- questions, declining ----------------------------------------------------------------------------------------------


def test_questions_and_answers_stay(offer: Offer) -> None:
    customer = customer_of(offer.link)
    common = {"link_id": offer.link.pk, "version_id": offer.version.pk, "visitor": VISITOR, "now": NOW}
    ask_question(actor=customer, text="When does it start?", **common)
    answer_question(actor=SALES, version_id=offer.version.pk, text="On acceptance.", now=NOW)

    talk = [(message.author, message.text) for message in offer.version.messages.all()]
    assert talk == [("Jane Doe", "When does it start?"), (SALES.name, "On acceptance.")]
    assert refusal(ask_question, actor=customer, text=" ", **common).code == "required"


def test_declining_takes_a_reason_and_ends_it(offer: Offer) -> None:
    common = {
        "actor": customer_of(offer.link), "link_id": offer.link.pk, "version_id": offer.version.pk,
        "visitor": VISITOR, "now": NOW,
    }  # fmt: skip

    assert refusal(decline_quote, reason="", **common).field == "reason"
    decline_quote(reason="Too dear.", **common)
    decline_quote(reason="Too dear.", **common)
    assert AuditEntry.objects.filter(verb="quotes.version.declined").count() == 1
    assert refusal(accept_version, **offer.asked(offer.picks("basic"))).code == "wrong_state"


# -- codes -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The codes that were mailed, without a mail server."""
    mailed: list[str] = []
    monkeypatch.setattr(codes.mail, "ensure_configured", lambda: None)
    monkeypatch.setattr(codes, "send_to_customer", lambda to, subject, body: mailed.append(subject[:6]))
    return mailed


def test_a_code_holds_fifteen_minutes_and_five_tries(world: World, sent: list[str]) -> None:
    offer = make_offer(world, ask_code=True)
    asked = offer.asked(offer.picks("basic"))
    common = {
        "actor": customer_of(offer.link), "link_id": offer.link.pk, "version_id": offer.version.pk, "visitor": VISITOR,
    }  # fmt: skip

    def wrong(code: str, minutes: int = 0) -> bool:
        return not codes.try_code(code=code, now=NOW + timedelta(minutes=minutes), **common)

    assert refusal(accept_version, **asked).code == "code_required"
    codes.send_code(email="mallory@elsewhere.example", now=NOW, **common)
    row = offer.link.codes.get()
    assert row.email == "jane@acme.example"  # whom the link was made for, whoever asks
    assert sent[0] not in row.code_sha256
    assert wrong(sent[0], minutes=16)
    bad = f"{(int(sent[0]) + 1) % 1_000_000:06d}"
    assert all(wrong(bad) for _ in range(5))
    assert refusal(enter_code, code=sent[0], now=NOW, **common).code == "code_required"  # the right one, too late
    codes.send_code(email="", now=NOW, **common)
    assert not wrong(sent[1])
    assert (
        refusal(accept_version, **asked | {"signature": signature(email="john@acme.example")}).code == "code_required"
    )
    assert refusal(accept_version, **asked | {"now": NOW + timedelta(minutes=16)}).code == "code_required"
    assert accept_version(**asked).acceptance.code_verified


def test_codes_are_not_sent_without_end(offer: Offer, sent: list[str]) -> None:
    common = {
        "actor": customer_of(offer.link), "link_id": offer.link.pk, "version_id": offer.version.pk, "email": "",
        "visitor": VISITOR,
    }  # fmt: skip
    for minute in range(6):
        codes.send_code(now=NOW + timedelta(minutes=minute), **common)

    assert refusal(codes.send_code, now=NOW + timedelta(minutes=7), **common).code == "conflict"
    assert len(set(sent)) > 1


# -- who may -----------------------------------------------------------------------------------------------------------


def test_a_customer_may_do_what_customers_do_and_no_more(offer: Offer) -> None:
    open_to = {name for name, roles in COMMANDS.items() if Role.CUSTOMER in roles}

    assert open_to == {
        "quotes.acceptance.accept_version",
        "quotes.acceptance.ask_question",
        "quotes.acceptance.decline_quote",
        "quotes.codes.send_code",
        "quotes.codes.try_code",
        "quotes.versions.decline_version",
        "quotes.versions.mark_viewed",
        "flows.acceptance.accept_quote",
    }
    assert Role.CUSTOMER not in STAFF
    assert "customer" not in SCOPES
    owner = actor_of(Role.OWNER)
    given = {"actor": owner, "email": "c@acme.example", "name": "C", "password": "keen-otter-Lantern-42"}
    assert refusal(create_user, roles=[Role.CUSTOMER], **given).field == "roles"
    assert refusal(accept_version, **offer.asked(offer.picks("basic"), actor=VIEWER)).code == "role_required"


# -- verification ------------------------------------------------------------------------------------------------------


def test_verification_finds_what_was_tampered_with_in_the_database(offer: Offer) -> None:
    made = accept_version(**offer.asked(offer.picks("basic"))).acceptance
    assert verify_acceptance(acceptance_of("q-0001")).ok

    def tampered(statement: str, *values: Any) -> set[str]:
        """What is found after somebody with the keys of the database has changed something; it is undone then."""
        point = transaction.savepoint()
        guards = ("quotes.Acceptance:acceptance_is_final", "platform.AuditEntry:audit_append_only")
        with pgtrigger.ignore(*guards), connection.cursor() as cursor:
            cursor.execute(statement, values)
        found = verify_acceptance(Acceptance.objects.get(pk=made.pk))
        assert found.ok == acceptances_hold().ok
        transaction.savepoint_rollback(point)
        return {check.what for check in found.checks if not check.ok}

    record, pdf = bytes(made.record), bytes(made.pdf)
    cheaper = record.replace(b'"amount":"3600.00"', b'"amount":"3500.00"')
    flipped = pdf[:2000] + bytes([pdf[2000] ^ 1]) + pdf[2001:]
    table = "UPDATE quotes_acceptance SET"
    assert tampered(f"{table} record = %s", cheaper) == {"record", "attachment"}
    # With its hash as well: the PDF and the trail still tell.
    assert tampered(f"{table} record = %s, record_sha256 = %s", cheaper, sha256_of(cheaper)) == {
        "attachment",
        "audit trail",
    }
    assert tampered(f"{table} pdf = %s", flipped) == {"PDF", "signature"}
    assert tampered("UPDATE platform_auditentry SET sentence = 'x' WHERE verb = 'quotes.version.accepted'") == {
        "audit trail"
    }
    assert tampered("DELETE FROM platform_auditentry WHERE verb = 'quotes.version.accepted'") == {"audit trail"}
    assert not tampered("SELECT 1")


def test_what_somebody_brings_is_told_apart(offer: Offer) -> None:
    made = accept_version(**offer.asked(offer.picks("basic"))).acceptance
    pdf, record = bytes(made.pdf), bytes(made.record)

    assert identify_file(pdf).known
    assert identify_file(record).known
    pretty = identify_file(json.dumps(json.loads(record), indent=2).encode())
    assert (pretty.known, pretty.intact) == (False, True)
    assert identify_fingerprint(made.record_sha256).known
    flipped = bytes([*pdf[:-40], pdf[-40] ^ 4, *pdf[-39:]])
    assert not identify_file(flipped).intact
    for nothing in (b"", b"\x00\xff", b"{}", b"[1.5]", b"[" * 200_000, b"%PDF-1.7"):
        assert not identify_file(nothing).intact
    assert not QuoteLink.objects.filter(revoked_at__isnull=False).exists()


def test_verify_on_the_command_line(offer: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from counterfoil.cli import app

    monkeypatch.setattr("counterfoil.cli.django.set_up", lambda: None)
    made = accept_version(**offer.asked(offer.picks("basic"))).acceptance

    said = CliRunner().invoke(app, ["verify", "quote", "Q-0001", "--save", str(tmp_path)])
    assert said.exit_code == 0, said.output
    assert "Genuine and unchanged" in said.output
    saved = tmp_path / "Q-0001-accepted.pdf"
    assert sha256_of(saved.read_bytes()) == made.pdf_sha256
    saved.write_bytes(saved.read_bytes()[:-1] + b"x")
    spoiled = CliRunner().invoke(app, ["verify", "quote", "Q-0001", "--file", str(saved), "--json"])
    assert spoiled.exit_code == 1
    assert not json.loads(spoiled.stdout)["ok"]
