"""The lease, from an empty installation to the trial balance, through the API alone."""

from __future__ import annotations

from base64 import b64decode

import pytest
from tests.api.client import Api, MakeApi

from counterfoil.platform.identity import Role

YEAR = 2026


class Msp:
    """A new MSP, set up through the API."""

    def __init__(self, api: Api) -> None:
        self.api = api
        api.post("/setup", {"name": "Northwind IT", "identifier": "NorthwindIT", "on": "2026-01-01"})
        net30 = self.named("/billing-terms", "name", "Net 30")
        hardware = self.named("/categories", "name", "Hardware")
        haas = self.named("/categories", "name", "HaaS")
        self.agreement_type = self.named("/agreement-types", "name", "HaaS")
        self.asset_category = self.named("/asset-categories", "name", "Leased hardware")
        tax = api.post(
            "/tax-codes",
            {"identifier": "MI6", "levels": [{"name": "Michigan", "rate": 0.06, "agency": "MI Treasury"}]},
        )
        assert tax["combined_rate"] == "0.06"
        company = {"terms_id": net30, "tax_code_id": tax["id"], "site": {"line1": "1 Main St", "city": "Detroit"}}
        self.acme = self.company("AcmeCorp", "Acme Corp", **company)
        self.internal = self.company("NorthwindHaaS", "Northwind HaaS", kind="internal", terms_id=net30)
        self.vendor = self.company("Ingram", "Ingram Micro", kind="vendor", terms_id=net30)
        goods = {"description": "Rack server", "category_id": hardware, "cost": "3600", "vendor_id": self.vendor}
        self.expensed = self.product("SRV-NI", product_class="NonInventory", **goods)
        self.stocked = self.product("SRV-INV", product_class="Inventory", serialized=True, **goods)
        self.lease = self.product(
            "HAAS-SRV",
            description="Server as a service",
            product_class="Agreement",
            category_id=haas,
            price="150",
            billing_cycle="month:1",
        )
        warehouse = api.post("/warehouses", {"name": "Acme Corp", "company_id": self.acme})["id"]
        self.bin = api.post(f"/warehouses/{warehouse}/bins", {"name": "Acme rack"})["id"]

    def named(self, path: str, field: str, value: str) -> int:
        return next(int(item["id"]) for item in self.api.get(path)["items"] if item[field] == value)

    def company(self, identifier: str, name: str, **more: object) -> int:
        body = {"identifier": identifier, "name": name, "account_number": identifier.upper(), **more}
        return int(self.api.post("/companies", body)["id"])

    def product(self, identifier: str, **more: object) -> int:
        return int(self.api.post("/products", {"identifier": identifier, **more})["id"])

    def trial_balance(self, as_of: str) -> dict[str, str]:
        """Account code -> debit, or credit with a minus."""
        table = self.api.get(f"/reports/trial-balance?as_of={as_of}")
        rows = [dict(zip([c["key"] for c in table["columns"]], row["cells"], strict=True)) for row in table["rows"]]
        return {
            row["account"]: row["debit"] if row["debit"] not in (None, "0.00") else f"-{row['credit']}" for row in rows
        }

    def transfer(self, **records: object) -> None:
        batch = self.api.post("/batches", {"through": "2026-01-31", **records})
        entries = self.api.get(f"/batches/{batch['id']}/entries")["entries"]
        assert entries
        assert all(not entry["reasons"] for entry in entries)
        assert self.api.act(f"/batches/{batch['id']}/transfer")["status"] == "transferred"


@pytest.fixture
def msp(make_api: MakeApi) -> Msp:
    return Msp(make_api(Role.OWNER))


