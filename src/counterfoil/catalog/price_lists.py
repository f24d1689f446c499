"""Vendors' price lists from CSV or XLSX: what changes is shown, then all of it is taken over, or nothing.

A row is an offer of the vendor: a product for a term, billed so often. The product is found by its identifier, else by
the vendor's SKU. Headings are those of :func:`columns` or what vendors call them (Microsoft's price sheets can be read
as they are); other columns are passed over. Cost and price are per unit and billing cycle.

Of a row whose offer is there, cost and price are changed; with an ``effective_from`` after the one that is there, the
former offer ends the day before and the new one follows it. An empty price leaves the price as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Final, Literal

from counterfoil.catalog import policies
from counterfoil.catalog.models import Category, Offer, Product, ProductClass
from counterfoil.catalog.offers import SELLING, ensure_sellable, follows, succeed
from counterfoil.catalog.prices import offer_name
from counterfoil.companies.models import Company
from counterfoil.companies.policies import ensure_vendor
from counterfoil.core.bills import price_text, quantity_text
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, round_to
from counterfoil.core.pricing.margin import change_of, price_by_markup
from counterfoil.core.pricing.terms import read_frequency, read_length
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor
from counterfoil.platform.imports import (
    Cells,
    Column,
    ImportPreview,
    ImportResult,
    PlannedRow,
    RowError,
    plain_key,
    refuse_errors,
    write_over,
)
from counterfoil.platform.records import UNSET, fetch, field_problems, refuse_negative
from counterfoil.platform.sheets import read_sheet

PriceDeed = Literal["create", "update", "follow", "end", "unchanged"]

_COLUMNS: Final = (
    Column("vendor_sku", "The vendor's key of the offer", default="the product must be named", example="CFQ7TTC0LCHC"),
    Column(
        "product",
        "Identifier of the product; another name leaves it to the SKU",
        default="found by the vendor's SKU",
        example="M365-BP",
    ),
    Column("description", "One line, for products that are made", example="Microsoft 365 Business Premium"),
    Column("term", "How long it binds: 1 year, P1Y, monthly, month:1", default="any term", example="1 year"),
    Column(
        "billing_frequency",
        "How often it is billed; upfront is the whole term",
        default="as the product is billed",
        example="monthly",
    ),
    Column("cost", "What you pay, per unit and billing cycle", required=True, example="18.48"),
    Column(
        "price", "What you sell it for, likewise", default="as it was; of a new offer cost and markup", example="23.10"
    ),
    Column("effective_from", "First day of cost and price", default="at once", example="2026-07-01"),
)

#: What vendors call the columns, without capitals, blanks and hyphens.
_ALSO_CALLED: Final = {
    "vendor_sku": ("sku", "skuid", "partnumber", "vendorpartnumber", "manufacturerpartnumber", "mpn", "offerid"),
    "product": ("productidentifier", "identifier", "item", "itemid"),
    "description": ("skutitle", "productname", "title", "name", "productdescription"),
    "term": ("termduration", "termlength", "commitment", "commitmentterm"),
    "billing_frequency": ("billingplan", "billing", "billingcycle", "frequency", "billingterm"),
    "cost": ("unitprice", "partnerprice", "resellerprice", "dealerprice", "netprice", "unitcost", "customerprice"),
    "price": ("listprice", "erpprice", "msrp", "rrp", "srp", "retailprice", "suggestedprice"),
    "effective_from": ("effectivestartdate", "effectivedate", "startdate", "validfrom"),
}
_HEADINGS: Final = {
    plain_key(name): column.name for column in _COLUMNS for name in (column.name, *_ALSO_CALLED[column.name])
}


def columns() -> tuple[Column, ...]:
    """The columns that are read, for documents, command line and page."""
    return _COLUMNS


@dataclass(frozen=True, slots=True)
class PriceLine:
    """What a price list does to one offer. ``row`` is 0 for an offer that the list no longer has."""

    row: int
    deed: PriceDeed
    product: str
    offer: str
    vendor_sku: str
    old_cost: Decimal | None
    unit_cost: Decimal
    cost_change: Decimal | None
    old_price: Decimal | None
    unit_price: Decimal
    price_change: Decimal | None
    effective_from: date | None

    @property
    def in_words(self) -> str:
        """``cost 17.60 → 18.48 (+5 %), price 22.00 → 23.10 (+5 %), from 1 Jul 2026``."""
        if self.deed == "end":
            return "ends"
        said = [
            *_moved("cost", self.old_cost, self.unit_cost, self.cost_change),
            *_moved("price", self.old_price, self.unit_price, self.price_change),
        ]
        if said and self.effective_from is not None:
            said.append(f"from {format_date(self.effective_from)}")
        return ", ".join(said)


@dataclass(frozen=True, slots=True)
class PriceListPreview(ImportPreview):
    """What a price list would do, offer by offer; ``dearer`` and ``cheaper`` count costs that move."""

    lines: tuple[PriceLine, ...] = ()

    @property
    def dearer(self) -> int:
        """How many offers cost more."""
        return sum(line.old_cost is not None and line.unit_cost > line.old_cost for line in self.lines)

    @property
    def cheaper(self) -> int:
        """How many offers cost less."""
        return sum(line.old_cost is not None and line.unit_cost < line.old_cost for line in self.lines)

    @property
    def ended(self) -> int:
        """How many offers end."""
        return sum(line.deed == "end" for line in self.lines)


def preview_price_list(
    *,
    content: bytes,
    vendor_id: int,
    on: date,
    create_products: bool = False,
    category_id: int | None = None,
    end_missing: bool = False,
    markup: Decimal = ZERO,
) -> PriceListPreview:
    """What taking over the price list would do, with its mistakes; nothing is written.

    Raises:
        DomainError: ``import_rows_invalid`` when the file as a whole cannot be read; ``not_found``, ``invalid`` for the
            vendor or category.
    """
    wanted = _Wanted(_vendor(vendor_id), on, create_products, _category(category_id), end_missing, markup)
    return _plan(content, wanted).preview()


@command(roles=SELLING)
def import_price_list(
    *,
    actor: Actor,
    content: bytes,
    vendor_id: int,
    on: date,
    filename: str = "",
    create_products: bool = False,
    category_id: int | None = None,
    end_missing: bool = False,
    markup: Decimal = ZERO,
) -> ImportResult:
    """Take over a vendor's price list, all rows or none: offers are made, changed, followed by new ones, and ended.

    Args:
        actor: who takes it over.
        content: the CSV or XLSX file.
        vendor_id: whose list it is.
        on: the day; offers that are no longer listed end the day before.
        filename: for the audit trail.
        create_products: make the products that are not there: of class Agreement where they are billed again and again,
            else non-inventory.
        category_id: of the products that are made.
        end_missing: end the vendor's offers that the list does not have.
        markup: per cent on cost for new offers without a price.

    Raises:
        DomainError: ``import_rows_invalid``, with every mistake in ``details``; ``not_found``, ``invalid``.
    """
    wanted = _Wanted(_vendor(vendor_id), on, create_products, _category(category_id), end_missing, markup)
    plan = _plan(content, wanted, lock=True)
    refuse_errors(plan.errors, len(plan.rows))
    plan.write()
    plan.record(actor)
    preview = plan.preview()
    result = ImportResult(preview.count("create"), preview.count("update"), preview.count("unchanged"), preview.also)
    audit.record(
        actor,
        "catalog.price_list.imported",
        f"took over the price list {filename or 'of a file'} of {wanted.vendor.name}: {result.created} offers created,"
        f" {result.updated} updated, {preview.ended} ended, {result.unchanged} unchanged",
        wanted.vendor,
        sha256=sha256(content).hexdigest(),
    )
    return result


def vendor_named(identifier: str) -> Company:
    """The company of that identifier.

    Raises:
        DomainError: ``not_found``.
    """
    found = Company.objects.filter(identifier__iexact=identifier.strip()).first()
    if found is None:
        raise DomainError("not_found", f"There is no company “{identifier}”.", field="vendor")
    return found


def category_named(name: str) -> Category:
    """The category of that name.

    Raises:
        DomainError: ``not_found``.
    """
    found = Category.objects.filter(name__iexact=name.strip()).first()
    if found is None:
        raise DomainError("not_found", f"There is no category “{name}”.", field="category")
    return found


def _vendor(vendor_id: int) -> Company:
    vendor = fetch(Company, vendor_id, field="vendor_id")
    ensure_vendor(vendor)
    return vendor


def _category(category_id: int | None) -> Category | None:
    return None if category_id is None else fetch(Category, category_id, field="category_id")


# -- the plan ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked of the import."""

    vendor: Company
    on: date
    create_products: bool
    category: Category | None
    end_missing: bool
    markup: Decimal

    def __post_init__(self) -> None:
        refuse_negative({"markup": self.markup})
        if self.create_products and self.category is None:
            raise DomainError(
                "required", "Choose the category of the products that are made.", field="category_id",
                hint="It decides which GL accounts they go to.",
            )  # fmt: skip


