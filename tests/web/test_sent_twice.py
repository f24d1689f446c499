"""Forms with pages of their own that are sent again, and records that two people change at once."""

from __future__ import annotations

import html
import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from tests.accepted import accepted, by, convert, m365
from tests.web.deal import NOW
from tests.web.pages import done, errors_beside, lines, post, refused, sign_in, text_of
from tests.web.test_agreements import made
from tests.web.test_bill import closed
from tests.world import FINANCE, OWNER, SALES, World

from counterfoil.accounting import commands as accounting
from counterfoil.accounting.models import GLMapping
from counterfoil.agreements.models import Addition
from counterfoil.billing.models import BillingRun
from counterfoil.catalog.commands import create_work_role
from counterfoil.catalog.models import BundleComponent, Category, PricingSchedule, Product
from counterfoil.ledger.models import Account, AccountingPeriod
from counterfoil.matching.column_mappings import create_column_mapping
from counterfoil.matching.models import ColumnMapping, MatchTolerance
from counterfoil.platform.identity import Role
from counterfoil.platform.models import ApiToken, User
from counterfoil.quotes.commands import create_quote
from counterfoil.quotes.models import Quote, QuoteMessage, QuoteSettings
from counterfoil.tax.models import TaxRemittance
from counterfoil.usage.models import Charge

pytestmark = pytest.mark.django_db


