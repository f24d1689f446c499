"""Which column of a vendor's file holds what: saved once, used for every file; suggested from the headings.

A mapping names for each of our fields (:data:`FIELDS`) the heading of the vendor's column. ``ProductId + SkuId`` joins
two columns with a colon; ``BillableQuantity | Quantity`` takes the first of them that the file has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final

from django.db.models import F, Q
from rapidfuzz import fuzz

from counterfoil.companies.models import Company
from counterfoil.core.errors import DomainError
from counterfoil.matching.models import ColumnMapping
from counterfoil.matching.words import read_day, read_number
from counterfoil.platform import audit
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.imports import RowError, plain_key
from counterfoil.platform.lookup import existing, locked
from counterfoil.platform.records import UNSET, Unset, change, check_fields, record_changes
from counterfoil.platform.sheets import Sheet

CLERKS: Final = (Role.PROCUREMENT, Role.FINANCE)

#: Likeness from which on a heading is taken for a field, of 100.
_LIKELY: Final = 88


@dataclass(frozen=True, slots=True)
class Field:
    """A field of ours: what it means, and what vendors call it."""

    meaning: str
    called: tuple[str, ...]


FIELDS: Final[dict[str, Field]] = {
    "customer_name": Field("The customer, as the vendor writes it", (
        "CustomerName", "Customer", "Company", "Client", "Account", "EndCustomer", "OrganizationName", "Site",
    )),
    "customer_key": Field("The vendor's key of the customer", (
        "CustomerId", "CustomerKey", "TenantId", "AccountId", "CompanyId",
    )),
    "product_name": Field("The product, as the vendor writes it", (
        "ProductName", "Product", "SkuName", "Description", "Item", "ItemDescription", "Service", "Plan", "OfferName",
    )),
    "vendor_sku": Field("The vendor's key of the product", (
        "VendorSku", "Sku", "SkuId", "PartNumber", "ItemNumber", "OfferId", "ManufacturerPartNumber", "ProductCode",
    )),
    "subscription": Field("The vendor's key of the subscription", (
        "SubscriptionId", "Subscription", "SubscriptionNumber", "ContractNumber",
    )),
    "quantity": Field("How many; a credit may be negative here, or in the amount", (
        "BillableQuantity", "Quantity", "Qty", "Seats", "Licenses", "Licences", "Units", "Count", "Endpoints",
        "Devices",
    )),
    "unit_cost": Field("What one costs us", (
        "UnitCost", "UnitPrice", "Price", "Cost", "Rate", "EffectiveUnitPrice", "PartnerPrice",
    )),
    "amount": Field("What the line costs us, before tax", (
        "Subtotal", "Amount", "LineTotal", "ExtendedPrice", "ExtendedCost", "Total", "NetAmount",
    )),
    "charge_type": Field("What kind of charge: new, cycle, credit", ("ChargeType", "TransactionType", "Type")),
    "charge_start": Field("First day charged for", (
        "ChargeStartDate", "StartDate", "PeriodStart", "ServiceStart", "From",
    )),
    "charge_end": Field("Last day charged for", ("ChargeEndDate", "EndDate", "PeriodEnd", "ServiceEnd", "To")),
    "term": Field("What it is committed to: 1 year, P1Y", (
        "TermAndBillingCycle", "Term", "CommitmentTerm", "TermDuration", "Commitment",
    )),
    "billing_cycle": Field("How often the vendor bills it: monthly", (
        "BillingFrequency", "BillingCycle", "Frequency", "BillingPlan",
    )),
    "invoice_number": Field("Number of the vendor's invoice", (
        "InvoiceNumber", "Invoice", "InvoiceNo", "BillNumber", "DocumentNumber",
    )),
    "invoice_date": Field("Date of the vendor's invoice", ("InvoiceDate", "BillDate", "DocumentDate")),
    "purchase_order": Field("Our purchase order, or the vendor's number of it", (
        "PurchaseOrder", "PONumber", "CustomerPO", "YourReference", "OrderReference",
    )),
}  # fmt: skip

#: Microsoft's new-commerce reconciliation file: its columns as Microsoft documents them. The quantity to reconcile by
#: is BillableQuantity; a SKU is a product and a SKU within it.
MICROSOFT: Final = "Microsoft new commerce, licence-based"
BUILT_IN: Final[dict[str, dict[str, str]]] = {
    MICROSOFT: {
        "customer_name": "CustomerName",
        "customer_key": "CustomerId",
        "product_name": "SkuName | ProductName",
        "vendor_sku": "ProductId + SkuId",
        "subscription": "SubscriptionId",
        "quantity": "BillableQuantity | Quantity",
        "unit_cost": "UnitPrice | EffectiveUnitPrice",
        "amount": "Subtotal",
        "charge_type": "ChargeType",
        "charge_start": "ChargeStartDate",
        "charge_end": "ChargeEndDate",
        "term": "TermAndBillingCycle",
        "billing_cycle": "BillingFrequency",
        "invoice_number": "InvoiceNumber",
    }
}

refuse_as("matching_columnmapping_name_key", "duplicate", "There is a mapping of that name already.")


# -- reading a file by a mapping ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class MappedRow:
    """A row of the vendor's file by our fields. Reading a wrong cell notes the mistake, so that all are found."""

    number: int
    values: dict[str, str]
    headings: Mapping[str, str]
    errors: list[RowError] = field(default_factory=list)

    def text(self, name: str, longest: int) -> str:
        """The cell, cut to what is kept of it."""
        return self.values.get(name, "")[:longest]

    def amount(self, name: str, places: int) -> Decimal:
        """A number; zero when empty."""
        try:
            return read_number(self.values.get(name, ""), name, places=places)
        except DomainError as error:
            self.wrong(name, error.message, error.hint)
            return Decimal(0)

    def day(self, name: str) -> date | None:
        """A day; ``None`` when empty."""
        try:
            return read_day(self.values.get(name, ""), name)
        except DomainError as error:
            self.wrong(name, error.message, error.hint)
            return None

    def wrong(self, name: str, message: str, hint: str | None = None) -> None:
        """Note a mistake, under the vendor's heading."""
        self.errors.append(RowError(self.number, self.headings.get(name, name), message, hint or ""))