@dataclass(slots=True)
class _Row:
    """A row with the offer as it will be, and what it is now."""

    cells: Cells
    deed: PriceDeed = "unchanged"
    offer: Offer | None = None
    former: Offer | None = None
    old_cost: Decimal | None = None
    old_price: Decimal | None = None

    def line(self) -> PriceLine | None:
        """What is shown of it; nothing of a row that could not be read."""
        return (
            None if self.offer is None else _line(self.cells.row, self.deed, self.offer, self.old_cost, self.old_price)
        )


@dataclass(slots=True)
class _Plan:
    wanted: _Wanted
    rows: list[_Row]
    new_products: list[Product]
    ended: list[Offer]
    passed_over: tuple[str, ...]

    @property
    def errors(self) -> list[RowError]:
        return [error for row in self.rows for error in row.cells.errors]

    def preview(self) -> PriceListPreview:
        lines = [line for row in self.rows if (line := row.line()) is not None]
        lines += [_line(0, "end", offer, offer.cost, offer.price) for offer in self.ended]
        rows = (
            PlannedRow(
                line.row,
                "create" if line.deed in {"create", "follow"} else "update" if line.deed == "update" else "unchanged",
                line.product,
                f"{line.offer} {line.vendor_sku}".strip(),
                line.in_words,
            )
            for line in lines
            if line.deed != "end"
        )
        also = [f"product {product.identifier}" for product in self.new_products]
        also += [f"ends {offer.product.identifier} {offer_name(offer)}" for offer in self.ended]
        also += [f"column {name} is not read" for name in self.passed_over]
        return PriceListPreview(tuple(rows), tuple(self.errors), tuple(also), tuple(lines))

    def write(self) -> None:
        """A statement each for new products, new offers and changed ones, however many rows."""
        Product.objects.bulk_create(self.new_products)
        changed = [row.offer for row in self.rows if row.deed == "update" and row.offer]
        for row in self.rows:
            if row.deed == "follow" and row.former and row.offer and row.offer.effective_from:
                succeed(row.former, row.offer.effective_from)
                changed.append(row.former)
        write_over([*changed, *self.ended])
        made = [row.offer for row in self.rows if row.deed in {"create", "follow"} and row.offer]
        for offer in made:
            offer.product = offer.product  # takes over the key it has now
        Offer.objects.bulk_create(made)

    def record(self, actor: Actor) -> None:
        """What was done to each offer, for the audit trail."""
        for product in self.new_products:
            audit.record(actor, "catalog.product.created", f"made by price list: {product.identifier}", product)
        for row in self.rows:
            if row.offer is None or row.deed == "unchanged" or (line := row.line()) is None:
                continue
            deed = "changed" if row.deed == "update" else "created"
            said = f"{deed} by price list: {line.product} {line.offer}: {line.in_words}"
            audit.record(actor, f"catalog.offer.{deed}", said, row.offer)
        for offer in self.ended:
            said = f"ended by price list: {offer.product.identifier} {offer_name(offer)}"
            audit.record(actor, "catalog.offer.changed", said, offer)


