"""Approval: rules decide who must look at a quote before it is sent.

A rule asks for approval where a version gives more discount, less margin or higher amounts than it allows, as quoted or
with whatever the customer may choose instead. Each answer is bound to the hash of the content it was given for: a later
change asks anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Final

from counterfoil.core.bills import quantity_text
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money
from counterfoil.core.quote_choices import Choices, Margin, Measure
from counterfoil.core.quoting import PricedQuote, Sums, percent_of
from counterfoil.platform import audit
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import STAFF, Actor, Role
from counterfoil.platform.records import UNSET, Unset, change, fetch, record_changes, save_checked
from counterfoil.quotes.content import content_hash
from counterfoil.quotes.editing import hold_version, open_version, set_status
from counterfoil.quotes.models import (
    Approval,
    ApprovalMeasure,
    ApprovalRule,
    ApprovalStatus,
    QuoteVersion,
    VersionStatus,
)
from counterfoil.quotes.pricing import choices_of, price_version

SELLERS: Final = (Role.SALES,)
OWNERS: Final = (Role.OWNER,)
#: Who can be named by a rule; a viewer reads and decides nothing.
APPROVERS: Final = (Role.SALES, Role.PROCUREMENT, Role.FINANCE)

refuse_as("approval_asked_once_for_a_content", "conflict", "Somebody else has just asked for approval.")


# -- rules -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """That a rule asks for approval, and why, with figures."""

    rule: ApprovalRule
    reason: str


def findings(version: QuoteVersion, priced: PricedQuote, rules: Iterable[ApprovalRule] | None = None) -> list[Finding]:
    """The active rules that a version falls under, by name (one query without ``rules``).

    Args:
        version: whose approval it is about.
        priced: what it comes to as it is quoted.
        rules: which; all without.
    """
    asked = ApprovalRule.objects.filter(active=True).select_related("approver") if rules is None else rules
    offered = _Offered(version, priced)
    found = []
    for rule in asked:
        if rule.active and (reason := _MEASURES[ApprovalMeasure(rule.measure)](offered, rule.threshold)):
            found.append(Finding(rule, reason))
    return found


class _Offered:
    """A version as it is quoted, and what the customer's choices can make of it."""

    def __init__(self, version: QuoteVersion, priced: PricedQuote) -> None:
        self._version, self.priced = version, priced

    @cached_property
    def choices(self) -> Choices | None:
        """Looked at once, and only for a rule that what is quoted does not fall under already."""
        return choices_of(self._version, self.priced)


def _discount(offered: _Offered, limit: Decimal) -> str:
    """Of the whole, or of any line on offer: an option or alternative too, since the customer may take it."""
    percent = offered.priced.totals.value.discount_percent or Decimal(0)
    deepest = max(
        (line.discount_amount * 100 / line.list_amount for line in offered.priced.lines if line.list_amount > 0),
        default=Decimal(0),
    )
    if percent > limit:
        return f"Discount of {percent} %, more than {quantity_text(limit)} %"
    return f"A line is discounted by more than {quantity_text(limit)} %" if deepest > limit else ""


def _margin(offered: _Offered, limit: Decimal) -> str:
    """As it is quoted; then with all options; then with whatever leaves the lowest."""
    value, options = offered.priced.totals.value, offered.priced.with_options
    if found := _margin_of(Margin(value.price, value.cost), limit):
        return found
    if options is not None and (found := _margin_of(Margin(options.value.price, options.value.cost), limit)):
        return _with("all options", found)
    if offered.choices is None:
        return ""
    return _with("the least profitable choices", _margin_of(offered.choices.least_profitable(), limit))


def _margin_of(value: Margin, limit: Decimal) -> str:
    percent = percent_of(value.price - value.cost, value.price)
    if percent is None:  # given away
        return f"Costs {format_money(value.cost)} and is sold for nothing" if value.cost > 0 else ""
    if value.price > 0 and percent < limit:
        return f"Margin of {percent} %, less than {quantity_text(limit)} %"
    return ""


def _above(words: str, measure: Measure) -> Callable[[_Offered, Decimal], str]:
    """As it is quoted; then with whatever comes to the most."""

    def found(amount: Decimal, limit: Decimal) -> str:
        return f"{words} of {format_money(amount)}, more than {format_money(limit)}" if amount > limit else ""

    def look(offered: _Offered, limit: Decimal) -> str:
        quoted: Sums = getattr(offered.priced.totals, measure)
        if said := found(quoted.price, limit):
            return said
        if offered.choices is None:
            return ""
        return _with("the dearest choices", found(offered.choices.dearest(measure), limit))

    return look


def _with(choices: str, found: str) -> str:
    return f"With {choices}: {found[:1].lower()}{found[1:]}" if found else ""


