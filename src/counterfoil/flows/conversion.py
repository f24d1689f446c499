"""From a quote to what it becomes: an agreement of its recurring lines, a sales order of what is bought.

One opportunity is converted in as many steps as it takes; each line once. Every addition and order line carries the
quote line it comes from as its ``origin``. What is left is :func:`counterfoil.quotes.queries.unconverted_lines`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from counterfoil.agreements.commands import AdditionInput, create_agreement
from counterfoil.agreements.models import Agreement
from counterfoil.catalog.models import ProductClass
from counterfoil.core.calendar import Cycle
from counterfoil.core.errors import DomainError
from counterfoil.flows.bundles import share_out
from counterfoil.orders.commands import OrderLineInput, create_sales_order
from counterfoil.orders.models import SalesOrder
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.quotes.commands import lock_for_conversion, record_conversion
from counterfoil.quotes.models import ConversionTarget, QuoteLine

#: What a sales order takes; a lease's purchasing product is one of the first two.
ORDERED = (ProductClass.INVENTORY, ProductClass.NON_INVENTORY, ProductClass.SERVICE)


@command(roles=(Role.SALES,))
def convert_to_agreement(
    *,
    actor: Actor,
    opportunity_id: int,
    line_ids: Sequence[int],
    agreement_type_id: int,
    on: date,
    name: str | None = None,
    start_date: date | None = None,
    first_billing_date: date | None = None,
    end_date: date | None = None,
    bill_to_id: int | None = None,
    tax_code_id: int | None = None,
    terms_id: int | None = None,
) -> Agreement:
    """Make an agreement of agreement-class lines; each becomes an addition at its price for one billing cycle.

    Args:
        actor: who converts.
        opportunity_id: the quote.
        line_ids: agreement-class lines of it that share one billing cycle.
        agreement_type_id: the agreement's template.
        on: the day of the conversion; the start where neither ``start_date`` nor a line names one.
        name: the agreement's; the opportunity's when it is not given.
        start_date: first day; the earliest of the lines' when it is not given.
        first_billing_date: cycles are counted from here; the start when it is not given.
        end_date: last day; when it is not given, it comes from the lines' cycles (open-ended if one of them is).
        bill_to_id: who gets the invoices; the company's bill-to when it is not given.
        tax_code_id: the site's or company's when it is not given.
        terms_id: the bill-to's or company's when they are not given.

    Raises:
        DomainError: ``required`` for an empty choice; ``wrong_product_class``, naming the line and what to choose;
            ``invalid`` for lines of different cycles; ``already_converted``; ``wrong_state`` for a lost opportunity;
            ``my_company_not_billable``, ``price_on_internal_company``, ``not_found``.
    """
    opportunity, lines = lock_for_conversion(opportunity_id, line_ids)
    share_out(lines)
    _refuse_other_classes(lines, (ProductClass.AGREEMENT,), "an agreement", "Convert it to a sales order.")
    cycle = _shared_cycle(lines)
    start = start_date or min((line.start_date for line in lines if line.start_date), default=on)
    anchor = first_billing_date or max(start, min(line.start_date or start for line in lines))
    firsts = {line.pk: max(line.start_date or start, start) for line in lines}
    lasts = {line.pk: _last_day(cycle, max(firsts[line.pk], anchor), line.cycles) for line in lines}
    end = end_date or _latest(list(lasts.values()))
    agreement = create_agreement(
        actor=actor,
        company_id=opportunity.company_id,
        agreement_type_id=agreement_type_id,
        name=name or opportunity.name,
        start_date=start,
        end_date=end,
        billing_cycle=cycle.code,
        first_billing_date=anchor,
        bill_to_id=bill_to_id,
        site_id=opportunity.site_id,
        tax_code_id=tax_code_id,
        terms_id=terms_id,
        customer_po=opportunity.customer_po,
        opportunity_id=opportunity.pk,
        additions=[
            AdditionInput(
                product_id=line.product_id,
                quantity=line.quantity,
                unit_price=line.unit_price,
                unit_cost=line.unit_cost,
                description=line.description,
                taxable=line.taxable,
                effective_date=firsts[line.pk],
                cancelled_date=_own_end(lasts[line.pk], end),
                origin_id=line.pk,
            )
            for line in lines
        ],
    )
    record_conversion(
        actor=actor,
        opportunity_id=opportunity.pk,
        line_ids=line_ids,
        target=ConversionTarget.AGREEMENT,
        target_id=agreement.pk,
        target_number=agreement.number,
        converted=lines,
    )
    return agreement


@command(roles=(Role.SALES,))
def convert_to_sales_order(
    *,
    actor: Actor,
    opportunity_id: int,
    line_ids: Sequence[int],
    on: date,
    bill_to_id: int | None = None,
    tax_code_id: int | None = None,
    terms_id: int | None = None,
) -> SalesOrder:
    """Make a sales order, dated ``on``, of inventory, non-inventory and service lines.

    Bill-to, tax code and terms are the company's (the tax code the site's first) when they are not given.

    Raises:
        DomainError: ``required`` for an empty choice; ``wrong_product_class``, naming the line and what to choose;
            ``already_converted``; ``wrong_state`` for a lost opportunity; ``my_company_not_billable``,
            ``price_on_internal_company``, ``not_found``.
    """
    opportunity, lines = lock_for_conversion(opportunity_id, line_ids)
    share_out(lines)
    _refuse_other_classes(
        lines, ORDERED, "a sales order", "Convert agreement products to an agreement; order what a bundle is made of."
    )
    order = create_sales_order(
        actor=actor,
        company_id=opportunity.company_id,
        on=on,
        bill_to_id=bill_to_id,
        site_id=opportunity.site_id,
        customer_po=opportunity.customer_po,
        tax_code_id=tax_code_id,
        terms_id=terms_id,
        opportunity_id=opportunity.pk,
        lines=[
            OrderLineInput(
                product_id=line.product_id,
                quantity=line.quantity,
                unit_price=line.unit_price,
                unit_cost=line.unit_cost,
                description=line.description,
                taxable=line.taxable,
                origin_id=line.pk,
            )
            for line in lines
        ],
    )
    record_conversion(
        actor=actor,
        opportunity_id=opportunity.pk,
        line_ids=line_ids,
        target=ConversionTarget.SALES_ORDER,
        target_id=order.pk,
        target_number=order.number,
        converted=lines,
    )
    return order


def _refuse_other_classes(
    lines: Sequence[QuoteLine], classes: Sequence[ProductClass], target: str, instead: str
) -> None:
    wrong = [line for line in lines if line.product.product_class not in classes]
    if not wrong:
        return
    named = ", ".join(f"“{line.description}” ({line.product.product_class})" for line in wrong)
    wanted = " or ".join(classes)
    raise DomainError(
        "wrong_product_class",
        f"{target.capitalize()} takes lines of class {wanted} only, not {named}.",
        field="line_ids",
        hint=instead,
    )


def _shared_cycle(lines: Sequence[QuoteLine]) -> Cycle:
    cycles = {Cycle.parse(line.billing_cycle): line for line in lines}
    if len(cycles) > 1:
        named = ", ".join(f"“{line.description}” is billed {cycle.label.lower()}" for cycle, line in cycles.items())
        raise DomainError(
            "invalid",
            f"An agreement has one billing cycle: {named}.",
            field="line_ids",
            hint="Convert them to an agreement each.",
        )
    return next(iter(cycles))


def _last_day(cycle: Cycle, first: date, cycles: int | None) -> date | None:
    """The last day of ``cycles`` cycles from ``first`` on; ``None`` for an open-ended line."""
    return None if cycles is None else cycle.after(first, cycles) - timedelta(days=1)


def _latest(days: Sequence[date | None]) -> date | None:
    """The latest day, or ``None`` (no ending date) if one of them has none."""
    known = [day for day in days if day is not None]
    return max(known) if len(known) == len(days) else None


def _own_end(last: date | None, end: date | None) -> date | None:
    """An addition's own last day, where it ends before its agreement does."""
    return last if last is not None and (end is None or last < end) else None
