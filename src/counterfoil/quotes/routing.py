"""Conversion rules: what an accepted line becomes. They are read in order, and the first that fits holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import QuerySet

from counterfoil.catalog.models import ProductClass
from counterfoil.core.errors import DomainError
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.records import check_fields, contents_of
from counterfoil.quotes.models import ConversionRule, QuoteLine

AGREEMENT: Final = "agreement"
SALES_ORDER: Final = "sales_order"
LATER: Final = "later"


@dataclass(frozen=True, slots=True)
class ConversionRuleInput:
    """A rule as it is written; what is empty fits every line.

    Attributes:
        target: ``agreement``, ``sales_order`` or ``later`` (kept, for a project or for somebody to decide).
        product_class: Agreement, Inventory, NonInventory or Service.
        category_id: of the product.
        recurring: recurring lines, one-time lines, or (null) both.
        agreement_type_id: the template of a new agreement; needed for ``agreement``.
        join_running: additions join the customer's running agreement of that type and billing cycle, if there is one.
    """

    target: str
    product_class: str = ""
    category_id: int | None = None
    recurring: bool | None = None
    agreement_type_id: int | None = None
    join_running: bool = False


@command(roles=(Role.SALES, Role.FINANCE))
def set_conversion_rules(*, actor: Actor, rules: Sequence[ConversionRuleInput]) -> list[ConversionRule]:
    """Write all rules anew, in the order in which they are read. Quotes accepted before stay as they were converted.

    Raises:
        DomainError: ``required`` for an agreement without a type; ``invalid`` for a class or target there is not, or
            for one-time lines that were to become an agreement; ``not_found``.
    """
    made = [_rule(position, given) for position, given in enumerate(rules, start=1)]
    if contents_of(ConversionRule.objects.order_by("position")) == contents_of(made):
        audit.record_nothing()
        return list(ConversionRule.objects.order_by("position"))
    ConversionRule.objects.all().delete()
    ConversionRule.objects.bulk_create(made)
    said = "; ".join(map(words, made)) or "none: everything is kept for later"
    audit.record(actor, "quotes.conversion_rules.set", f"set the conversion rules: {said}")
    return made


def _rule(position: int, given: ConversionRuleInput) -> ConversionRule:
    prefix = f"rules[{position - 1}]."
    if given.product_class and given.product_class not in ProductClass.values:
        raise DomainError("invalid", f"There is no class {given.product_class}.", field=f"{prefix}product_class")
    if given.target == AGREEMENT and given.agreement_type_id is None:
        raise DomainError("required", "Choose the agreement's type.", field=f"{prefix}agreement_type_id")
    if given.target == AGREEMENT and given.recurring is False:
        raise DomainError(
            "invalid", "What is sold once is not billed with an agreement.", field=f"{prefix}target",
            hint="Choose a sales order, or keep it for later.",
        )  # fmt: skip
    is_agreement = given.target == AGREEMENT
    rule = ConversionRule(
        position=position,
        product_class=given.product_class,
        category_id=given.category_id,
        recurring=given.recurring,
        target=given.target,
        agreement_type_id=given.agreement_type_id if is_agreement else None,
        join_running=given.join_running and is_agreement,
    )
    check_fields(rule, prefix=prefix)
    return rule


def conversion_rules() -> QuerySet[ConversionRule]:
    """All rules, in the order in which they are read."""
    return ConversionRule.objects.select_related("category", "agreement_type")


def rule_for(line: QuoteLine, rules: Iterable[ConversionRule]) -> ConversionRule | None:
    """The first rule that fits a line; ``None`` when none does, and it is kept for later."""
    return next((rule for rule in rules if _fits(rule, line)), None)


def _fits(rule: ConversionRule, line: QuoteLine) -> bool:
    if rule.target == AGREEMENT and not line.is_recurring:
        return False
    return (
        (not rule.product_class or rule.product_class == line.product.product_class)
        and (rule.category_id is None or rule.category_id == line.product.category_id)
        and (rule.recurring is None or rule.recurring == line.is_recurring)
    )


def words(rule: ConversionRule) -> str:
    """``recurring Agreement lines become a Managed service agreement``."""
    what = [] if rule.recurring is None else ["recurring" if rule.recurring else "one-time"]
    what += [rule.product_class] if rule.product_class else []
    what += [f"lines of {rule.category}"] if rule.category is not None else ["lines"]
    if rule.target == AGREEMENT:
        joined = "join a running, or become a new," if rule.join_running else "become a"
        return f"{' '.join(what)} {joined} {rule.agreement_type} agreement"
    return f"{' '.join(what)} {'go on a sales order' if rule.target == SALES_ORDER else 'are kept for later'}"
