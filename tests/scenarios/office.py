"""The office of Northwind IT: everything it does and sees goes through the API, on a day that the test moves on."""

from __future__ import annotations

from typing import Any

from tests.api.client import Api
from time_machine import Traveller

from counterfoil.flows.billing_work import work

#: Description, quantity and amount of a line.
Row = tuple[str, str, str]


class Office:
    """A new MSP, its customer Acme Corp (taxed at 6 %), and what it does for it."""

    def __init__(self, api: Api, clock: Traveller) -> None:
        self.api, self.clock = api, clock
        api.post("/setup", {"name": "Northwind IT", "identifier": "NorthwindIT", "on": "2026-01-01"})
        tax = api.post(
            "/tax-codes",
            {"identifier": "MI6", "levels": [{"name": "Michigan", "rate": "0.06", "agency": "MI Treasury"}]},
        )
        customer = {
            "identifier": "AcmeCorp",
            "name": "Acme Corp",
            "account_number": "ACME",
            "terms_id": self.named("/billing-terms", "Net 30"),
            "tax_code_id": tax["id"],
            "site": {"line1": "1 Main St", "city": "Detroit"},
        }
        self.acme = int(api.post("/companies", customer)["id"])
        self.engineer = int(api.post("/work-roles", {"name": "Network engineer", "hourly_rate": "100"})["id"])
        self.category = self.named("/categories", "HaaS")

    # -- the calendar

    def on(self, day: str) -> None:
        """It is noon of that day."""
        self.clock.move_to(f"{day}T12:00:00Z")

    # -- what is there

    def named(self, path: str, name: str) -> int:
        """The id of a record of that name."""
        return next(int(item["id"]) for item in self.api.get(path)["items"] if item["name"] == name)

    def product(self, description: str, price: str) -> int:
        """Something that is billed by the month."""
        body = {
            "identifier": description.upper().replace(" ", "-"),
            "description": description,
            "product_class": "Agreement",
            "category_id": self.category,
            "price": price,
            "billing_cycle": "month:1",
        }
        return int(self.api.post("/products", body)["id"])

    def agreement(self, name: str, *additions: dict[str, Any], kind: str = "Hosting", **terms: Any) -> dict[str, Any]:
        """An agreement of Acme's; monthly in advance from 1 January, where ``terms`` do not say otherwise."""
        body = {
            "company_id": self.acme,
            "agreement_type_id": self.named("/agreement-types", kind),
            "name": name,
            "start_date": "2026-01-01",
            "additions": additions,
        }
        return dict(self.api.post("/agreements", body | terms))

    def add(self, agreement: dict[str, Any], product_id: int, **values: Any) -> None:
        """One more addition of an agreement that is there."""
        self.api.post(f"/agreements/{agreement['id']}/additions", {"addition": {"product_id": product_id, **values}})

    def addition(self, agreement: dict[str, Any], description: str) -> str:
        """Where an addition is."""
        found = self.api.get(f"/agreements/{agreement['id']}")["additions"]
        return f"/additions/{next(row['id'] for row in found if row['description'] == description)}"

    def worked(self, agreement: dict[str, Any], on: str, hours: str) -> dict[str, Any]:
        """Hours of an engineer under an agreement."""
        body = {
            "company_id": self.acme,
            "agreement_id": agreement["id"],
            "on": on,
            "hours": hours,
            "description": f"Support on {on}",
            "work_role_id": self.engineer,
        }
        return dict(self.api.post("/charges/time", body))

    # -- billing

    def bill(self, through: str, mode: str = "transfer", parked: int = 0) -> list[dict[str, Any]]:
        """A billing run, done by a worker; its invoices in the order in which they were made. It equals its preview."""
        preview = self.api.get(f"/billing-preview?through={through}&mode={mode}")
        before = self._invoice_ids()
        run = self.api.post("/billing-runs", {"through": through, "mode": mode})
        work(run["id"])
        run = self.api.get(f"/billing-runs/{run['id']}")
        assert (run["status"], run["parked_count"], run["problem"]) == ("finished", parked, "")
        assert (preview["invoices"], preview["total"]) == (run["invoice_count"], run["total"])
        made = sorted(self._invoice_ids() - before)
        assert len(made) == run["invoice_count"]
        return [self.api.get(f"/invoices/{pk}") for pk in made]

    def bill_work(self, through: str) -> list[dict[str, Any]]:
        """Invoices of the work that is open, closed and in the books; dated today."""
        made = self.api.post("/work-to-bill/invoices", {"through": through})
        assert made["left_out"] == []
        closed = [self.api.act(f"/invoices/{pk}/close") for pk in made["invoice_ids"]]
        if closed:
            self.transfer(through)
        return closed

    def transfer(self, through: str) -> list[dict[str, Any]]:
        """Take all that is closed to the books, in a batch; its entries."""
        batch = self.api.post("/batches", {"through": through})
        entries = self.api.get(f"/batches/{batch['id']}/entries")["entries"]
        assert entries
        assert all(not entry["reasons"] for entry in entries)
        assert self.api.act(f"/batches/{batch['id']}/transfer")["status"] == "transferred"
        return list(entries)

    def nothing_more(self, through: str) -> None:
        """There is nothing more to bill through that day, whoever asks; and the books are right."""
        preview = self.api.get(f"/billing-preview?through={through}")
        assert (preview["invoices"], preview["total"], preview["parked"]) == (0, "0.00", [])
        assert self.bill(through) == []
        assert self.api.post("/invoicing-runs", {"through": through}) == {"invoice_ids": [], "parked": []}
        assert self.api.get(f"/work-to-bill?through={through}") == []
        assert self.bill_work(through) == []
        assert self.parked() == []
        verified = self.api.get("/verify")
        assert verified["ok"], [check for check in verified["checks"] if not check["ok"]]

    def parked(self) -> list[int]:
        """The agreements that runs left out and that wait to be mended."""
        found = {row["agreement_id"] for row in self.api.get("/parked-in-runs")["items"]}
        return sorted(pk for pk in found if self.standing(pk)["parked_reason"])

    def standing(self, agreement_id: int) -> dict[str, Any]:
        """Where an agreement stands."""
        return dict(self.api.get(f"/agreements/{agreement_id}/standing?on=2026-12-31"))

    def _invoice_ids(self) -> set[int]:
        return {int(item["id"]) for item in self.api.get("/invoices?limit=200")["items"]}

    # -- the books

    def balances(self, as_of: str) -> dict[str, str]:
        """The trial balance: account code -> debit, or credit with a minus."""
        table = self.api.get(f"/reports/trial-balance?as_of={as_of}")
        rows = [dict(zip([c["key"] for c in table["columns"]], row["cells"], strict=True)) for row in table["rows"]]
        return {
            row["account"]: row["debit"] if row["debit"] not in (None, "0.00") else f"-{row['credit']}" for row in rows
        }


def lines(invoice: dict[str, Any]) -> list[Row]:
    """The lines of an invoice."""
    return [(line["description"], line["quantity"], line["amount"]) for line in invoice["lines"]]


def sums(invoice: dict[str, Any]) -> tuple[str, str, str]:
    """Date, amount before tax and total."""
    return invoice["date"], invoice["subtotal"], invoice["total"]