def _line(row: int, deed: PriceDeed, offer: Offer, old_cost: Decimal | None, old_price: Decimal | None) -> PriceLine:
    return PriceLine(
        row=row,
        deed=deed,
        product=offer.product.identifier,
        offer=offer_name(offer),
        vendor_sku=offer.vendor_sku,
        old_cost=old_cost,
        unit_cost=offer.cost,
        cost_change=_percent(old_cost, offer.cost),
        old_price=old_price,
        unit_price=offer.price,
        price_change=_percent(old_price, offer.price),
        effective_from=offer.effective_from,
    )


def _percent(old: Decimal | None, new: Decimal) -> Decimal | None:
    """By how many per cent it moves, to one decimal; nothing where it stays or was not there."""
    if old is None or old == new or (share := change_of(old, new)) is None:
        return None
    return round_to(share, 1)


def _moved(name: str, old: Decimal | None, new: Decimal, share: Decimal | None) -> list[str]:
    if old is None:
        return [f"{name} {price_text(new)}"]
    if old == new:
        return []
    by = "" if not share else f" ({'+' if share > 0 else '−'}{quantity_text(abs(share))} %)"
    return [f"{name} {price_text(old)} → {price_text(new)}{by}"]


# -- reading -----------------------------------------------------------------------------------------------------------

