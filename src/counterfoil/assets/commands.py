"""Fixed assets: capitalising what is leased out, depreciating it, disposing of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from django.db.models import QuerySet

from counterfoil.agreements.models import Agreement
from counterfoil.assets.books import MACRS_5, WITH_ACCOUNTS, Depreciation, asset_accounts, terms_of, write_book
from counterfoil.assets.depreciating import post_due
from counterfoil.assets.models import (
    Asset,
    AssetCategory,
    AssetStatus,
    BookName,
    CapitalisedFrom,
    DepreciationLine,
)
from counterfoil.assets.sources import cost_in_cogs, cost_in_inventory, serials_left
from counterfoil.billing.models import InvoiceLine
from counterfoil.core.calendar import add_months, format_date, format_month, month_start
from counterfoil.core.depreciation import (
    Convention,
    Method,
    units_depreciation,
)
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, allocate, format_money, round_to, sum_money
from counterfoil.core.posting import (
    JournalDraft,
    post_capitalisation_from_cogs,
    post_disposal,
    post_lease_capitalisation,
)
from counterfoil.core.states import check_transition, words
from counterfoil.inventory.queries import unrelieved
from counterfoil.ledger.banks import bank_account
from counterfoil.ledger.commands import Posting, post_drafts
from counterfoil.ledger.models import Account, AccountType, JournalEntry
from counterfoil.ledger.queries import period_of
from counterfoil.orders.models import SalesOrder, SalesOrderLine
from counterfoil.platform import audit
from counterfoil.platform.amounts import check_amount, check_quantity
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import existing, locked
from counterfoil.platform.numbering import take_number
from counterfoil.platform.records import plain_number as plain

__all__ = [
    "MACRS_5",
    "Depreciation",
    "capitalise_from_invoice_line",
    "capitalise_from_stock",
    "create_asset_category",
    "dispose_asset",
    "post_depreciation",
    "record_units",
]

FINANCE = (Role.FINANCE,)

refuse_as("assets_asset_invoice_line_id_key", "duplicate", "The invoice line is capitalised already.")
refuse_as("depreciation_period_once", "duplicate", "Depreciation is recorded for that month already.")
refuse_as("assets_assetcategory_name_key", "duplicate", "There is an asset category of that name already.")


@command(roles=FINANCE)
def create_asset_category(
    *,
    actor: Actor,
    name: str,
    asset_account_id: int,
    accumulated_account_id: int,
    expense_account_id: int,
    disposal_account_id: int,
    method: str = Method.STRAIGHT_LINE,
    convention: str = Convention.FULL_MONTH,
    life_months: int = 36,
) -> AssetCategory:
    """Add a category: the accounts of its assets and how they are usually depreciated.

    Raises:
        DomainError: ``required``; ``duplicate``; ``not_found``; ``invalid`` for an account of the wrong type, an
            unknown method or convention, or a life of no months.
    """
    if not name.strip():
        raise DomainError("required", "Enter a name.", field="name")
    usual = terms_of(Depreciation(method, convention, life_months), AssetCategory(), ZERO, date(2000, 1, 1))
    category = AssetCategory.objects.create(
        name=name.strip(),
        asset_account=_account(asset_account_id, "asset_account", AccountType.FIXED_ASSET),
        accumulated_account=_account(
            accumulated_account_id, "accumulated_account", AccountType.ACCUMULATED_DEPRECIATION
        ),
        expense_account=_account(expense_account_id, "expense_account", AccountType.EXPENSE, AccountType.COGS),
        disposal_account=_account(
            disposal_account_id,
            "disposal_account",
            AccountType.OTHER_INCOME,
            AccountType.OTHER_EXPENSE,
            AccountType.INCOME,
            AccountType.EXPENSE,
        ),
        method=usual.method.value,
        convention=usual.convention.value,
        life_months=life_months,
    )
    text = f"added asset category {category}: {words(usual.method)} over {life_months} months"
    audit.record(actor, "assets.category.created", text, category)
    return category


def _account(pk: int, field: str, *types: AccountType) -> Account:
    account = existing(Account.objects.all(), pk, field)
    if account.type not in types:
        wanted = " or ".join(AccountType(each).label for each in types)
        raise DomainError("invalid", f"{account} is of type {account.get_type_display()}, not {wanted}.", field=field)
    return account


@command(roles=FINANCE)
def capitalise_from_invoice_line(
    *,
    actor: Actor,
    invoice_line_id: int,
    category_id: int,
    in_service_date: date | None = None,
    method: str | None = None,
    convention: str | None = None,
    life_months: int | None = None,
    salvage: Decimal = ZERO,
    total_units: Decimal | None = None,
    tax_book: Depreciation | None = None,
    agreement_id: int | None = None,
    description: str = "",
    on: date | None = None,
) -> Asset:
    """Capitalise what a cost-only invoice to an internal company sent to COGS: Dr fixed asset / Cr the same account.

    The entry is dated in the accounting period of the invoice's entry: else one month would show the cost as COGS and
    the next as negative COGS.

    Args:
        actor: who capitalises.
        invoice_line_id: a line whose cost was taken out of stock.
        category_id: the asset category: accounts, and what is not given below.
        in_service_date: depreciation begins with it, as the convention has it; ``None`` is the entry's date.
        method: how the books depreciate it; ``None`` is the category's.
        convention: ``None`` is the category's.
        life_months: ``None`` is the category's.
        salvage: what it will be worth at the end.
        total_units: expected units in all, for units of use.
        tax_book: how it is depreciated for US tax (``MACRS_5``); never posted.
        agreement_id: the agreement that earns its cost back; ``None`` is that of the same opportunity, if just one.
        description: empty is the line's.
        on: date of the entry; ``None`` is that of the invoice's entry.

    Raises:
        DomainError: ``not_found``; ``duplicate`` when capitalised already; ``wrong_state`` while the invoice is not in
            the books; ``invalid`` for a line that took nothing out of stock, a customer's invoice, a date in another
            period, or impossible terms; ``period_closed``.
    """
    line = locked(
        InvoiceLine.objects.select_related("invoice__company", "invoice__bill_to", "order_line__origin", "product"),
        invoice_line_id,
        "invoice_line",
    )
    order_line = _check_line(line)
    source = cost_in_cogs(line)
    on = on or source.booked_on
    period = period_of(source.booked_on)
    if period is None or not period.start <= on < period.end:
        raise DomainError(
            "invalid",
            f"Date the entry in {format_month(source.booked_on)}, where the cost of {line.invoice} is booked: else one"
            " month shows it as cost and another as negative cost.",
            field="on",
        )
    asset = _new_asset(
        order_line,
        category=existing(AssetCategory.objects.all(), category_id, "category"),
        quantity=line.quantity,
        cost=source.amount,
        in_service_date=_service_date(in_service_date, on),
        description=description.strip() or line.description,
        agreement_id=agreement_id,
        capitalised_from=CapitalisedFrom.COGS,
        invoice_line=line,
    )
    book = Depreciation(method, convention, life_months, salvage, total_units)
    draft = post_capitalisation_from_cogs(
        accounts=asset_accounts([asset], cogs=source.account),
        on=on,
        source_id=asset.pk,
        item=asset.product_id,
        asset=asset.pk,
        cost=asset.cost,
        memo=f"Capitalise {asset}, {asset.description}",
    )
    _capitalise(asset, book, tax_book, draft, actor=actor, where=f"COGS, invoice {line.invoice}")
    return asset


def _check_line(line: InvoiceLine) -> SalesOrderLine:
    """Refuse an invoice line that cannot become an asset; else the order line it billed."""
    former = Asset.objects.filter(invoice_line=line).first()
    if former is not None:
        raise DomainError(
            "duplicate", f"“{line.description}” is capitalised already, as {former}.", field="invoice_line"
        )
    if not line.relieves_stock or line.order_line is None:
        raise DomainError(
            "invalid",
            f"“{line.description}” took nothing out of stock: its cost was expensed when it was received.",
            field="invoice_line",
            hint="Only inventory products are capitalised.",
        )
    if not line.invoice.bill_to.is_internal:
        raise DomainError(
            "invalid",
            f"{line.invoice} was billed to {line.invoice.bill_to_name}: what is sold is no asset of ours.",
            field="invoice_line",
            hint="Bill leased goods to an internal company, or capitalise them from stock.",
        )
    return line.order_line


@command(roles=FINANCE)
def capitalise_from_stock(
    *,
    actor: Actor,
    order_line_id: int,
    category_id: int,
    on: date,
    in_service_date: date | None = None,
    quantity: Decimal | None = None,
    method: str | None = None,
    convention: str | None = None,
    life_months: int | None = None,
    salvage: Decimal = ZERO,
    total_units: Decimal | None = None,
    tax_book: Depreciation | None = None,
    agreement_id: int | None = None,
    description: str = "",
) -> Asset:
    """Capitalise leased goods straight out of inventory: Dr fixed asset / Cr the account they were received to.

    No invoice and no detour through COGS. The units capitalised can no longer be invoiced.

    Args:
        actor: who capitalises.
        order_line_id: a sales order line of an inventory product that was shipped.
        category_id: as in :func:`capitalise_from_invoice_line`, like all that is not named here.
        on: date of the entry.
        in_service_date: depreciation begins with it, as the convention has it; ``None`` is ``on``.
        quantity: ``None`` is all that is shipped and neither invoiced nor capitalised. A part takes its share of cost.
        method: as above.
        convention: as above.
        life_months: as above.
        salvage: as above.
        total_units: as above.
        tax_book: as above.
        agreement_id: as above.
        description: empty is the line's.

    Raises:
        DomainError: ``not_found``; ``not_shipped`` when there is not that much left; ``wrong_state`` while a receipt of
            it is not in the books; ``wrong_product_class`` for what is not kept in stock; ``invalid``;
            ``period_closed``.
    """
    locked(SalesOrder.objects.all(), existing(SalesOrderLine.objects.all(), order_line_id, "order_line").order_id)
    line = locked(SalesOrderLine.objects.select_related("order__company", "product", "origin"), order_line_id)
    if not line.product.is_stocked:
        raise DomainError(
            "wrong_product_class",
            f"{line.product} is not kept in stock: its cost was expensed when it was received.",
            field="order_line",
        )
    rest = unrelieved([line])[line.pk]
    if quantity is not None:
        check_quantity(quantity, "quantity")
    quantity = rest.quantity if quantity is None else quantity
    if rest.quantity <= 0 or quantity > rest.quantity:
        raise DomainError(
            "not_shipped",
            f"{plain(rest.quantity)} {line.product} of {line.order} are shipped and neither invoiced nor capitalised;"
            f" {plain(quantity)} cannot be capitalised.",
            field="quantity",
            hint="Ship them first, or delete the draft invoice that bills them.",
        )
    sources = cost_in_inventory(line)
    booked = max(source.booked_on for source in sources)
    if on < booked:
        raise DomainError(
            "invalid",
            f"The goods are in inventory from {format_date(booked)} on; they cannot leave it before.",
            field="on",
        )
    asset = _new_asset(
        line,
        category=existing(AssetCategory.objects.all(), category_id, "category"),
        quantity=quantity,
        cost=allocate(rest.cost, [quantity, rest.quantity - quantity])[0],
        in_service_date=_service_date(in_service_date, on),
        description=description.strip() or line.description,
        agreement_id=agreement_id,
        capitalised_from=CapitalisedFrom.INVENTORY,
        invoice_line=None,
    )
    book = Depreciation(method, convention, life_months, salvage, total_units)
    shares = allocate(asset.cost, [source.amount for source in sources])
    drafts = [
        post_lease_capitalisation(
            accounts=asset_accounts([asset], inventory=source.account),
            on=on,
            source_id=asset.pk,
            item=asset.product_id,
            asset=asset.pk,
            cost=share,
            memo=f"Capitalise {asset}, {asset.description}",
        )
        for source, share in zip(sources, shares, strict=True)
    ]
    _capitalise(asset, book, tax_book, _together(drafts), actor=actor, where=f"inventory, order {line.order}")
    return asset


def _together(drafts: Iterable[JournalDraft | None]) -> JournalDraft | None:
    """One draft with the lines of all: goods that were received to several inventory accounts."""
    made = [draft for draft in drafts if draft is not None]
    return replace(made[0], lines=tuple(line for draft in made for line in draft.lines)) if made else None


def _service_date(in_service_date: date | None, on: date) -> date:
    """The day an asset goes into service; not in a month before its cost is on the books.

    Raises:
        DomainError: ``invalid``: its depreciation would be booked before its cost.
    """
    if in_service_date is not None and in_service_date < month_start(on):
        raise DomainError(
            "invalid",
            f"It cannot go into service on {format_date(in_service_date)}: its cost comes to the books on"
            f" {format_date(on)}, and depreciation would be booked before it.",
            field="in_service_date",
            hint=f"Put it into service in {format_month(on)} or later, or capitalise it on an earlier day.",
        )
    return in_service_date or on


def _new_asset(
    order_line: SalesOrderLine,
    *,
    category: AssetCategory,
    quantity: Decimal,
    cost: Decimal,
    in_service_date: date,
    description: str,
    agreement_id: int | None,
    capitalised_from: CapitalisedFrom,
    invoice_line: InvoiceLine | None,
) -> Asset:
    if cost <= 0:
        raise DomainError("invalid", f"“{description}” cost nothing; there is nothing to capitalise.", field="cost")
    return Asset.objects.create(
        number=take_number("asset"),
        description=description[:200],
        category=category,
        company=order_line.order.company,
        agreement=_agreement(agreement_id, order_line),
        product=order_line.product,
        quantity=quantity,
        serial_numbers=serials_left(order_line, quantity),
        cost=cost,
        in_service_date=in_service_date,
        capitalised_from=capitalised_from,
        invoice_line=invoice_line,
        order_line=order_line,
        origin_id=order_line.origin_id,
    )


def _agreement(agreement_id: int | None, order_line: SalesOrderLine) -> Agreement | None:
    """The agreement that earns the cost back: the one given, or the only one of the same opportunity."""
    if agreement_id is not None:
        return existing(Agreement.objects.all(), agreement_id, "agreement")
    if order_line.origin is None:
        return None
    found = list(Agreement.objects.filter(opportunity=order_line.origin.opportunity_id)[:2])
    return found[0] if len(found) == 1 else None


def _capitalise(
    asset: Asset,
    book: Depreciation,
    tax_book: Depreciation | None,
    draft: JournalDraft | None,
    *,
    actor: Actor,
    where: str,
) -> None:
    """Write the asset's books with their schedules, and post its cost."""
    write_book(asset, BookName.BOOK, book)
    if tax_book is not None:
        write_book(asset, BookName.TAX, tax_book)
    assert draft is not None  # an asset has a cost
    (entry,) = post_drafts([Posting(draft, source_label=asset.number)], actor=actor)
    audit.record(
        actor,
        "assets.asset.capitalised",
        f"capitalised {asset}, {asset.description} at {asset.company.name}, {format_money(asset.cost)} out of {where},"
        f" with {entry.number}, in service from {format_date(asset.in_service_date)}",
        asset,
    )