#: Measure -> what it finds: as quoted, or whatever the customer chooses.
_MEASURES: Final[dict[ApprovalMeasure, Callable[[_Offered, Decimal], str]]] = {
    ApprovalMeasure.DISCOUNT: _discount,
    ApprovalMeasure.MARGIN: _margin,
    ApprovalMeasure.ONE_TIME: _above("One-time total", "one_time"),
    ApprovalMeasure.MONTHLY: _above("Monthly total", "monthly"),
    ApprovalMeasure.TERM: _above("Total over the term", "whole_term"),
}


@command(roles=OWNERS)
def create_approval_rule(
    *,
    actor: Actor,
    name: str,
    measure: str,
    threshold: Decimal,
    approver_id: int | None = None,
    approver_role: str = "",
) -> ApprovalRule:
    """Ask for approval of quotes beyond a threshold: by a person, by anybody who holds a role, or by the owner.

    Raises:
        DomainError: ``invalid``, ``required``, ``not_found``, ``duplicate``.
    """
    rule = ApprovalRule(
        name=name.strip(), measure=measure, threshold=threshold, approver_id=approver_id, approver_role=approver_role
    )
    _check_rule(rule)
    audit.record(actor, "quotes.approval_rule.created", f"made the approval rule {rule}", rule)
    return rule


@command(roles=OWNERS)
def update_approval_rule(
    *,
    actor: Actor,
    rule_id: int,
    name: str | Unset = UNSET,
    measure: str | Unset = UNSET,
    threshold: Decimal | Unset = UNSET,
    approver_id: int | Unset | None = UNSET,
    approver_role: str | Unset = UNSET,
    active: bool | Unset = UNSET,
) -> ApprovalRule:
    """Change what is given of a rule; what was approved stays approved.

    Raises:
        DomainError: ``invalid``, ``required``, ``not_found``, ``duplicate``.
    """
    rule = fetch(ApprovalRule, rule_id, lock=True)
    changes = change(
        rule,
        name=name,
        measure=measure,
        threshold=threshold,
        approver_id=approver_id,
        approver_role=approver_role,
        active=active,
    )
    _check_rule(rule)
    record_changes(actor, "quotes.approval_rule.changed", f"changed the approval rule {rule}", changes, rule)
    return rule


def _check_rule(rule: ApprovalRule) -> None:
    if rule.threshold < 0:
        raise DomainError("invalid", "A threshold cannot be negative.", field="threshold")
    if rule.approver_role and rule.approver_role not in STAFF:
        raise DomainError("invalid", f"There is no role {rule.approver_role}.", field="approver_role")
    if rule.approver_role == Role.VIEWER:
        raise DomainError("invalid", "A viewer reads and decides nothing.", field="approver_role")
    if rule.approver_id is not None and rule.approver_role:
        raise DomainError("invalid", "Name a person or a role, not both.", field="approver_role")
    save_checked(rule)
    if rule.approver is not None and not rule.approver.actor("web").may(*APPROVERS):
        raise DomainError(
            "invalid", f"{rule.approver} has no role that decides anything.", field="approver_id",
            hint="Name somebody of sales, procurement or finance, or an owner.",
        )  # fmt: skip


# -- asking and answering ----------------------------------------------------------------------------------------------


@command(roles=SELLERS)
def submit_for_approval(*, actor: Actor, version_id: int, now: datetime) -> QuoteVersion:
    """Ask those whom the rules name; the version waits in approval.

    Raises:
        DomainError: ``quote_is_sent``; ``wrong_state`` when it waits already or needs nobody's approval; ``required``
            without lines.
    """
    version = open_version(version_id)
    priced = price_version(version)
    if not priced.lines:
        raise DomainError("required", f"{version} has no lines: there is nothing to approve.", field="lines")
    if not (found := findings(version, priced)):
        raise DomainError("wrong_state", f"{version} needs nobody's approval.", hint="Send it.")
    digest = content_hash(version)
    set_status(version, VersionStatus.IN_APPROVAL, content_sha256=digest)
    Approval.objects.filter(version=version).exclude(status=ApprovalStatus.VOID).update(status=ApprovalStatus.VOID)
    Approval.objects.bulk_create(_asked(version, one, digest, actor, now) for one in found)
    reasons = "; ".join(one.reason for one in found)
    audit.record(actor, "quotes.version.submitted", f"asked for approval of {version}: {reasons}", version.quote)
    return version


def _asked(version: QuoteVersion, found: Finding, digest: str, actor: Actor, now: datetime) -> Approval:
    return Approval(
        version=version,
        rule=found.rule,
        reason=found.reason[:200],
        content_sha256=digest,
        asked_at=now,
        asked_by=actor.name,
        asked_by_id_of_user=actor.user_id,
    )


