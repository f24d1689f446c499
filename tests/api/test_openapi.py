"""The OpenAPI document: complete, consistent, and kept by what the API answers."""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS
from tests.api.client import Api, key_of
from tests.api.test_story import Msp, bill_first_month, sell_and_buy
from tests.world import World

from counterfoil.accounting.models import Batch, GLMapping
from counterfoil.agreements.models import Addition, Agreement, AgreementType
from counterfoil.api.urls import api as the_api
from counterfoil.billing.models import Invoice
from counterfoil.catalog.models import Category, Product
from counterfoil.companies.models import BillingTerms, Company, Contact, Site
from counterfoil.inventory.models import Bin, Receipt, Shipment, Warehouse
from counterfoil.ledger.models import Account, AccountingPeriod, JournalEntry
from counterfoil.orders.models import SalesOrder, SalesOrderLine
from counterfoil.platform.identity import Role
from counterfoil.platform.models import User
from counterfoil.procurement.models import PurchaseOrder, PurchaseOrderLine, VendorBill
from counterfoil.quotes.models import Opportunity
from counterfoil.tax.models import TaxCode

pytestmark = pytest.mark.django_db

#: How long the API is tried with made-up requests, in seconds.
BUDGET = 30


@pytest.fixture
def document() -> dict[str, Any]:
    response = Client().get("/api/v1/openapi.json")
    assert response.status_code == 200
    return dict(response.json())


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(method, path, op) for path, item in document["paths"].items() for method, op in item.items()]


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    for method, path, operation in operations(document):
        where = f"{method} {path}"
        assert path.startswith("/api/v1/"), where
        assert operation["summary"], where
        assert operation["tags"], where
        assert operation["security"] == [{"ApiToken": []}], where
        assert {"401", "403", "404", "409", "422"} <= operation["responses"].keys(), where
        if method != "get":
            assert "Roles: " in operation["description"], where
        if method == "post":
            assert any(each["name"] == "Idempotency-Key" for each in operation["parameters"]), where


def test_fields_say_what_the_commands_say_of_them(document: dict[str, Any]) -> None:
    body = document["components"]["schemas"]["CreateBatch"]["properties"]
    assert body["invoice_ids"]["description"] == "Closed invoices; one that sells stock is ready as a bill is."
    assert "actor" not in body
    assert document["components"]["schemas"]["ConvertToAgreement"]["required"] == ["line_ids", "agreement_type_id"]