@command(roles=FINANCE)
def post_depreciation(*, actor: Actor, through: date, asset_ids: Sequence[int] | None = None) -> QuerySet[JournalEntry]:
    """Post all depreciation whose period ends by ``through``, one entry per asset and period, on the period's last day.

    Running it again posts nothing twice. All or nothing: a closed period refuses the whole run.

    Returns:
        The entries, oldest first; none when nothing was due. They are read when they are looked at.

    Raises:
        DomainError: ``period_closed`` or ``period_missing``, naming the month; ``not_found`` for an unknown asset.
    """
    return post_due(actor=actor, through=through, asset_ids=asset_ids)


@command(roles=FINANCE)
def record_units(*, actor: Actor, asset_id: int, month: date, units: Decimal) -> DepreciationLine:
    """Record how much an asset was used in a month; :func:`post_depreciation` then posts that month's depreciation.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` when it is not in service; ``invalid`` when it is not depreciated by
            units of use, or the month comes before one that is recorded or before it was in service.
    """
    asset = locked(Asset.objects.all(), asset_id)
    if asset.status != AssetStatus.IN_SERVICE:
        raise DomainError("wrong_state", f"{asset} is {words(asset.status)}.")
    book = asset.books.get(name=BookName.BOOK)
    if book.method != Method.UNITS_OF_USE or book.total_units is None:
        raise DomainError("invalid", f"{asset} is depreciated by {words(book.method)}, not by units of use.")
    start, lines = month_start(month), list(book.lines.order_by("sequence"))
    earliest = lines[-1].end if lines else month_start(asset.in_service_date)
    if start < earliest:
        raise DomainError("invalid", f"Use of {asset} can be recorded from {format_month(earliest)} on.", field="month")
    if round_to(units, 6) != units:
        raise DomainError("invalid", "At most six decimals are kept of units.", field="units")
    usage = [*(line.units or ZERO for line in lines), units]
    amounts = units_depreciation(asset.cost, book.salvage, book.total_units, usage)
    accumulated = sum_money(amounts)
    line = DepreciationLine.objects.create(
        book=book,
        sequence=len(lines) + 1,
        start=start,
        end=add_months(start, 1),
        amount=amounts[-1],
        accumulated=accumulated,
        net_book_value=sum_money([asset.cost, -accumulated]),
        units=units,
        explanation=f"{plain(units)} of {plain(book.total_units)} units",
    )
    text = f"recorded {plain(units)} units of {asset} in {format_month(start)}: {format_money(line.amount)}"
    audit.record(actor, "assets.units.recorded", text, asset)
    return line


