"""What people do with sales orders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db.models import Max

from counterfoil.catalog.models import Offer, Product, ProductClass
from counterfoil.catalog.policies import optional_cycle
from counterfoil.catalog.queries import ensure_offers_fit, products_for_lines
from counterfoil.companies.models import Company
from counterfoil.companies.policies import ensure_active, ensure_billable, ensure_customer
from counterfoil.companies.queries import bill_to_of, site_of, tax_code_id_of
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money, multiply, sum_money
from counterfoil.core.states import check_transition
from counterfoil.orders import queries
from counterfoil.orders.models import SalesOrder, SalesOrderLine, SalesOrderStatus
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import locked_all
from counterfoil.platform.numbering import take_number
from counterfoil.platform.records import (
    UNSET,
    Unset,
    change,
    check_fields,
    fetch,
    plain_number,
    record_changes,
    refuse_negative,
    refuse_not_positive,
    save_checked,
)

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

OFFICE = (Role.SALES, Role.PROCUREMENT, Role.FINANCE)

#: Classes a sales order does not take, and what to do instead.
_NOT_ORDERED = {
    ProductClass.AGREEMENT: "Bill it with an agreement: it recurs.",
    ProductClass.BUNDLE: "Order the products it is made of.",
}


@dataclass(frozen=True, slots=True)
class OrderLineInput:
    """A line as it is ordered; what is left empty comes from the offer, if one is named, else from the product.

    Attributes:
        product_id: what is ordered: inventory, non-inventory or service.
        quantity: in the product's unit.
        unit_price: what the customer pays per unit (and billing cycle, of what is ordered for a term).
        unit_cost: what it is expected to cost, likewise.
        description: one line.
        taxable: whether sales tax applies.
        origin_id: the quote line it comes from.
        offer_id: what it is sold by.
        term: what it is bought for, ``year:1``.
        billing_cycle: how often what is bought for a term is billed; once if empty.
        start_date: of the term.
    """

    product_id: int
    quantity: Decimal = Decimal(1)
    unit_price: Decimal | None = None
    unit_cost: Decimal | None = None
    description: str | None = None
    taxable: bool | None = None
    origin_id: int | None = None
    offer_id: int | None = None
    term: str = ""
    billing_cycle: str = ""
    start_date: date | None = None


@command(roles=OFFICE)
def create_sales_order(
    *,
    actor: Actor,
    company_id: int,
    on: date,
    bill_to_id: int | None = None,
    site_id: int | None = None,
    customer_po: str = "",
    tax_code_id: int | None = None,
    terms_id: int | None = None,
    opportunity_id: int | None = None,
    lines: Sequence[OrderLineInput] = (),
) -> SalesOrder:
    """Take an order of a customer, dated ``on``.

    Bill-to, tax code and terms come from the company (the tax code from the site first) when they are not given.

    Raises:
        DomainError: ``my_company_not_billable``, ``price_on_internal_company``, ``wrong_product_class``, ``invalid``,
            ``not_found``.
    """
    company = fetch(Company, company_id, field="company_id")
    ensure_customer(company)
    site = site_of(company, site_id)
    bill_to = bill_to_of(company) if bill_to_id is None else fetch(Company, bill_to_id, field="bill_to_id")
    ensure_active(bill_to, "bill_to_id")
    order = SalesOrder(
        number=take_number("sales_order"),
        company=company,
        bill_to=bill_to,
        site=site,
        opportunity_id=opportunity_id,
        order_date=on,
        customer_po=customer_po.strip(),
        tax_code_id=tax_code_id_of(company, site) if tax_code_id is None else tax_code_id,
        terms_id=terms_id or bill_to.terms_id or company.terms_id,
    )
    _ensure_priced_right(order, [])
    save_checked(order)
    audit.record(actor, "orders.order.created", f"made sales order {order.number} for {company.name}", order)
    _add_lines(actor, order, lines)
    return order


@command(roles=OFFICE)
def update_sales_order(
    *,
    actor: Actor,
    order_id: int,
    bill_to_id: int | Unset = UNSET,
    site_id: int | Unset | None = UNSET,
    order_date: date | Unset = UNSET,
    customer_po: str | Unset = UNSET,
    tax_code_id: int | Unset | None = UNSET,
    terms_id: int | Unset | None = UNSET,
) -> SalesOrder:
    """Change what is given of an order; invoices that are there keep what they say.

    Raises:
        DomainError: ``wrong_state`` unless it is open; and as :func:`create_sales_order`.
    """
    order = _open_order(order_id)
    changes = change(
        order,
        bill_to_id=bill_to_id,
        site_id=site_id,
        order_date=order_date,
        customer_po=customer_po,
        tax_code_id=tax_code_id,
        terms_id=terms_id,
    )
    site_of(order.company, order.site_id)
    if "bill_to_id" in changes:
        ensure_active(fetch(Company, order.bill_to_id, field="bill_to_id"), "bill_to_id")
    _ensure_priced_right(order, order.lines.all())
    save_checked(order)
    record_changes(actor, "orders.order.changed", f"changed {order.number}", changes, order)
    return order


# -- lines -------------------------------------------------------------------------------------------------------------


@command(roles=OFFICE)
def add_order_line(*, actor: Actor, order_id: int, line: OrderLineInput) -> SalesOrderLine:
    """Order a product more.

    Raises:
        DomainError: ``wrong_state`` unless the order is open; ``wrong_product_class``, ``invalid``, ``not_found``,
            ``price_on_internal_company``.
    """
    return _add_lines(actor, _open_order(order_id), [line])[0]


def _add_lines(actor: Actor, order: SalesOrder, inputs: Sequence[OrderLineInput]) -> list[SalesOrderLine]:
    quoted = {given.product_id for given in inputs if given.origin_id is not None}
    products = products_for_lines((given.product_id for given in inputs), quoted)
    ensure_offers_fit((given.product_id, given.offer_id, None) for given in inputs)
    offers = Offer.objects.in_bulk({given.offer_id for given in inputs if given.offer_id is not None})
    last = order.lines.aggregate(last=Max("position"))["last"] or 0
    lines = []
    for index, given in enumerate(inputs):
        product = products[given.product_id]
        if (instead := _NOT_ORDERED.get(ProductClass(product.product_class))) is not None:
            raise DomainError(
                "wrong_product_class",
                f"{product.identifier} is of class {product.product_class}; it cannot be on a sales order.",
                field=f"lines[{index}].product_id",
                hint=instead,
            )
        offer = offers.get(given.offer_id or 0)
        terms: Product | Offer = offer or product
        line = SalesOrderLine(
            order=order,
            position=last + index + 1,
            product=product,
            description=(given.description if given.description is not None else product.description).strip(),
            quantity=given.quantity,
            unit_price=terms.price if given.unit_price is None else given.unit_price,
            unit_cost=terms.cost if given.unit_cost is None else given.unit_cost,
            taxable=product.taxable if given.taxable is None else given.taxable,
            origin_id=given.origin_id,
            offer=offer,
            term=given.term or (offer.term if offer else ""),
            billing_cycle=given.billing_cycle or (offer.billing_cycle if offer else ""),
            start_date=given.start_date,
        )
        _check_line(line, prefix=f"lines[{index}].")
        lines.append(line)
        audit.record(
            actor, "orders.line.added",
            f"ordered {plain_number(line.quantity)} × {product.identifier} at {format_money(line.unit_price)}"
            f" (cost {format_money(line.unit_cost)}) on {order.number}",
            order,
        )  # fmt: skip
    _ensure_priced_right(order, [*order.lines.all(), *lines])
    return SalesOrderLine.objects.bulk_create(lines)


def _check_line(line: SalesOrderLine, prefix: str = "") -> None:
    refuse_not_positive("quantity", line.quantity, prefix)
    refuse_negative({"unit_price": line.unit_price, "unit_cost": line.unit_cost}, prefix)
    line.term = optional_cycle(line.term, f"{prefix}term")
    line.billing_cycle = optional_cycle(line.billing_cycle, f"{prefix}billing_cycle")
    check_fields(line, prefix=prefix, relations=False)


def _ensure_priced_right(order: SalesOrder, lines: Iterable[SalesOrderLine]) -> None:
    total = sum_money(multiply(line.quantity, line.unit_price) for line in lines)
    ensure_billable(order.company, order.bill_to, price_total=total)


@command(roles=OFFICE)
def update_order_line(
    *,
    actor: Actor,
    line_id: int,
    description: str | Unset = UNSET,
    quantity: Decimal | Unset = UNSET,
    unit_price: Decimal | Unset = UNSET,
    unit_cost: Decimal | Unset = UNSET,
    taxable: bool | Unset = UNSET,
    offer_id: int | Unset | None = UNSET,
    term: str | Unset = UNSET,
    billing_cycle: str | Unset = UNSET,
    start_date: date | Unset | None = UNSET,
) -> SalesOrderLine:
    """Change what is given of an order line. What is on a purchase order already keeps its term there.

    Raises:
        DomainError: ``wrong_state`` unless the order is open; ``conflict`` for less than what is on purchase orders,
            shipped, invoiced or capitalised; ``already_invoiced`` for another price once it is invoiced; ``invalid``;
            ``price_on_internal_company``.
    """
    order = _open_order(fetch(SalesOrderLine, line_id).order_id)
    fetch(SalesOrderLine, line_id, lock=True)  # so that nobody buys, ships or invoices of it meanwhile
    line = queries.lines().get(pk=line_id)
    line.order = order
    changes = change(
        line,
        description=description,
        quantity=quantity,
        unit_price=unit_price,
        unit_cost=unit_cost,
        taxable=taxable,
        offer_id=offer_id,
        term=term,
        billing_cycle=billing_cycle,
        start_date=start_date,
    )
    if isinstance(offer_id, int):
        ensure_offers_fit([(line.product_id, offer_id, None)])
    _check_line(line)
    if line.invoiced and changes.keys() & {"unit_price", "taxable"}:
        raise DomainError(
            "already_invoiced", f"{line.description} has been invoiced; its price stays.", field="unit_price"
        )
    for taken, words in _progress(line):
        if line.quantity < taken:
            raise DomainError(
                "conflict", f"{plain_number(taken)} of {line.description} {words} already.", field="quantity"
            )
    _ensure_priced_right(order, [*order.lines.exclude(pk=line.pk), line])
    line.save()
    record_changes(actor, "orders.line.changed", f"changed {line.description} on {order.number}", changes, order)
    return line


@command(roles=OFFICE)
def remove_order_line(*, actor: Actor, line_id: int) -> None:
    """Take a line off an order.

    Raises:
        DomainError: ``wrong_state`` unless the order is open; ``conflict`` when it has been bought, shipped, invoiced
            or capitalised, or when it comes from a quote: a line signed is cancelled with its order.
    """
    order = _open_order(fetch(SalesOrderLine, line_id).order_id)
    fetch(SalesOrderLine, line_id, lock=True)  # so that nobody buys, ships or invoices of it meanwhile
    line = queries.lines().get(pk=line_id)
    if line.origin_id is not None:
        raise DomainError(
            "conflict", f"{line.description} was signed with a quote and stays on the order.",
            hint="Cancel the order instead.",
        )  # fmt: skip
    _refuse_progress([line])
    if line.purchase_order_lines.exists():
        raise DomainError("conflict", f"{line.description} was on a purchase order and stays on the order.")
    audit.record(
        actor, "orders.line.removed",
        f"took {plain_number(line.quantity)} × {line.product} off {order.number}", order, line_id=line.pk,
    )  # fmt: skip
    line.delete()


def _progress(line: WithAnnotations[SalesOrderLine, queries.Progress]) -> list[tuple[Decimal, str]]:
    """How far an annotated line has come, in words."""
    steps = [
        (line.on_purchase_orders, "on purchase orders"),
        (line.shipped, "shipped"),
        (line.invoiced, "invoiced"),
        (line.capitalised, "capitalised"),
    ]
    return [(taken, f"{'is' if taken == 1 else 'are'} {words}") for taken, words in steps if taken]


def _refuse_progress(lines: Iterable[WithAnnotations[SalesOrderLine, queries.Progress]]) -> None:
    for line in lines:
        if steps := _progress(line):
            taken, words = steps[-1]
            raise DomainError("conflict", f"{plain_number(taken)} of {line.description} {words} already.")


# -- the order as a whole ----------------------------------------------------------------------------------------------


@command(roles=OFFICE)
def close_sales_order(*, actor: Actor, order_id: int) -> SalesOrder:
    """Nothing more is to be done for the order; what is not bought yet is no demand any more.

    Raises:
        DomainError: ``wrong_state``.
    """
    return _set_status(actor, fetch(SalesOrder, order_id, lock=True), SalesOrderStatus.CLOSED, "closed")


@command(roles=OFFICE)
def cancel_sales_order(*, actor: Actor, order_id: int, reason: str) -> SalesOrder:
    """The customer does not take it.

    Raises:
        DomainError: ``wrong_state``; ``required`` without a reason; ``conflict`` when something of it is on purchase
            orders, shipped, invoiced or capitalised.
    """
    order = fetch(SalesOrder, order_id, lock=True)
    check_transition("sales_order", order.number, order.status, SalesOrderStatus.CANCELLED)
    if not reason.strip():
        raise DomainError("required", "Say why the order is cancelled.", field="reason")
    locked_all(order.lines.all(), set(order.lines.values_list("pk", flat=True)))
    _refuse_progress(queries.lines().filter(order=order))
    return _set_status(actor, order, SalesOrderStatus.CANCELLED, "cancelled", reason.strip())


@command(roles=OFFICE)
def reopen_sales_order(*, actor: Actor, order_id: int) -> SalesOrder:
    """Take up a closed order again.

    Raises:
        DomainError: ``wrong_state``.
    """
    return _set_status(actor, fetch(SalesOrder, order_id, lock=True), SalesOrderStatus.OPEN, "reopened")


def _set_status(actor: Actor, order: SalesOrder, status: SalesOrderStatus, deed: str, reason: str = "") -> SalesOrder:
    check_transition("sales_order", order.number, order.status, status)
    order.status = status
    order.save(update_fields=["status"])
    said = f"{deed} sales order {order.number}" + (f": {reason}" if reason else "")
    audit.record(actor, f"orders.order.{deed}", said, order)
    return order


def _open_order(order_id: int) -> SalesOrder:
    order = fetch(SalesOrder, order_id, lock=True)
    if order.status != SalesOrderStatus.OPEN:
        raise DomainError(
            "wrong_state", f"{order.number} is {order.status}; it can no longer be changed.",
            hint="Reopen it first." if order.status == SalesOrderStatus.CLOSED else None,
        )  # fmt: skip
    return order