def test_a_name_means_one_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two types of one name would hide each other in the document."""
    from ninja.openapi.schema import OpenAPISchema

    found: dict[str, Any] = {}

    def add(self: OpenAPISchema, definitions: dict[str, Any]) -> None:
        for name, schema in definitions.items():
            assert found.setdefault(name, schema) == schema, f"two types are called {name}"
        self.schemas.update(definitions)

    monkeypatch.setattr(OpenAPISchema, "add_schema_definitions", add)
    OpenAPISchema(the_api, "api/v1/")
    assert len(found) > 80


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    names = set(document["components"]["schemas"])
    assert set(re.findall(r"#/components/schemas/([^'\"]+)", str(document))) <= names


def test_no_amount_is_a_number(document: dict[str, Any]) -> None:
    """What the API gives out has integers for ids and counts, and strings for whatever could have decimals."""
    given = {
        ref.rsplit("/", 1)[-1]
        for _, _, operation in operations(document)
        for status, answer in operation["responses"].items() if status.startswith("2")
        for ref in re.findall(r"#/components/schemas/[^'\"]+", str(answer))
    }  # fmt: skip
    assert len(given) > 40
    for name in given:
        assert "'type': 'number'" not in str(document["components"]["schemas"][name]), name


def newest_ids() -> dict[str, int]:
    """Of every kind of record the newest, by what the API calls its id."""
    named = {
        "account": Account, "addition": Addition, "agreement": Agreement, "agreement_type": AgreementType,
        "batch": Batch, "bill": VendorBill, "bin": Bin, "category": Category, "company": Company, "contact": Contact,
        "customer": Company, "entry": JournalEntry, "invoice": Invoice, "mapping": GLMapping,
        "opportunity": Opportunity, "order": SalesOrder, "order_line": SalesOrderLine, "period": AccountingPeriod,
        "product": Product, "purchase_order": PurchaseOrder, "purchase_order_line": PurchaseOrderLine,
        "receipt": Receipt, "shipment": Shipment, "site": Site, "tax_code": TaxCode, "terms": BillingTerms,
        "user": User, "warehouse": Warehouse,
    }  # fmt: skip
    newest = {f"{name}_id": model._default_manager.order_by("pk").last() for name, model in named.items()}
    found = {name: record.pk for name, record in newest.items() if record is not None}
    return found | {"vendor_id": Company.objects.get(kind="vendor").pk, "line_id": found["order_line_id"]}


def made_real(value: Any, ids: dict[str, int]) -> Any:
    """The same with ids that exist, where a field is called after a record; the first of a list of ids as well."""
    if isinstance(value, dict):
        return {
            name: ids[name] if name in ids and isinstance(item, int)
            else [ids[name[:-1]]] if name[:-1] in ids and isinstance(item, list) and item
            else made_real(item, ids)
            for name, item in value.items()
        }  # fmt: skip
    return [made_real(item, ids) for item in value] if isinstance(value, list) else value


def stay_connected() -> None:
    """Django closes its connection after every request; the test's transaction lives on it.

    Django's own test client does the same around its requests, and connects the signals again.
    """
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)


@pytest.mark.slow
def test_made_up_requests_are_answered_as_documented() -> None:
    """No request brings the API down, and every answer is one the document names (status, type and schema).

    The requests are made up from the document, about the records of a lease that is well under way.
    """
    lived_in = Msp(Api(key_of(Role.OWNER)))
    agreement, _ = sell_and_buy(lived_in, lived_in.stocked, ["SN-1"], lived_in.bin)
    bill_first_month(lived_in, agreement)
    ids = newest_ids()
    stay_connected()
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app=get_wsgi_application())
    headers = {"Authorization": f"Bearer {key_of(Role.OWNER)}"}
    checks = CHECKS.get_by_names(
        ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"]
    )
    every = [result.ok() for result in schema.get_all_operations()]
    assert len(every) > 150
    began, tried = time.monotonic(), 0
    failures: list[str] = []
    answered: Counter[int] = Counter()

    def attempt(operation: Any, examples: int) -> None:
        @settings(
            max_examples=examples, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy())
        def run(case: Any) -> None:
            nonlocal tried
            tried += 1
            with transaction.atomic():
                try:
                    case.path_parameters = made_real(case.path_parameters, ids)
                    case.body = made_real(case.body, ids)
                    answer = case.call_and_validate(headers=headers, checks=checks)
                    answered[answer.status_code // 100] += 1
                finally:
                    transaction.set_rollback(True)

        try:
            run()
        except BaseExceptionGroup as error:
            failures.append(f"{operation.label}: {error.exceptions[0]}")
        except Exception as error:
            failures.append(f"{operation.label}: {error}"[:2000])

    for examples in (2, 4, 8):  # at least once over all, then as long as the time allows
        for operation in every:
            if examples > 2 and time.monotonic() - began > BUDGET:
                break
            attempt(operation, examples)
    assert failures == []
    assert tried >= len(every)
    assert answered[2] > 100, f"hardly anything was accepted: {answered}"


def test_the_document_names_real_answers(owner: Api, world: World, document: dict[str, Any]) -> None:
    """Spot check by hand, so that a validator that lets everything pass is noticed."""
    company = owner.get(f"/companies/{world.acme.pk}")
    schema = document["components"]["schemas"]["CompanyDetails"]
    assert set(company) == set(schema["properties"])
    assert (company["terms_id"], company["terms"]) == (world.net30.pk, "Net 30")
    assert company["sites"][0]["city"] == "Detroit"
