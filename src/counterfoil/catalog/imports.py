"""Products from a CSV file: preview, then all or nothing.

A row is a product, recognised by its identifier (capitals do not matter); what is there already is updated. Categories
and subcategories that are not there yet are added, and the preview names them. The columns are those of
:func:`columns`; ``identifier``, ``description``, ``class`` and ``category`` must be there:

    identifier            the product's key, as it stands on documents
    description           one line
    customer_description  what the customer reads
    class                 Agreement, Bundle, Inventory, NonInventory or Service
    type                  InventoryPart, NonInventoryPart, OtherCharge or Service; empty: what goes with the class
    category              drives the GL accounts; added when it is not there
    subcategory           of the category; added when it is not there
    unit_of_measure       of cost and price; empty: each
    cost                  per unit; empty: 0
    price                 per unit, of agreement products per billing cycle; empty: 0
    taxable               whether sales tax applies; empty: yes
    serialized            whether each unit has a serial number (goods only); empty: no
    vendor                identifier of a vendor that is there
    vendor_sku            the vendor's key of it
    special_order         buy the full quantity whatever is in stock; empty: no
    drop_ship             the vendor ships to the customer (not Inventory); empty: no
    billing_cycle         of agreement products: monthly, quarterly, yearly, month:5, ...
    active                whether it can be quoted and ordered; empty: yes
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from counterfoil.catalog import policies
from counterfoil.catalog.models import AccountingType, Category, Product, ProductClass, Subcategory
from counterfoil.companies.models import Company
from counterfoil.core.errors import DomainError
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.imports import (
    Cells,
    Column,
    Deed,
    ImportPreview,
    ImportResult,
    PlannedRow,
    RowError,
    plain_key,
    read_table,
    refuse_errors,
    write_over,
)
from counterfoil.platform.records import UNSET, Changes, Unset, change, changes_in_words, field_problems

_COLUMNS: Final = (
    Column("identifier", "The product's key, as it stands on documents", required=True, example="SRV-01"),
    Column("description", "One line", required=True, example="Rack server"),
    Column("customer_description", "What the customer reads", example="Rack server, 5 years on-site service"),
    Column("class", "Agreement, Bundle, Inventory, NonInventory or Service", required=True, example="Inventory"),
    Column(
        "type",
        "InventoryPart, NonInventoryPart, OtherCharge or Service",
        default="what goes with the class",
        example="InventoryPart",
    ),
    Column("category", "Drives the GL accounts; added when it is not there", required=True, example="Hardware"),
    Column("subcategory", "Of the category; added when it is not there", example="Servers"),
    Column("unit_of_measure", "Of cost and price", default="each", example="each"),
    Column("cost", "Per unit", default="0", example="3600.00"),
    Column("price", "Per unit; of agreement products per billing cycle", default="0", example="4500.00"),
    Column("taxable", "Whether sales tax applies", default="yes", example="yes"),
    Column("serialized", "Whether each unit has a serial number (goods only)", default="no", example="yes"),
    Column("vendor", "Identifier of a vendor that is there"),
    Column("vendor_sku", "The vendor's key of it", example="SRV-9"),
    Column("special_order", "Buy the full quantity whatever is in stock", default="no", example="no"),
    Column("drop_ship", "The vendor ships to the customer (not Inventory)", default="no", example="no"),
    Column("billing_cycle", "Of agreement products: monthly, quarterly, yearly, month:5, ..."),
    Column("active", "Whether it can be quoted and ordered", default="yes", example="yes"),
)
_CLASSES: Final = {plain_key(word): kind.value for kind in ProductClass for word in (kind.value, kind.label)}
_TYPES: Final = {plain_key(word): kind.value for kind in AccountingType for word in (kind.value, kind.label)} | {
    "inventory": AccountingType.INVENTORY_PART.value,
    "noninventory": AccountingType.NON_INVENTORY_PART.value,
}

#: Field of the record -> column of the file, where they differ.
_NAMES: Final = {"product_class": "class", "accounting_type": "type", "vendor_id": "vendor"}


def columns() -> tuple[Column, ...]:
    """The columns of the file, for documents, command line and page."""
    return _COLUMNS


def preview_products(*, content: bytes) -> ImportPreview:
    """What importing the file would do, the categories it would add included; nothing is written.

    Raises:
        DomainError: ``import_rows_invalid`` when the file as a whole cannot be read.
    """
    return _plan(content).preview()


@command(roles=(Role.SALES, Role.PROCUREMENT, Role.FINANCE))
def import_products(*, actor: Actor, content: bytes, filename: str = "") -> ImportResult:
    """Create and update the products of a file, all or none.

    Raises:
        DomainError: ``import_rows_invalid``, with every mistake in ``details``.
    """
    plan = _plan(content, lock=True)
    refuse_errors(plan.errors, len(plan.rows))
    plan.write()
    for row in plan.rows:
        if row.deed == "create":
            audit.record(actor, "catalog.product.created", f"imported: {row.said()}", row.product)
        elif row.deed == "update":
            said = f"changed by import: {row.said()}: {changes_in_words(row.changes)}"
            audit.record(actor, "catalog.product.changed", said, row.product)
    preview = plan.preview()
    result = ImportResult(preview.count("create"), preview.count("update"), preview.count("unchanged"), preview.also)
    with_also = f", with {', '.join(result.also)}" if result.also else ""
    audit.record(
        actor,
        "catalog.imported",
        f"imported products from {filename or 'a file'}: {result.created} created, {result.updated} updated,"
        f" {result.unchanged} unchanged{with_also}",
        sha256=sha256(content).hexdigest(),
    )
    return result


# -- the plan ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Row:
    """A row with the product it makes or changes."""

    cells: Cells
    product: Product
    changes: Changes = field(default_factory=dict)
    deed: Deed = "unchanged"

    def said(self) -> str:
        return f"{self.product.identifier}, {self.product.description}"


@dataclass(slots=True)
class _Plan:
    rows: list[_Row]
    categories: list[Category]
    subcategories: list[Subcategory]

    @property
    def errors(self) -> list[RowError]:
        return [error for row in self.rows for error in row.cells.errors]

    def preview(self) -> ImportPreview:
        rows = (
            PlannedRow(
                row.cells.row,
                row.deed,
                row.product.identifier,
                row.product.description,
                changes_in_words(row.changes) if row.deed == "update" else "",
            )
            for row in self.rows
        )
        also = [f"category {category.name}" for category in self.categories]
        also += [f"subcategory {new.category.name} / {new.name}" for new in self.subcategories]
        return ImportPreview(tuple(rows), tuple(self.errors), tuple(also))

    def write(self) -> None:
        """A statement each for categories, subcategories, new products and changed ones, however many rows."""
        Category.objects.bulk_create(self.categories)
        for subcategory in self.subcategories:
            subcategory.category = subcategory.category  # takes over the key it has now
        Subcategory.objects.bulk_create(self.subcategories)
        for row in self.rows:
            row.product.category = row.product.category
            row.product.subcategory = row.product.subcategory
        Product.objects.bulk_create([row.product for row in self.rows if row.deed == "create"])
        write_over([row.product for row in self.rows if row.deed == "update"])


# -- reading -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Known:
    """What is there already, by casefolded name, and the categories that the file adds."""

    products: dict[str, Product]
    vendors: dict[str, Company]
    categories: dict[str, Category]
    subcategories: dict[tuple[str, str], Subcategory]
    new_categories: list[Category] = field(default_factory=list)
    new_subcategories: list[Subcategory] = field(default_factory=list)


def _known(*, lock: bool) -> _Known:
    rows = Product.objects.order_by("pk")
    subcategories = {
        (row.category.name.casefold(), row.name.casefold()): row
        for row in Subcategory.objects.select_related("category")
    }
    categories = {row.name.casefold(): row for row in Category.objects.all()}
    known = _Known(
        products={row.identifier.casefold(): row for row in (rows.select_for_update(no_key=True) if lock else rows)},
        vendors={row.identifier.casefold(): row for row in Company.objects.all()},
        categories=categories,
        subcategories=subcategories,
    )
    by_id = {row.pk: row for row in categories.values()}
    subs_by_id = {row.pk: row for row in subcategories.values()}
    for product in known.products.values():  # so that comparing them asks the database nothing
        product.category = by_id[product.category_id]
        product.subcategory = subs_by_id[product.subcategory_id] if product.subcategory_id else None
    return known


def _plan(content: bytes, *, lock: bool = False) -> _Plan:
    table = read_table(content, _COLUMNS)
    known = _known(lock=lock)
    rows: list[_Row] = []
    first_row: dict[str, int] = {}
    for cells in table:
        name = cells.given("identifier")
        key = name.casefold()
        product = known.products.get(key) or Product(identifier=name)
        if key and key in first_row:
            cells.wrong("identifier", f"“{name}” is in row {first_row[key]} already.", "Keep one row for each product.")
            product = Product(identifier=name)
        first_row.setdefault(key, cells.row)
        rows.append(_read_row(cells, product, known))
    _check_used(rows)
    return _Plan(rows, known.new_categories, known.new_subcategories)


def _read_row(cells: Cells, product: Product, known: _Known) -> _Row:
    row = _Row(cells, product)
    category = _category(cells, known)
    if category is not None and product._state.adding:
        product.category = category
    product_class = cells.choice("class", _CLASSES, "")
    row.changes = change(
        product,
        description=cells.text("description"),
        customer_description=cells.text("customer_description"),
        product_class=product_class,
        accounting_type=_accounting_type(cells, product, product_class),
        subcategory=_subcategory(cells, product, category, known) if category else UNSET,
        category=category or UNSET,
        unit_of_measure=cells.text("unit_of_measure", "each"),
        cost=cells.amount("cost"),
        price=cells.amount("price"),
        taxable=cells.flag("taxable", default=True),
        serialized=cells.flag("serialized", default=False),
        vendor_id=_vendor_id(cells, known),
        vendor_sku=cells.text("vendor_sku"),
        special_order=cells.flag("special_order", default=False),
        drop_ship=cells.flag("drop_ship", default=False),
        billing_cycle=_cycle(cells),
        active=cells.flag("active", default=True),
    )
    if not cells.given("class"):
        cells.wrong("class", "Enter the class.", f"Write {' or '.join(ProductClass.values)}.")
    for problem in field_problems(product):
        column = _NAMES.get(problem.field or "", problem.field or "")
        if not any(error.column in {column, "class"} for error in cells.errors):
            cells.wrong(column, problem.message, problem.hint)
    if not cells.errors:
        _check_consistent(cells, product)
    if product._state.adding:
        row.deed = "create"
    elif row.changes:
        row.deed = "update"
    return row


def _check_consistent(cells: Cells, product: Product) -> None:
    try:
        policies.ensure_consistent(product)
    except DomainError as error:
        cells.wrong(_NAMES.get(error.field or "", error.field or ""), error.message, error.hint)


def _accounting_type(cells: Cells, product: Product, product_class: str | Unset) -> str | Unset:
    """The type of the row; what goes with the class where the cell is empty, and where the class is new."""
    new_class = product._state.adding or product_class != product.product_class
    default = policies.DEFAULT_ACCOUNTING_TYPES.get(str(product_class), "")
    chosen = cells.choice("type", _TYPES, default)
    return default if chosen is UNSET and new_class else chosen


def _vendor_id(cells: Cells, known: _Known) -> int | Unset | None:
    vendor = cells.lookup("vendor", known.vendors, "company")
    if vendor is None or vendor is UNSET:
        return vendor
    if not vendor.is_vendor or not vendor.active:
        what = "is not a vendor" if vendor.active else "is not active"
        cells.wrong("vendor", f"{vendor.name} {what}.", "Change the company, or name another.")
    return vendor.pk


def _cycle(cells: Cells) -> str | Unset:
    text = cells.text("billing_cycle")
    if not text or text is UNSET:
        return text
    try:
        return policies.cycle_code(text)
    except DomainError as error:
        cells.wrong("billing_cycle", error.message, error.hint)
        return ""


def _category(cells: Cells, known: _Known) -> Category | None:
    name = cells.given("category")
    if not name:
        cells.wrong("category", "Enter the category.", "It decides which GL accounts the product goes to.")
        return None
    category = known.categories.get(name.casefold())
    if category is None:
        category = known.categories[name.casefold()] = Category(name=name)
        known.new_categories.append(category)
        _note(cells, "category", category)
    return category


def _subcategory(cells: Cells, product: Product, category: Category, known: _Known) -> Subcategory | Unset | None:
    if "subcategory" not in cells.values:
        return UNSET if product.category is category else None  # a division of the former category no longer fits
    name = cells.given("subcategory")
    if not name:
        return None
    key = (category.name.casefold(), name.casefold())
    if (subcategory := known.subcategories.get(key)) is None:
        subcategory = known.subcategories[key] = Subcategory(category=category, name=name)
        known.new_subcategories.append(subcategory)
        _note(cells, "subcategory", subcategory)
    return subcategory


def _note(cells: Cells, column: str, record: Any) -> None:
    for problem in field_problems(record):
        cells.wrong(column, problem.message, problem.hint)


def _check_used(rows: list[_Row]) -> None:
    """As :func:`counterfoil.catalog.policies.ensure_unused`, with one query for each kind of document."""
    moving = [row for row in rows if row.product.pk and row.changes.keys() & policies.FIXED_ONCE_USED.keys()]
    used = policies.used_among([row.product.pk for row in moving]) if moving else set()
    for row in moving:
        for name, words in policies.FIXED_ONCE_USED.items():
            if name in row.changes and row.product.pk in used:
                row.cells.wrong(
                    _NAMES.get(name, name), policies.stays(row.product, words), "Make a new product instead."
                )