def hidden(page: str) -> dict[str, str]:
    """The hidden inputs that the page's main form sends along."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page)
    return {name: html.unescape(value) for name, value in found if name != "csrfmiddlewaretoken"}


def opened(client: Client, address: str) -> dict[str, str]:
    """What a page sends along when its form is sent."""
    answer = client.get(address)
    assert answer.status_code == 200, text_of(answer)
    return hidden(answer.content.decode())


def twice(client: Client, address: str, sent: dict[str, Any]) -> None:
    """Send the same again, as Back and a second press do: it leads to what came of the first."""
    first, second = client.post(address, sent), client.post(address, sent)
    assert done(first) == done(second)
    assert "not done twice" in text_of(client.get(done(second)))


# -- sent again --------------------------------------------------------------------------------------------------------


def test_sales_tax_is_paid_once(client: Client, world: World) -> None:
    closed(world, 2)
    batch = accounting.create_batch(actor=FINANCE, through=date(2026, 2, 28))
    accounting.transfer_batch(actor=FINANCE, batch_id=batch.pk, now=NOW)
    sign_in(client, Role.FINANCE)
    address = "/payments/sales-tax/"
    given = {"agency": "MI Dept of Treasury", "on": "2026-03-05", "amount": "8.00"}
    twice(client, address, opened(client, address) | given)
    assert [each.amount for each in TaxRemittance.objects.all()] == [Decimal(8)]


def test_a_file_of_work_is_imported_once(client: Client, world: World) -> None:
    create_work_role(actor=OWNER, name="Engineer", hourly_rate=Decimal(100))
    sign_in(client, Role.FINANCE)
    address = "/imports/?kind=usage"
    rows = "kind,date,company,quantity,description,work_role\ntime,3/15/2026,AcmeCorp,1.5,Firewall rules,Engineer\n"
    page = client.post(address, {"file": SimpleUploadedFile("work.csv", rows.encode())}).content.decode()
    twice(client, address, hidden(page))
    assert Charge.objects.count() == 1
    again = client.post(address, {"file": SimpleUploadedFile("work.csv", rows.encode())}).content.decode()
    done(client.post(address, hidden(again)))  # looked at anew, it was meant
    assert Charge.objects.count() == 2


def test_a_change_is_quoted_once(client: Client, world: World) -> None:
    convert(accepted(world, [by(m365(world)["monthly"], 10)]))
    seats = Addition.objects.get()
    sign_in(client, Role.SALES)
    address = f"/agreements/{seats.agreement_id}/quote/"
    given = {"start_date": "2026-02-05", f"quantity-{seats.pk}": "12"}
    sent = opened(client, address) | given
    refused(client.post(address, sent | {f"quantity-{seats.pk}": "10"}), "Say what is to be changed")
    twice(client, address, sent)
    assert Quote.objects.filter(kind="change").count() == 1


def test_the_books_are_opened_for_the_twelve_months_that_were_shown(client: Client, world: World) -> None:
    sign_in(client, Role.FINANCE)
    before = AccountingPeriod.objects.count()
    sent = opened(client, "/periods/")
    for _ in range(2):
        done(client.post("/periods/open/", sent))
    assert AccountingPeriod.objects.count() == before + 12


def test_a_run_that_is_over_is_not_started_again(client: Client, world: World) -> None:
    sign_in(client, Role.FINANCE)
    address = "/billing-runs/new/"
    given = {"through": "2026-01-01", "invoice_date": "2026-01-01", "mode": "close"}
    twice(client, address, opened(client, address) | given)
    assert BillingRun.objects.count() == 1


def test_a_key_is_made_once(client: Client, world: World) -> None:
    sign_in(client, Role.SALES)
    sent = opened(client, "/api-tokens/new/") | {"name": "Nightly export", "scopes": ["read"]}
    first = client.post("/api-tokens/new/", sent)
    assert "Nightly export" in text_of(first)
    again = done(client.post("/api-tokens/new/", sent))
    assert "not done twice" in text_of(client.get(again))
    assert ApiToken.objects.count() == 1


def test_a_question_is_answered_once(client: Client, world: World) -> None:
    quote = create_quote(actor=SALES, name="Office", on=date(2026, 1, 1), company_id=world.acme.pk)
    version = quote.versions.get()
    QuoteMessage.objects.create(version=version, from_customer=True, author="Jo", text="When?", at=NOW)
    sign_in(client, Role.SALES)
    token = opened(client, f"/quotes/{quote.pk}/")["sent_once"]
    for _ in range(2):
        done(client.post(f"/quotes/versions/{version.pk}/answer/", {"text": "In May.", "sent_once": token}))
    assert QuoteMessage.objects.filter(from_customer=False).count() == 1


def test_a_person_is_added_once_and_it_leads_to_the_person(client: Client, world: World) -> None:
    sign_in(client, Role.OWNER)
    given = {"name": "Petra", "email": "petra@northwind.example", "password": "correct horse battery staple"}
    twice(client, "/people/new/", opened(client, "/people/new/") | given | {"roles": ["procurement"]})
    assert User.objects.filter(name="Petra").count() == 1


# -- what somebody else has changed meanwhile --------------------------------------------------------------------------

LINES_CHANGED = "These lines were changed meanwhile"


@pytest.fixture
def bundle(world: World) -> Product:
    return Product.objects.create(
        identifier="WORKPLACE", description="Workplace", product_class="Bundle", accounting_type="OtherCharge",
        category=world.lease.category, cost_from_components=False,
    )  # fmt: skip


def test_two_who_change_the_components_of_a_bundle(client: Client, bundle: Product) -> None:
    sign_in(client, Role.OWNER)
    address = f"/products/{bundle.pk}/components/"
    mine, theirs = opened(client, address), opened(client, address)
    lease, server = ({"product_id": name, "quantity": "1"} for name in ("HAAS-SRV", "SRV-INV"))
    done(post(client, address, theirs, lines(lease), price_from_components="on"))
    said = refused(post(client, address, mine, lines(server), cost_from_components="on"), LINES_CHANGED)
    assert BundleComponent.objects.get().product.identifier == "HAAS-SRV"
    done(post(client, address, hidden(said), lines(server), cost_from_components="on", price_from_components="on"))
    bundle.refresh_from_db()
    assert (bundle.price_from_components, bundle.cost_from_components) == (True, True)
    assert BundleComponent.objects.get().product.identifier == "SRV-INV"


def test_what_another_ticked_of_a_bundle_stays_ticked(client: Client, bundle: Product) -> None:
    sign_in(client, Role.OWNER)
    address = f"/products/{bundle.pk}/components/"
    mine, theirs = opened(client, address), opened(client, address)
    done(post(client, address, theirs, lines(), price_from_components="on"))
    done(post(client, address, mine, lines(), cost_from_components="on"))
    bundle.refresh_from_db()
    assert (bundle.price_from_components, bundle.cost_from_components) == (True, True)


@pytest.mark.parametrize("of_type", [False, True])
def test_two_who_change_rates(client: Client, world: World, of_type: bool) -> None:
    agreement = made(world)
    owner: Any = agreement.type if of_type else agreement
    sign_in(client, Role.OWNER)
    address = f"/{'agreement-types' if of_type else 'agreements'}/{owner.pk}/rates/work-roles/"
    mine, theirs = opened(client, address), opened(client, address)
    sent = [lines({"rate_type": "Custom", "rate": rate}) for rate in ("110", "120")]
    done(post(client, address, theirs, sent[0]))
    said = refused(post(client, address, mine, sent[1]), LINES_CHANGED)
    assert owner.work_role_rates.get().rate == 110
    once_more = hidden(said)
    twice(client, address, once_more | sent[1])
    assert owner.work_role_rates.get().rate == 120


def test_two_who_map_the_same_account(client: Client, world: World) -> None:
    sign_in(client, Role.FINANCE)
    hardware = Category.objects.get(name="Hardware")
    first, second = Account.objects.filter(type="cost_of_goods_sold", active=True)[:2]
    address = f"/gl-mapping/set/?role=cogs&category_id={hardware.pk}"
    given = {"role": "cogs", "category_id": hardware.pk}
    GLMapping.objects.filter(role="cogs", category=hardware).delete()
    mine, theirs = opened(client, address), opened(client, address)
    done(post(client, address, theirs, given, account_id=first.pk))
    said = refused(post(client, address, mine, given, account_id=second.pk))
    assert f"This was changed meanwhile: it is {first} by now" in errors_beside(said, "account_id")
    assert GLMapping.objects.get(role="cogs", category=hardware).account == first
    twice(client, address, hidden(said) | given | {"account_id": second.pk})
    assert GLMapping.objects.get(role="cogs", category=hardware).account == second
    beyond = f"/gl-mapping/set/?role=cogs&category_id={10**30}"
    done(post(client, beyond, opened(client, beyond), given, account_id=first.pk))


def test_a_role_that_was_taken_away_does_not_come_back_with_a_name(client: Client, world: World) -> None:
    sign_in(client, Role.OWNER)
    sam = User.objects.create_user("sam@northwind.example", name="Sam", roles=["finance", "sales"])
    address = f"/people/{sam.pk}/"
    mine, theirs = opened(client, address), opened(client, address)
    done(post(client, address, theirs, name="Sam", roles=["sales"]))
    done(post(client, address, mine, name="Sam Seller", roles=["finance", "sales"]))
    sam.refresh_from_db()
    assert (sam.name, sam.roles) == ("Sam Seller", ["sales"])

    done(post(client, address, opened(client, address) | {"name": "Sam Seller"}, roles=["viewer"]))
    refused(
        post(client, address, mine, name="Sam Seller", roles=["owner", "finance"]),
        "This was changed meanwhile: it is Viewer",
    )


def test_two_who_change_a_tolerance_and_what_quotes_begin_with(client: Client, world: World) -> None:
    sign_in(client, Role.OWNER)
    found = MatchTolerance.objects.get(measure="quantity", vendor=None, company=None, category=None)
    address = f"/match/rules/tolerances/{found.pk}/"
    shown = {"percent": "1", "amount": "1", "bounds": found.bounds}
    mine, theirs = opened(client, address), opened(client, address)
    before = dict(re.findall(r'"(\w+)": "([^"]*)"', mine["seen_before"]))
    shown = {name: before[name] for name in shown}
    done(post(client, address, theirs, shown | {"amount": "3"}))
    done(post(client, address, mine, shown | {"percent": "2"}))
    after = dict(re.findall(r'"(\w+)": "([^"]*)"', opened(client, address)["seen_before"]))
    assert (after["amount"], after["percent"]) == ("3", "2")

    address, shown = "/quotes/settings/", {"valid_days": "30", "terms_and_conditions": "", "consent": "I agree."}
    done(post(client, address, opened(client, address), shown))
    mine, theirs = opened(client, address), opened(client, address)
    done(post(client, address, theirs, shown | {"terms_and_conditions": "Net 30."}))
    done(post(client, address, mine, shown | {"valid_days": "45"}))
    settings = QuoteSettings.objects.get()
    assert (settings.valid_days, settings.terms_and_conditions) == (45, "Net 30.")


def test_two_who_change_which_column_holds_what(client: Client, world: World) -> None:
    sign_in(client, Role.FINANCE)
    mapping = create_column_mapping(actor=FINANCE, name="Mine", columns={"quantity": "Menge"})
    address = f"/match/statements/mappings/{mapping.pk}/"
    mine, theirs = opened(client, address), opened(client, address)
    done(post(client, address, theirs, name="Mine", column_quantity="Anzahl"))
    done(post(client, address, mine, name="Ours", column_quantity="Menge"))
    found = ColumnMapping.objects.get(pk=mapping.pk)
    assert (found.name, found.columns) == ("Ours", {"quantity": "Anzahl"})


def test_a_schedule_keeps_the_companies_that_another_chose(client: Client, world: World) -> None:
    sign_in(client, Role.OWNER)
    prices = lines({"product_id": "HAAS-SRV", "method": "price", "value": "70"})
    done(post(client, "/pricing-schedules/new/", prices, name="Gold", company_ids=[world.acme.pk]))
    schedule = PricingSchedule.objects.get()
    address = f"/pricing-schedules/{schedule.pk}/"
    mine, theirs = opened(client, address), opened(client, address)
    both = [world.acme.pk, world.globex.pk]
    done(post(client, address, theirs, prices, name="Gold", company_ids=both))
    done(post(client, address, mine, prices, name="Silver", company_ids=[world.acme.pk]))
    schedule.refresh_from_db()
    assert (schedule.name, sorted(row.company_id for row in schedule.companies.all())) == ("Silver", both)