_OfferKey = tuple[int, str, str]


@dataclass(slots=True)
class _Known:
    """What is there: products by identifier and by the vendor's SKU, the vendor's offers, the latest first."""

    products: dict[str, Product]
    by_sku: dict[str, set[int]]
    offers: dict[_OfferKey, list[Offer]]
    by_id: dict[int, Product]
    new: dict[str, Product] = field(default_factory=dict)

    def offer(self, product: Product, term: str, cycle: str, sku: str) -> Offer | None:
        """The latest offer of that term and billing with that SKU, or with none; without a SKU the only one there is.

        Raises:
            DomainError: ``invalid`` when there are several and no SKU says which.
        """
        there = self.offers.get((product.pk, term, cycle), [])
        skus = {offer.vendor_sku.casefold() for offer in there}
        if not sku and len(skus) > 1:
            raise DomainError(
                "invalid",
                f"{product.identifier} has several offers of that term and billing.",
                field="vendor_sku",
                hint="Enter the SKU.",
            )
        wanted = sku.casefold() if sku.casefold() in skus else "" if sku else next(iter(skus), "")
        return next((offer for offer in there if offer.vendor_sku.casefold() == wanted), None)


def _known(vendor: Company, *, lock: bool) -> _Known:
    products = list(Product.objects.order_by("pk"))
    by_id = {product.pk: product for product in products}
    offers = Offer.objects.filter(active=True).order_by("pk")
    by_sku: dict[str, set[int]] = defaultdict(set)
    for product in products:
        if product.vendor_sku and product.vendor_id == vendor.pk:
            by_sku[product.vendor_sku.casefold()].add(product.pk)
    found: dict[_OfferKey, list[Offer]] = defaultdict(list)
    for offer in offers.select_for_update(no_key=True) if lock else offers:
        product = by_id[offer.product_id]
        if (offer.vendor_id or product.vendor_id) != vendor.pk:
            continue
        offer.product = product
        found[offer.product_id, offer.term, offer.billing_cycle].append(offer)
        if offer.vendor_sku:
            by_sku[offer.vendor_sku.casefold()].add(offer.product_id)
    for rows in found.values():
        rows.sort(key=lambda offer: offer.effective_from or date.min, reverse=True)
    return _Known({product.identifier.casefold(): product for product in products}, by_sku, found, by_id)