def sell_and_buy(msp: Msp, product: int, serials: list[str], bin_id: int | None) -> tuple[dict, dict]:
    """Steps 4 to 8: quote, convert both ways, buy, receive and ship. Returns the agreement and the order."""
    api = msp.api
    opportunity = api.post(
        "/opportunities",
        {
            "company_id": msp.acme,
            "name": "Leased server",
            "lines": [
                {"product_id": product, "unit_cost": "3600.00", "unit_price": 0},
                {"product_id": msp.lease, "unit_price": 150.0, "cycles": 36, "start_date": "2026-01-01"},
            ],
        },
    )
    bought, leased = opportunity["lines"]
    path = f"/opportunities/{opportunity['id']}"
    agreement = api.post(
        f"{path}/convert-to-agreement",
        {"line_ids": [leased["id"]], "agreement_type_id": msp.agreement_type, "on": "2026-01-01"},
    )
    assert [a["unit_price"] for a in agreement["additions"]] == ["150"]
    assert [line["id"] for line in api.get(f"{path}/remainder")] == [bought["id"]]
    order = api.post(f"{path}/convert-to-sales-order", {"line_ids": [bought["id"]], "on": "2026-01-05"})
    again = api.post(f"{path}/convert-to-sales-order", {"line_ids": [bought["id"]], "on": "2026-01-05"}, status=409)
    assert again["code"] == "already_converted"
    assert api.get(f"{path}/remainder") == []

    demand = api.get("/demand")["items"]
    assert [(row["product_id"], row["to_buy"], row["unit_cost"]) for row in demand] == [(product, "1", "3600")]
    line = {"order_line_id": demand[0]["order_line_id"], "quantity": 1, "unit_cost": "3600.00", "bin_id": bin_id}
    purchase = api.post("/purchase-orders", {"vendor_id": msp.vendor, "order_date": "2026-01-05", "lines": [line]})
    purchase = api.act(f"/purchase-orders/{purchase['id']}/send")
    assert (purchase["status"], purchase["total"]) == ("sent", "3600.00")
    receipt = api.post(
        f"/purchase-orders/{purchase['id']}/receive",
        {
            "on": "2026-01-10",
            "lines": [{"purchase_order_line_id": purchase["lines"][0]["id"], "quantity": 1, "serials": serials}],
        },
    )
    assert receipt["cost"] == "3600.00"
    ship = [{"order_line_id": order["lines"][0]["id"], "quantity": 1, "bin_id": bin_id, "serials": serials}]
    api.post(f"/sales-orders/{order['id']}/ship", {"on": "2026-01-12", "lines": ship})
    bill = api.post(
        "/vendor-bills",
        {
            "vendor_id": msp.vendor,
            "vendor_invoice_number": "IM-1001",
            "date": "2026-01-10",
            "lines": [{"purchase_order_line_id": purchase["lines"][0]["id"]}],
        },
    )
    assert bill["total"] == "3600.00"
    return agreement, order


def bill_first_month(msp: Msp, agreement: dict) -> dict:
    invoice = msp.api.post(f"/agreements/{agreement['id']}/invoice", {"invoice_date": "2026-01-01"})
    assert (invoice["subtotal"], invoice["tax_total"], invoice["total"]) == ("150.00", "9.00", "159.00")
    assert invoice["lines"][0]["explanation"]
    invoice = msp.api.act(f"/invoices/{invoice['id']}/close")
    assert invoice["number"].startswith("INV-")
    return dict(invoice)


def test_option_1_expenses_the_server_in_the_month_of_the_purchase_order(msp: Msp) -> None:
    agreement, _ = sell_and_buy(msp, msp.expensed, [], None)
    waiting = msp.api.get("/unposted/procurement")["items"]
    assert {row["source_type"] for row in waiting} == {"receipt", "vendor_bill"}
    msp.transfer(invoices=False, journal_entries=False)
    bill_first_month(msp, agreement)
    msp.transfer(procurement=False, journal_entries=False)
    assert msp.trial_balance("2026-01-31") == {
        "1100": "159.00", "2000": "-3600.00", "2200": "-9.00", "4010": "-150.00", "5000": "3600.00",
    }  # fmt: skip


def test_option_2_capitalises_and_depreciates_the_server(msp: Msp) -> None:
    api = msp.api
    agreement, order = sell_and_buy(msp, msp.stocked, ["SN-1"], msp.bin)
    msp.transfer(invoices=False, journal_entries=False)
    bill_first_month(msp, agreement)

    cost_only = api.post(f"/sales-orders/{order['id']}/invoice", {"on": "2026-01-12", "bill_to_id": msp.internal})
    assert (cost_only["total"], cost_only["cost_total"]) == ("0.00", "3600.00")
    api.act(f"/invoices/{cost_only['id']}/close")
    msp.transfer(procurement=False, journal_entries=False)
    assert api.get("/stock")["items"] == []

    [line] = api.get("/assets-to-capitalise")["items"]
    asset = api.post(
        "/assets/capitalise-from-invoice-line",
        {"invoice_line_id": line["id"], "category_id": msp.asset_category, "in_service_date": "2026-01-12",
         "agreement_id": agreement["id"]},
    )  # fmt: skip
    assert (asset["cost"], asset["number"], asset["serial_numbers"]) == ("3600.00", "FA-0001", "SN-1")
    schedule = api.get(f"/assets/{asset['id']}/schedule")
    assert len(schedule) == 36
    assert {each["amount"] for each in schedule} == {"100.00"}
    assert schedule[0]["explanation"]
    [entry] = api.post("/depreciation-runs", {"through": "2026-01-31"})
    assert entry["total"] == "100.00"
    assert msp.trial_balance("2026-01-31") == {
        "1100": "159.00", "1500": "3600.00", "1590": "-100.00", "2000": "-3600.00", "2200": "-9.00",
        "4010": "-150.00", "5200": "100.00",
    }  # fmt: skip
    months = api.get(f"/agreements/{agreement['id']}/economics")["months"]
    assert (months[0]["revenue"], months[0]["depreciation"], months[0]["net_book_value"]) == (
        "150.00", "100.00", "3500.00",
    )  # fmt: skip