@command(roles=APPROVERS)
def approve_quote(*, actor: Actor, approval_id: int, now: datetime, comment: str = "") -> Approval:
    """Approve what one rule asks for. Nobody approves what they asked for themselves, but the owner.

    Raises:
        DomainError: ``role_required`` for somebody the rule does not name; ``wrong_state`` when it is answered, or the
            content has changed.
    """
    return _answer(actor, approval_id, ApprovalStatus.APPROVED, "approved", now, comment)


@command(roles=APPROVERS)
def reject_quote(*, actor: Actor, approval_id: int, now: datetime, comment: str) -> Approval:
    """Say no, and why: the version is a draft again.

    Raises:
        DomainError: ``required`` without a reason; otherwise as :func:`approve_quote`.
    """
    if not comment.strip():
        raise DomainError("required", "Say what has to be different.", field="comment")
    approval = _answer(actor, approval_id, ApprovalStatus.REJECTED, "rejected", now, comment)
    Approval.objects.filter(version=approval.version, status__in=_LIVING).exclude(pk=approval.pk).update(
        status=ApprovalStatus.VOID
    )
    set_status(approval.version, VersionStatus.DRAFT, content_sha256="")
    return approval


_LIVING: Final = (ApprovalStatus.WAITING, ApprovalStatus.APPROVED)


def _answer(actor: Actor, approval_id: int, status: ApprovalStatus, deed: str, now: datetime, comment: str) -> Approval:
    version = hold_version(fetch(Approval, approval_id, field="approval_id").version_id)
    approval = Approval.objects.select_related("rule__approver").get(pk=approval_id)
    approval.version = version
    _ensure_may_answer(actor, approval)
    if approval.status != ApprovalStatus.WAITING or version.status != VersionStatus.IN_APPROVAL:
        raise DomainError("wrong_state", f"This is {approval.get_status_display().lower()}.", field="status")
    if approval.content_sha256 != content_hash(version):
        raise DomainError(
            "wrong_state", f"{version} has changed since approval was asked for.", hint="Look at it again.",
        )  # fmt: skip
    approval.status, approval.decided_at, approval.decided_by = status, now, actor.name
    approval.comment = comment.strip()
    save_checked(approval)
    said = f"{deed} {version} ({approval.rule})" + (f": {approval.comment}" if approval.comment else "")
    audit.record(
        actor, f"quotes.version.{deed}", said, version.quote, version=version.number,
        content_sha256=approval.content_sha256,
    )  # fmt: skip
    return approval


def may_answer(actor: Actor, approval: Approval) -> bool:
    """Whether somebody may approve or reject."""
    try:
        _ensure_may_answer(actor, approval)
    except DomainError:
        return False
    return True


def _ensure_may_answer(actor: Actor, approval: Approval) -> None:
    if Role.OWNER in actor.roles:
        return
    rule = approval.rule
    if rule.approver is not None:
        named = actor.user_id is not None and actor.user_id == rule.approver_id
    else:
        named = bool(rule.approver_role) and actor.may(Role(rule.approver_role))
    if not named:
        raise DomainError(
            "role_required", f"{actor.name} may not decide on this: it takes {who_of(rule)}.", hint="Ask them."
        )
    if (actor.user_id, actor.name) == (approval.asked_by_id_of_user, approval.asked_by):
        raise DomainError(
            "role_required", f"{actor.name} asked for this approval and cannot give it.",
            hint="Ask somebody else, or the owner.",
        )  # fmt: skip


def who_of(rule: ApprovalRule) -> str:
    """Who decides: a person's name, a role, or the owner."""
    if rule.approver is not None:
        return str(rule.approver)
    return f"the role {rule.approver_role}" if rule.approver_role else "the owner"


def ensure_approved(version: QuoteVersion, priced: PricedQuote) -> None:
    """Refuse to send what a rule wants approved and nobody has approved as it is now.

    Raises:
        DomainError: ``approval_required``, naming why and who.
    """
    if not (found := findings(version, priced)):
        return
    digest = content_hash(version)
    answers = version.approvals.filter(status=ApprovalStatus.APPROVED, content_sha256=digest)
    approved = set(answers.values_list("rule_id", flat=True))
    if left := [one for one in found if one.rule.pk not in approved]:
        said = "; ".join(f"{one.reason} ({who_of(one.rule)})" for one in left)
        raise DomainError(
            "approval_required", f"{version} needs approval first: {said}.",
            hint="Submit it for approval." if version.status == VersionStatus.DRAFT else "Wait for the answer.",
        )  # fmt: skip