def _plan(content: bytes, wanted: _Wanted, *, lock: bool = False) -> _Plan:
    table, passed_over = _read(content)
    known = _known(wanted.vendor, lock=lock)
    rows: list[_Row] = []
    first_row: dict[tuple[str, ...], int] = {}
    met: set[int] = set()
    for cells in table:
        row = _read_row(cells, known, wanted)
        rows.append(row)
        if row.offer is None:
            continue
        offer = row.offer
        key = (offer.product.identifier, offer.term, offer.billing_cycle, offer.vendor_sku.casefold())
        if key in first_row:
            cells.wrong("", f"The same offer is in row {first_row[key]} already.", "Keep one of them.")
        first_row.setdefault(key, cells.row)
        met |= {there.pk for there in (row.former, offer) if there is not None and there.pk}
    ended = _ended(known, met, wanted) if wanted.end_missing else []
    return _Plan(wanted, rows, list(known.new.values()), ended, passed_over)


def _read(content: bytes) -> tuple[list[Cells], tuple[str, ...]]:
    """The rows by our columns, and the headings that mean nothing here.

    Raises:
        DomainError: ``import_rows_invalid`` without a column for the cost, or for what is priced.
    """
    sheet = read_sheet(content)
    ours: dict[str, str] = {}
    for heading in sheet.headings:
        name = _HEADINGS.get(plain_key(heading))
        if name is not None and name not in ours.values():
            ours[heading] = name
    named = set(ours.values())
    missing = "cost" if "cost" not in named else "" if named & {"vendor_sku", "product"} else "vendor_sku"
    if missing:
        raise DomainError(
            "import_rows_invalid",
            f"No column says the {missing.replace('_', ' ').replace('sku', 'SKU')}.",
            field="file",
            hint=f"Call it {missing}, or {', '.join(_ALSO_CALLED[missing])}.",
        )
    rows = [Cells(row.number, {ours[h]: text for h, text in row.cells.items() if h in ours}) for row in sheet.rows]
    return rows, tuple(heading for heading in sheet.headings if heading not in ours)


def _read_row(cells: Cells, known: _Known, wanted: _Wanted) -> _Row:
    row = _Row(cells)
    term = _length(cells, "term", "")
    product = _product(cells, known, wanted, term)
    cost, price, first_day = cells.amount("cost"), cells.amount("price"), cells.day("effective_from")
    if not cells.given("cost"):
        cells.wrong("cost", "Enter the cost.")
    if product is None or cells.errors or cost is UNSET:
        return row
    cycle = _length(cells, "billing_frequency", term) if cells.given("billing_frequency") else product.billing_cycle
    sku = cells.given("vendor_sku")
    first_day = None if first_day is UNSET else first_day
    new_price = None if price is UNSET or not cells.given("price") else price
    try:
        row.former = known.offer(product, term, cycle, sku)
    except DomainError as error:
        cells.wrong("vendor_sku", error.message, error.hint)
        return row
    if row.former is None:
        row.deed = "create"
        sold_for = price_by_markup(cost, wanted.markup) if new_price is None else new_price
        row.offer = Offer(
            product=product, term=term, billing_cycle=cycle, cost=cost, price=sold_for, vendor=wanted.vendor,
            vendor_sku=sku, effective_from=first_day,
        )  # fmt: skip
    else:
        _change(row, cost, row.former.price if new_price is None else new_price, sku, first_day)
    _check(row)
    _check_sku(cells, known, product, sku)
    return row


def _check_sku(cells: Cells, known: _Known, product: Product, sku: str) -> None:
    """Refuse a SKU that is known and is another product's than the one that is named."""
    of = known.by_sku.get(sku.casefold(), set())
    if of and product.pk not in of:
        others = ", ".join(sorted(known.by_id[pk].identifier for pk in of))
        said = f"The SKU {sku} is that of {others}, not of {product.identifier}."
        cells.wrong("vendor_sku", said, "Correct the SKU or the product.")