def test_a_direct_capitalisation_needs_no_internal_company(msp: Msp) -> None:
    _, order = sell_and_buy(msp, msp.stocked, ["SN-1"], msp.bin)
    msp.transfer(invoices=False, journal_entries=False)
    asset = msp.api.post(
        "/assets/capitalise-from-stock",
        {"order_line_id": order["lines"][0]["id"], "category_id": msp.asset_category, "on": "2026-01-12"},
    )
    assert asset["capitalised_from"] == "inventory"
    balance = msp.trial_balance("2026-01-31")
    assert (balance["1500"], balance["2000"]) == ("3600.00", "-3600.00")
    assert "5000" not in balance


def test_payment_closing_and_reversal(msp: Msp) -> None:
    api = msp.api
    agreement, _ = sell_and_buy(msp, msp.expensed, [], None)
    invoice = bill_first_month(msp, agreement)
    msp.transfer()
    payment = api.post(
        "/payments",
        {"company_id": msp.acme, "on": "2026-01-20", "amount": 159,
         "applications": [{"invoice_id": invoice["id"], "amount": "159.00"}]},
    )  # fmt: skip
    assert payment["number"] == "PAY-0001"
    assert api.get(f"/invoices/{invoice['id']}")["balance"] == "0.00"
    rent = [{"account": "6000", "debit": "10"}, {"account": "1000", "credit": "10"}]
    manual = api.post("/journal-entries", {"on": "2026-01-25", "memo": "Rent", "lines": rent})
    reversal = api.post(f"/journal-entries/{manual['id']}/reverse", {"on": "2026-01-26"})
    assert reversal["reverses_id"] == manual["id"]
    january = api.get("/periods")["items"][0]
    assert api.act(f"/periods/{january['id']}/close")["status"] == "closed"
    refused = api.post(f"/journal-entries/{manual['id']}/reverse", {"on": "2026-01-27"}, status=409)
    assert refused["code"] in {"period_closed", "wrong_state", "conflict", "duplicate"}
    trail = api.get(f"/audit?object_type=billing.invoice&object_id={invoice['id']}")["items"]
    assert trail
    assert all(entry["actor_name"].startswith("owner") for entry in trail)


def test_a_batch_goes_to_quickbooks_desktop_once(msp: Msp) -> None:
    api = msp.api
    agreement, _ = sell_and_buy(msp, msp.expensed, [], None)
    bill_first_month(msp, agreement)
    msp.transfer()
    [batch] = api.get("/batches")["items"]
    path = f"/batches/{batch['id']}/export"
    first = api.act(path)
    assert b64decode(first["content_base64"]).startswith(b"!")
    assert api.post(path, status=409)["code"] == "export_not_confirmed"
    assert api.act(f"{path}/mark-not-imported")["status"] == "not_imported"
    again = api.act(path)
    assert (again["content_base64"], again["sha256"]) == (first["content_base64"], first["sha256"])
    assert api.act(f"{path}/confirm")["status"] == "confirmed"
    assert api.get(f"/batches/{batch['id']}")["exports"][0]["status"] == "confirmed"


def test_the_books_are_verified_and_the_thread_is_followed(msp: Msp) -> None:
    api = msp.api
    agreement, order = sell_and_buy(msp, msp.stocked, ["SN-1"], msp.bin)
    bill_first_month(msp, agreement)
    msp.transfer()
    verified = api.get("/verify")
    assert verified["ok"], [check for check in verified["checks"] if not check["ok"]]
    assert len(verified["checks"]) > 10
    thread = api.get(f"/thread?object_type=orders.salesorder&object_id={order['id']}")
    kinds = [event["kind"] for event in thread["events"]]
    assert {"opportunity", "agreement", "sales_order", "purchase_order", "receipt", "invoice", "journal_entry"} <= set(
        kinds
    )
    assert [event["pk"] for event in thread["events"] if event["current"]] == [order["id"]]
    api.get("/thread?object_type=auth.permission&object_id=1", status=404)


def test_lease_economics_without_any_record(owner: Api) -> None:
    both = owner.get("/lease-economics?cost=3600&price_per_month=150&months=36&start=2026-01-01&tax_rate=0.06")
    assert both["option_1"]["total"]["profit"] == both["option_2"]["total"]["profit"] == "1800.00"
    first, second = both["option_1"]["months"][0], both["option_2"]["months"][0]
    assert (first["profit"], second["profit"], second["net_book_value"]) == ("-3450.00", "50.00", "3500.00")