@command(roles=FINANCE)
def dispose_asset(
    *,
    actor: Actor,
    asset_id: int,
    on: date,
    proceeds: Decimal = ZERO,
    bank_account_id: int | None = None,
    reason: str = "",
) -> Asset:
    """Sell or scrap an asset: it leaves the books with its depreciation, what is left is a gain or a loss.

    Depreciation must be posted through the month before; none is charged in the month of disposal or after.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` when disposed of already, when depreciation is still due, or posted
            beyond ``on``; ``invalid`` for proceeds below zero; ``period_closed``.
    """
    asset = locked(WITH_ACCOUNTS, asset_id)
    check_transition("asset", asset.number, asset.status, AssetStatus.DISPOSED)
    check_amount(proceeds, "proceeds", zero=True)
    if on < asset.in_service_date:
        raise DomainError(
            "invalid", f"{asset} is in service since {format_date(asset.in_service_date)} only.", field="on"
        )
    lines = DepreciationLine.objects.filter(book__asset=asset, book__name=BookName.BOOK)
    _check_depreciated(asset, on, list(lines.select_related("entry")))
    accumulated = sum_money(lines.filter(entry__isnull=False).values_list("amount", flat=True))
    bank = bank_account(bank_account_id) if proceeds else None
    draft = post_disposal(
        accounts=asset_accounts([asset], bank=bank),
        on=on,
        source_id=asset.pk,
        asset=asset.pk,
        cost=asset.cost,
        accumulated=accumulated,
        memo=f"Disposal of {asset}, {asset.description}",
        proceeds=proceeds,
    )
    assert draft is not None  # an asset has a cost
    post_drafts([Posting(draft, source_label=asset.number)], actor=actor)
    lines.filter(entry=None).delete()
    asset.status, asset.disposed_on, asset.proceeds = AssetStatus.DISPOSED, on, proceeds
    asset.save(update_fields=["status", "disposed_on", "proceeds"])
    left = sum_money([asset.cost, -accumulated])
    result = sum_money([proceeds, -left])
    text = (
        f"disposed of {asset} on {format_date(on)} for {format_money(proceeds)}, net book value {format_money(left)},"
        f" {'gain' if result >= 0 else 'loss'} {format_money(abs(result))}"
    )
    audit.record(actor, "assets.asset.disposed", text + (f": {reason.strip()}" if reason.strip() else ""), asset)
    return asset


def _check_depreciated(asset: Asset, on: date, lines: Sequence[DepreciationLine]) -> None:
    """Refuse a disposal while depreciation before it is not posted, or when some is posted beyond it."""
    late = [line for line in lines if line.entry is None and line.amount and line.end <= month_start(on)]
    if late:
        raise DomainError(
            "wrong_state",
            f"Depreciation of {asset} for {format_month(late[0].start)} is not posted yet.",
            hint=f"Post depreciation through {format_date(month_start(on) - timedelta(days=1))} first.",
        )
    beyond = [line.entry.date for line in lines if line.entry is not None and line.entry.date > on]
    if beyond:
        raise DomainError(
            "wrong_state",
            f"Depreciation of {asset} is posted on {format_date(max(beyond))}; it cannot leave before that.",
            field="on",
        )