def mapped_rows(sheet: Sheet, columns: Mapping[str, str], needed: Iterable[tuple[str, ...]]) -> list[MappedRow]:
    """The rows of a file by our fields.

    Args:
        sheet: the file.
        columns: the mapping.
        needed: fields of which one each must be in the file.

    Raises:
        DomainError: ``import_rows_invalid`` when a needed column is not in the file.
    """
    by_key = {plain_key(heading): heading for heading in sheet.headings}
    readers: dict[str, list[str]] = {}
    for name, asked in columns.items():
        if found := _headings(asked, by_key):
            readers[name] = found
    for names in needed:
        if not any(name in readers for name in names):
            asked = columns.get(names[0], "")
            raise DomainError(
                "import_rows_invalid",
                f"The column {asked} is not in the file." if asked else f"No column is chosen for {_spoken(names)}.",
                field="file",
                hint=f"Its columns are {', '.join(sheet.headings[:40])}. Choose another mapping, or change it.",
            )
    shown = {name: " + ".join(found) for name, found in readers.items()}
    return [
        MappedRow(row.number, {name: _cell(row.cells, found) for name, found in readers.items()}, shown)
        for row in sheet.rows
    ]


def _headings(asked: str, by_key: Mapping[str, str]) -> list[str]:
    """The file's columns that a mapping's words ask for: one, several to join, or none."""
    if whole := by_key.get(plain_key(asked)):
        return [whole]
    for option in asked.split(" | "):
        parts = [by_key.get(plain_key(part)) for part in option.split(" + ")]
        if all(parts):
            return [part for part in parts if part]
    return []


def _cell(cells: Mapping[str, str], headings: Sequence[str]) -> str:
    if len(headings) == 1:
        return cells.get(headings[0], "")
    return ":".join(part for part in (cells.get(heading, "") for heading in headings) if part)


def _spoken(names: Sequence[str]) -> str:
    return " or ".join(name.replace("_", " ") for name in names)


# -- which mapping -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MappingRow:
    """A mapping there is to choose; ``id`` is empty for a ready one that is not installed yet."""

    id: int | None
    name: str
    vendor_id: int | None
    vendor: str
    columns: dict[str, str]
    built_in: bool


def mappings(*, vendor_id: int | None = None) -> list[MappingRow]:
    """The mappings to choose from: the vendor's own first, then those for any vendor and the ready ones."""
    rows = ColumnMapping.objects.select_related("vendor")
    if vendor_id is not None:
        rows = rows.filter(Q(vendor=vendor_id) | Q(vendor=None))
    found = [
        MappingRow(
            row.pk, row.name, row.vendor_id, row.vendor.name if row.vendor else "", row.columns, row.built_in
        )
        for row in rows.order_by(F("vendor_id").asc(nulls_last=True), "name")
    ]  # fmt: skip
    there = {row.name for row in found}
    ready = (MappingRow(None, name, None, "", dict(columns), True) for name, columns in BUILT_IN.items())
    return found + [row for row in ready if row.name not in there]