def _change(row: _Row, cost: Decimal, price: Decimal, sku: str, first_day: date | None) -> None:
    """Change the offer that is there, or let a new one follow it."""
    former = row.former
    assert former is not None
    row.old_cost, row.old_price = former.cost, former.price
    moves = (cost, price) != (former.cost, former.price)
    if first_day is not None and former.effective_from is not None and first_day < former.effective_from:
        if moves:
            since = format_date(former.effective_from)
            row.cells.wrong("effective_from", f"There are newer prices already, from {since}.", "Take the newer list.")
        row.offer = former
        return
    wanted = Offer(
        product=former.product,
        name=former.name,
        term=former.term,
        billing_cycle=former.billing_cycle,
        cost=cost,
        price=price,
        price_model_id=former.price_model_id,
        vendor_id=former.vendor_id,
        vendor_sku=sku or former.vendor_sku,
        commitment_rule_id=former.commitment_rule_id,
        effective_from=first_day,
    )
    if moves and follows(wanted, former):
        row.deed, row.offer = "follow", wanted
        return
    row.offer = former
    if moves or (sku and not former.vendor_sku):
        row.deed = "update"
        former.cost, former.price, former.vendor_sku = cost, price, former.vendor_sku or sku


def _check(row: _Row) -> None:
    """What is wrong with the offer as it would be."""
    if row.offer is None or row.deed == "unchanged":
        return
    names = {"billing_cycle": "billing_frequency", "effective_to": "effective_from"}
    problems = field_problems(row.offer)
    try:
        ensure_sellable(row.offer)
    except DomainError as error:
        problems.append(error)
    for problem in problems:
        row.cells.wrong(names.get(problem.field or "", problem.field or ""), problem.message, problem.hint)


def _length(cells: Cells, column: str, term: str) -> str:
    try:
        text = cells.given(column)
        return read_frequency(text, term, column) if column == "billing_frequency" else read_length(text, column)
    except DomainError as error:
        cells.wrong(column, error.message, error.hint)
        return ""


def _product(cells: Cells, known: _Known, wanted: _Wanted, term: str) -> Product | None:
    """The product a row is about: by identifier, else by SKU, else a new one if that is asked for.

    Vendors name products in their own words: an identifier that is none of ours leaves the SKU to say which.
    """
    name, sku = cells.given("product"), cells.given("vendor_sku")
    if not name and not sku:
        cells.wrong("vendor_sku", "Enter the vendor's SKU, or name the product.")
        return None
    key = (name or sku).casefold()
    found = known.by_sku.get(sku.casefold(), set()) if sku else set()
    if product := known.products.get(key) if name else None:
        return product
    if len(found) == 1:
        return known.by_id[next(iter(found))]
    if found:
        identifiers = ", ".join(sorted(known.by_id[pk].identifier for pk in found))
        cells.wrong("vendor_sku", f"Several products have the SKU {sku}.", f"Name the product: {identifiers}.")
        return None
    if product := known.new.get(key):
        return product
    if not wanted.create_products:
        what = f"There is no product “{name}”." if name else f"No product has the SKU {sku}."
        cells.wrong("product" if name else "vendor_sku", what, "Make it first, or let the import make products.")
        return None
    return _new_product(cells, known, wanted, term)


def _new_product(cells: Cells, known: _Known, wanted: _Wanted, term: str) -> Product:
    name, sku = cells.given("product"), cells.given("vendor_sku")
    cycle = _length(cells, "billing_frequency", term)
    product_class = ProductClass.AGREEMENT if cycle else ProductClass.NON_INVENTORY
    product = Product(
        identifier=name or sku,
        description=cells.given("description"),
        product_class=product_class,
        accounting_type=policies.DEFAULT_ACCOUNTING_TYPES[product_class],
        category=wanted.category,
        vendor=wanted.vendor,
        vendor_sku=sku,
        billing_cycle=cycle,
    )
    known.new[product.identifier.casefold()] = product
    for problem in field_problems(product):
        column = "description" if problem.field == "description" else "product" if name else "vendor_sku"
        cells.wrong(column, problem.message, problem.hint)
    return product


def _ended(known: _Known, met: Iterable[int], wanted: _Wanted) -> list[Offer]:
    """The vendor's offers that the list does not have and that still run; they end the day before."""
    kept = set(met)
    ended = []
    for rows in known.offers.values():
        for offer in rows:
            still = offer.effective_to is None or offer.effective_to >= wanted.on
            if offer.pk not in kept and still and (offer.effective_from is None or offer.effective_from < wanted.on):
                succeed(offer, wanted.on)
                ended.append(offer)
    return ended