def columns_of(mapping: str, *, vendor_id: int, headings: Sequence[str]) -> dict[str, str]:
    """The columns of a mapping by its name; without a name, those that the headings suggest.

    Raises:
        DomainError: ``not_found``.
    """
    if not mapping.strip():
        return suggest(headings, vendor_id=vendor_id).columns
    for row in mappings():
        if row.name.casefold() == mapping.strip().casefold():
            return row.columns
    raise DomainError(
        "not_found", f"There is no column mapping “{mapping}”.", field="mapping",
        hint=f"There are {', '.join(row.name for row in mappings(vendor_id=vendor_id))}.",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Suggested:
    """Columns suggested for a file; ``mapping`` is the saved one that fits, if any."""

    mapping: str
    columns: dict[str, str]


def suggest(headings: Sequence[str], *, vendor_id: int | None = None) -> Suggested:
    """Which column holds what, from the headings: a mapping of which every column is there, else by their names."""
    by_key = {plain_key(heading): heading for heading in headings}
    for row in mappings(vendor_id=vendor_id):
        if row.columns and all(_headings(asked, by_key) for asked in row.columns.values()):
            return Suggested(row.name, row.columns)
    columns: dict[str, str] = {}
    free = dict(by_key)
    for likely in (100, _LIKELY):  # what is called exactly so goes first
        for name, our in FIELDS.items():
            if name in columns or not free:
                continue
            scored = [
                (fuzz.ratio(plain_key(word), key), -place, key) for place, word in enumerate(our.called) for key in free
            ]
            score, _, key = max(scored)
            if score >= likely:
                columns[name] = free.pop(key)
    return Suggested("", columns)


# -- keeping them ------------------------------------------------------------------------------------------------------


@command(roles=CLERKS)
def create_column_mapping(
    *, actor: Actor, name: str, columns: Mapping[str, str], vendor_id: int | None = None
) -> ColumnMapping:
    """Save which column of a vendor's files holds what.

    Args:
        actor: who saves it.
        name: to choose it by.
        columns: our field -> the heading of their column.
        vendor_id: whose files; empty: anybody's.

    Raises:
        DomainError: ``required``; ``invalid`` for a field we do not have; ``duplicate`` name; ``not_found``.
    """
    if vendor_id is not None:
        existing(Company.objects.all(), vendor_id, "vendor_id")
    mapping = ColumnMapping(name=name.strip(), vendor_id=vendor_id, columns=_checked(columns))
    check_fields(mapping, relations=False)
    _refuse_ready(mapping.name)
    mapping.save()
    audit.record(actor, "matching.column_mapping.created", f"saved the column mapping {mapping.name}", mapping)
    return mapping


@command(roles=CLERKS)
def update_column_mapping(
    *,
    actor: Actor,
    column_mapping_id: int,
    name: str | Unset = UNSET,
    columns: Mapping[str, str] | Unset = UNSET,
    vendor_id: int | Unset | None = UNSET,
) -> ColumnMapping:
    """Change a saved mapping; what is not given stays.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` for a ready one; and what :func:`create_column_mapping` refuses.
    """
    mapping = _own(column_mapping_id)
    if isinstance(vendor_id, int):
        existing(Company.objects.all(), vendor_id, "vendor_id")
    if isinstance(name, str):
        _refuse_ready(name.strip())
    changes = change(
        mapping,
        name=name.strip() if isinstance(name, str) else UNSET,
        columns=UNSET if columns is UNSET else _checked(columns),
        vendor_id=vendor_id,
    )
    check_fields(mapping, relations=False)
    mapping.save()
    deed = f"changed the column mapping {mapping.name}"
    record_changes(actor, "matching.column_mapping.changed", deed, changes, mapping)
    return mapping


@command(roles=CLERKS)
def delete_column_mapping(*, actor: Actor, column_mapping_id: int) -> None:
    """Delete a saved mapping; files that were imported by it stay.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` for a ready one.
    """
    mapping = _own(column_mapping_id)
    audit.record(actor, "matching.column_mapping.deleted", f"deleted the column mapping {mapping.name}", mapping)
    mapping.delete()


@command(roles=(Role.OWNER,))
def install_column_mappings(*, actor: Actor) -> list[ColumnMapping]:
    """Save the ready mappings that are not there yet, and bring those that are up to date."""
    rows = [
        ColumnMapping.objects.update_or_create(name=name, defaults={"columns": columns, "built_in": True})[0]
        for name, columns in BUILT_IN.items()
    ]
    audit.record(actor, "matching.column_mapping.installed", f"installed {len(rows)} ready column mappings")
    return rows


def _own(pk: int) -> ColumnMapping:
    mapping = locked(ColumnMapping.objects.all(), pk)
    if mapping.built_in:
        raise DomainError(
            "wrong_state", f"{mapping.name} comes with Counterfoil and stays as it is.",
            hint="Save a mapping of another name.",
        )  # fmt: skip
    return mapping


def _refuse_ready(name: str) -> None:
    if name.casefold() in {ready.casefold() for ready in BUILT_IN}:
        raise DomainError("duplicate", f"{name} is the name of a ready mapping.", field="name", hint="Choose another.")


def _checked(columns: Mapping[str, str]) -> dict[str, str]:
    """The columns without empty ones, refused where they name no field of ours or one heading twice."""
    kept = {name: heading.strip() for name, heading in columns.items() if heading.strip()}
    for name, heading in kept.items():
        if name not in FIELDS:
            raise DomainError(
                "invalid", f"There is no field {name}.", field="columns", hint=f"There are {', '.join(FIELDS)}."
            )
        if len(heading) > 200:
            raise DomainError("invalid", f"The heading of {name} is longer than 200 characters.", field="columns")
    if not kept:
        raise DomainError("required", "Choose the column of at least one field.", field="columns")
    return kept
