"""Opportunities; quotes with their versions, sections and lines; approval, what the customer does; acceptance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pgtrigger
from django.db import models
from django.db.models import Q

from counterfoil.core.states import allowed
from counterfoil.platform.fields import money_field, price_field, quantity_field
from counterfoil.platform.history import keep_history

if TYPE_CHECKING:
    from counterfoil.quotes.pricing import Recalculated


class OpportunityStatus(models.TextChoices):
    """Where a deal stands."""

    OPEN = "open", "Open"
    WON = "won", "Won"
    LOST = "lost", "Lost"


@keep_history
class Opportunity(models.Model):
    """A deal with a customer: the lines quoted, and the records they are converted to."""

    number = models.CharField(max_length=15, unique=True)
    name = models.CharField(max_length=100)
    company = models.ForeignKey("companies.Company", on_delete=models.PROTECT, related_name="opportunities")
    site = models.ForeignKey("companies.Site", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    contact = models.ForeignKey("companies.Contact", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    status = models.CharField(max_length=6, choices=OpportunityStatus.choices, default=OpportunityStatus.OPEN)
    expected_close = models.DateField(null=True, blank=True)
    customer_po = models.CharField("customer PO", max_length=50, blank=True)
    sales_rep = models.ForeignKey("platform.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "opportunities"
        triggers = [
            pgtrigger.FSM(name="opportunity_status", field="status", transitions=sorted(allowed("opportunity")))
        ]

    def __str__(self) -> str:
        return self.number


# -- quotes ------------------------------------------------------------------------------------------------------------


class QuoteKind(models.TextChoices):
    """What a quote is for."""

    NEW = "new", "New business"
    CHANGE = "change", "Change to an agreement"
    RENEWAL = "renewal", "Renewal"
    COTERM = "coterm", "Co-term"


@keep_history
class Quote(models.Model):
    """What is offered to a customer, in numbered versions of which one is active. A template has no opportunity."""

    number = models.CharField(max_length=15, unique=True)
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=7, choices=QuoteKind.choices, default=QuoteKind.NEW)
    opportunity = models.ForeignKey(Opportunity, null=True, blank=True, on_delete=models.PROTECT, related_name="quotes")
    is_template = models.BooleanField(default=False)
    agreement = models.ForeignKey(
        "agreements.Agreement",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="quotes",
        help_text="Whose additions it changes or renews; new recurring lines join it.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(is_template=True, opportunity__isnull=True)
                | Q(is_template=False, opportunity__isnull=False),
                name="quote_has_an_opportunity_unless_template",
            )
        ]

    def __str__(self) -> str:
        return self.number


class VersionStatus(models.TextChoices):
    """Where a version of a quote stands."""

    DRAFT = "draft", "Draft"
    IN_APPROVAL = "in_approval", "In approval"
    SENT = "sent", "Sent"
    VIEWED = "viewed", "Viewed"
    ACCEPTED = "accepted", "Accepted"
    DECLINED = "declined", "Declined"
    EXPIRED = "expired", "Expired"
    SUPERSEDED = "superseded", "Superseded"
    WITHDRAWN = "withdrawn", "Withdrawn"


#: Staff work on it.
CHANGEABLE: Final = (VersionStatus.DRAFT.value, VersionStatus.IN_APPROVAL.value)
#: The customer can see and accept it.
WITH_CUSTOMER: Final = (VersionStatus.SENT.value, VersionStatus.VIEWED.value)
#: Of a quote, one version at most is one of these.
ACTIVE: Final = (*CHANGEABLE, *WITH_CUSTOMER, VersionStatus.ACCEPTED.value)


class DiscountKind(models.TextChoices):
    """How a discount is given."""

    NONE = "", "No discount"
    PERCENT = "percent", "Per cent"
    AMOUNT = "amount", "Amount"


class DepositKind(models.TextChoices):
    """What is asked for in advance."""

    NONE = "", "No deposit"
    PERCENT = "percent", "Per cent of the one-time total"
    AMOUNT = "amount", "Amount"


@keep_history
class QuoteVersion(models.Model):
    """A numbered version of a quote. Once it is sent its content stands still; an accepted one is the legal record.

    A discount in per cent is taken off every line; one by amount is taken off the one-time lines. ``content_sha256`` is
    that of the content as it was submitted for approval or sent.
    """

    quote = models.ForeignKey(Quote, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveSmallIntegerField(default=1)
    status = models.CharField(max_length=11, choices=VersionStatus.choices, default=VersionStatus.DRAFT)
    comment = models.CharField(max_length=200, blank=True, help_text="What is different; staff only.")
    site = models.ForeignKey("companies.Site", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    contact = models.ForeignKey("companies.Contact", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    currency = models.CharField(max_length=3, default="USD")
    expires_on = models.DateField(null=True, blank=True, help_text="Last day it can be accepted.")
    introduction = models.TextField(max_length=6000, blank=True)
    terms_and_conditions = models.TextField(max_length=60000, blank=True)
    terms = models.ForeignKey(
        "companies.BillingTerms", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    tax_code = models.ForeignKey("tax.TaxCode", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    discount_kind = models.CharField(max_length=7, choices=DiscountKind.choices, blank=True, default="")
    discount_value = price_field(default=0)
    deposit_kind = models.CharField(max_length=7, choices=DepositKind.choices, blank=True, default="")
    deposit_value = price_field(default=0)
    ask_code = models.BooleanField(default=False, help_text="Accepting takes a one-time code sent by mail.")
    content_sha256 = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    viewed_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True, help_text="Accepted, declined, expired or replaced.")
    close_reason = models.TextField(max_length=2000, blank=True)

    #: What the last change of it led to; not stored.
    recalculated: Recalculated | None = None

    class Meta:
        ordering = ["quote_id", "number"]
        constraints = [
            models.UniqueConstraint(fields=["quote", "number"], name="quote_version_number_once"),
            models.UniqueConstraint(
                fields=["quote"], condition=Q(status__in=ACTIVE), name="one_active_version_of_a_quote"
            ),
            models.CheckConstraint(
                condition=Q(discount_value__gte=0) & Q(deposit_value__gte=0), name="quote_version_amounts_not_negative"
            ),
        ]
        triggers = [
            pgtrigger.FSM(name="quote_version_status", field="status", transitions=sorted(allowed("quote_version"))),
            pgtrigger.Trigger(
                name="sent_version_stands_still",
                when=pgtrigger.Before,
                operation=pgtrigger.Update | pgtrigger.Delete,
                condition=~pgtrigger.Q(old__status__in=CHANGEABLE),
                func="""
                    IF TG_OP = 'DELETE' OR
                       (NEW.quote_id, NEW.number, NEW.site_id, NEW.contact_id, NEW.currency, NEW.expires_on,
                        NEW.introduction, NEW.terms_and_conditions, NEW.terms_id, NEW.tax_code_id, NEW.discount_kind,
                        NEW.discount_value, NEW.deposit_kind, NEW.deposit_value, NEW.content_sha256, NEW.sent_at)
                       IS DISTINCT FROM
                       (OLD.quote_id, OLD.number, OLD.site_id, OLD.contact_id, OLD.currency, OLD.expires_on,
                        OLD.introduction, OLD.terms_and_conditions, OLD.terms_id, OLD.tax_code_id, OLD.discount_kind,
                        OLD.discount_value, OLD.deposit_kind, OLD.deposit_value, OLD.content_sha256, OLD.sent_at)
                    THEN
                        RAISE EXCEPTION 'counterfoil:quote_is_sent: What was sent stands still; make a new version.';
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quote} version {self.number}"


def _still_once_sent(name: str, *picked: str) -> pgtrigger.Trigger:
    """A trigger that holds rows of a sent version still, but for the columns that acceptance writes."""
    columns = "'{" + ",".join(picked) + "}'::text[]"
    may = f"v.status IN ('sent', 'viewed') AND to_jsonb(NEW) - {columns} = to_jsonb(OLD) - {columns}"
    allow = f"IF TG_OP = 'UPDATE' AND {may} THEN RETURN NEW; END IF;" if picked else ""
    return pgtrigger.Trigger(
        name=name,
        when=pgtrigger.Before,
        operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
        declare=[("v", "quotes_quoteversion%ROWTYPE")],
        func=f"""
            IF TG_OP = 'INSERT' THEN
                SELECT * INTO v FROM quotes_quoteversion WHERE id = NEW.version_id;
            ELSE
                SELECT * INTO v FROM quotes_quoteversion WHERE id = OLD.version_id;
            END IF;
            IF v.id IS NOT NULL AND v.status NOT IN ('draft', 'in_approval') THEN
                {allow}
                RAISE EXCEPTION 'counterfoil:quote_is_sent: What was sent stands still; make a new version.';
            END IF;
            IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
            RETURN NEW;
        """,  # noqa: S608 - made of column names written below
    )


@keep_history
class QuoteSection(models.Model):
    """A part of a quote with a title and, if wanted, a discount of its own."""

    version = models.ForeignKey(QuoteVersion, on_delete=models.CASCADE, related_name="sections")
    position = models.PositiveIntegerField()
    title = models.CharField(max_length=100)
    text = models.TextField(max_length=6000, blank=True)
    discount_kind = models.CharField(max_length=7, choices=DiscountKind.choices, blank=True, default="")
    discount_value = price_field(default=0)

    class Meta:
        ordering = ["version_id", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["version", "position"],
                deferrable=models.Deferrable.DEFERRED,
                name="quote_section_position_once",
            ),
            models.CheckConstraint(condition=Q(discount_value__gte=0), name="quote_section_discount_not_negative"),
        ]
        triggers = [_still_once_sent("sent_section_stands_still")]

    def __str__(self) -> str:
        return self.title


class LineAction(models.TextChoices):
    """What a line does to an addition that is there already."""

    NEW = "new", "New"
    INCREASE = "increase", "More of an addition"
    DECREASE = "decrease", "Fewer of an addition"
    CANCEL = "cancel", "Cancels an addition"
    RENEW = "renew", "Renews an addition"


class StartPolicy(models.TextChoices):
    """When a recurring line begins."""

    ON_ACCEPTANCE = "on_acceptance", "On acceptance"
    FIXED_DATE = "fixed_date", "On a fixed date"
    ON_DELIVERY = "on_delivery", "On delivery"
    ALIGNED = "aligned", "On acceptance, ending with another's term"


#: What acceptance writes on the lines of a version that was sent: what the customer picked, and what follows from it.
PICKED: Final = (
    "opportunity_id", "quantity", "selected", "unit_price", "start_date", "align_to", "first_amount", "explanation",
)  # fmt: skip


@keep_history
class QuoteLine(models.Model):
    """A line as it was quoted. Everything downstream (addition, order line, invoice line) names it as its ``origin``.

    It stands on an opportunity, or on a version of a quote; that of an accepted version stands on the opportunity as
    well if the customer took it. ``unit_price`` is what is charged per unit and,
    for a recurring line, per billing cycle, all discounts taken off; ``list_price`` is before discounts. The amount of
    a line is quantity x unit price, rounded. A cost without a price is the *purchasing product* of a lease; a
    recurring price without a cost is its *agreement product*. ``billing_cycle`` equal to ``term`` is prepaid. Of a line
    that was accepted, ``quantity`` and ``selected`` are what the customer picked.
    """

    opportunity = models.ForeignKey(Opportunity, null=True, blank=True, on_delete=models.CASCADE, related_name="lines")
    version = models.ForeignKey(QuoteVersion, null=True, blank=True, on_delete=models.CASCADE, related_name="lines")
    section = models.ForeignKey(QuoteSection, null=True, blank=True, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveIntegerField()
    product = models.ForeignKey("catalog.Product", on_delete=models.PROTECT, related_name="quote_lines")
    offer = models.ForeignKey("catalog.Offer", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    description = models.CharField(max_length=200)
    customer_text = models.TextField(max_length=6000, blank=True, help_text="Beneath the description.")
    quantity = quantity_field(default=1)
    quantity_min = quantity_field(null=True, blank=True, help_text="The customer may go down to; empty: as quoted.")
    quantity_max = quantity_field(null=True, blank=True, help_text="The customer may go up to; empty: as quoted.")
    list_price = price_field(default=0, db_default=0, help_text="Per unit and billing cycle, before discounts.")
    unit_price = price_field(default=0)
    unit_cost = price_field(default=0)
    discount_kind = models.CharField(max_length=7, choices=DiscountKind.choices, blank=True, default="", db_default="")
    discount_value = price_field(default=0, db_default=0, help_text="Per cent, or an amount off each billing cycle.")
    price_model = models.ForeignKey(
        "catalog.PriceModel", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    taxable = models.BooleanField(default=True)
    term = models.CharField(max_length=10, blank=True, default="", db_default="", help_text="month:1, year:1, year:3")
    billing_cycle = models.CharField(
        max_length=10, blank=True, help_text="Recurrence of a recurring line (month:1, year:1, ...); empty is one-time."
    )
    cycles = models.PositiveIntegerField(null=True, blank=True, help_text="How many cycles; empty is open-ended.")
    is_usage = models.BooleanField(
        default=False, db_default=False, help_text="Billed by what is used; the quantity is an estimate."
    )
    start_policy = models.CharField(
        max_length=13,
        choices=StartPolicy.choices,
        default=StartPolicy.ON_ACCEPTANCE,
        db_default=StartPolicy.ON_ACCEPTANCE,
    )
    start_date = models.DateField(null=True, blank=True, help_text="First day billed, of a recurring line.")
    align_to = models.DateField(null=True, blank=True, help_text="The anniversary: first day after its term.")
    proration = models.CharField(max_length=24, blank=True, default="", db_default="")
    first_amount = money_field(null=True, blank=True, help_text="Of a first period that is shortened by a co-term.")
    explanation = models.CharField(max_length=300, blank=True, default="", db_default="")
    optional = models.BooleanField(default=False, db_default=False, help_text="The customer may take it or leave it.")
    selected = models.BooleanField(default=True, db_default=True, help_text="It counts in the totals.")
    choice_group = models.CharField(
        max_length=40, blank=True, default="", db_default="", help_text="Of the lines of a group, one is chosen."
    )
    bundle = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="components", help_text="Its bundle."
    )
    bundle_quantity = quantity_field(null=True, blank=True, help_text="So many for each bundle.")
    fixed_quantity = models.BooleanField(default=False, db_default=False, help_text="Whatever number of bundles.")
    hidden = models.BooleanField(default=False, db_default=False, help_text="The customer does not see it.")
    action = models.CharField(
        max_length=8, choices=LineAction.choices, default=LineAction.NEW, db_default=LineAction.NEW
    )
    addition = models.ForeignKey(
        "agreements.Addition",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="quoted_changes",
        help_text="What the line changes, cancels or renews.",
    )

    class Meta:
        ordering = ["opportunity_id", "version_id", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["opportunity", "position"],
                condition=Q(version__isnull=True),
                name="quote_line_position_once",
            ),
            models.UniqueConstraint(
                fields=["version", "position"],
                deferrable=models.Deferrable.DEFERRED,
                name="version_line_position_once",
            ),
            models.CheckConstraint(
                condition=Q(opportunity__isnull=False) | Q(version__isnull=False), name="quote_line_belongs_somewhere"
            ),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="quote_line_quantity_positive"),
            models.CheckConstraint(
                condition=Q(unit_price__gte=0) & Q(unit_cost__gte=0) & Q(list_price__gte=0) & Q(discount_value__gte=0),
                name="quote_line_amounts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(action="new", addition__isnull=True) | (~Q(action="new") & Q(addition__isnull=False)),
                name="quote_line_action_names_its_addition",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="converted_line_is_locked",
                when=pgtrigger.Before,
                operation=pgtrigger.Update | pgtrigger.Delete,
                func="""
                    IF EXISTS (SELECT 1 FROM quotes_lineconversion WHERE line_id = OLD.id) THEN
                        RAISE EXCEPTION 'counterfoil:already_converted: The line has been converted and is locked.';
                    END IF;
                    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
                    RETURN NEW;
                """,
            ),
            _still_once_sent("sent_line_stands_still", *PICKED),
        ]

    def __str__(self) -> str:
        return self.description

    @property
    def is_recurring(self) -> bool:
        """Whether it is billed cycle after cycle."""
        return bool(self.billing_cycle)

    @property
    def is_prepaid(self) -> bool:
        """Whether the whole term is billed at once, in advance."""
        return bool(self.term) and self.term == self.billing_cycle


# -- approval ----------------------------------------------------------------------------------------------------------


class ApprovalMeasure(models.TextChoices):
    """What an approval rule looks at."""

    DISCOUNT = "discount", "Discount above, % of list"
    MARGIN = "margin", "Margin below, %"
    ONE_TIME = "one_time", "One-time total above"
    MONTHLY = "monthly", "Monthly total above"
    TERM = "term", "Total over the term above"


@keep_history
class ApprovalRule(models.Model):
    """When somebody has to approve a quote before it is sent: a person, or anybody who holds a role."""

    name = models.CharField(max_length=100, unique=True)
    measure = models.CharField(max_length=8, choices=ApprovalMeasure.choices)
    threshold = price_field(help_text="Per cent (15 is 15 %) or an amount.")
    approver = models.ForeignKey("platform.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    approver_role = models.CharField(max_length=11, blank=True, help_text="Where no person is named; empty: the owner.")
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ApprovalStatus(models.TextChoices):
    """What became of a request for approval. One whose content has changed since is void."""

    WAITING = "waiting", "Waiting"
    APPROVED = "approved", "Approved"
    REJECTED = "rejected", "Rejected"
    VOID = "void", "Void: the content has changed"


@keep_history
class Approval(models.Model):
    """A rule's request for approval of one content of a version, and the answer."""

    version = models.ForeignKey(QuoteVersion, on_delete=models.CASCADE, related_name="approvals")
    rule = models.ForeignKey(ApprovalRule, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=200, help_text="What the rule found, with figures.")
    content_sha256 = models.CharField(max_length=64)
    status = models.CharField(max_length=8, choices=ApprovalStatus.choices, default=ApprovalStatus.WAITING)
    asked_at = models.DateTimeField()
    asked_by = models.CharField(max_length=200)
    asked_by_id_of_user = models.BigIntegerField(null=True, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=200, blank=True)
    comment = models.TextField(max_length=2000, blank=True)

    class Meta:
        ordering = ["version_id", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["version", "rule", "content_sha256"],
                condition=~Q(status="void"),
                name="approval_asked_once_for_a_content",
            )
        ]


# -- the customer ------------------------------------------------------------------------------------------------------


class QuoteSettings(models.Model):
    """How quotes are made and accepted here. One row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    valid_days = models.PositiveSmallIntegerField(default=30, help_text="A new quote expires after so many days.")
    terms_and_conditions = models.TextField(max_length=60000, blank=True)
    consent = models.TextField(
        max_length=2000,
        default="I have read this quote and its terms and conditions, I may sign for my company, and I accept them.",
    )
    ask_code = models.BooleanField(default=False, help_text="Accepting takes a one-time code sent by mail.")
    calendar_secret = models.CharField(max_length=64, blank=True, help_text="In the address of the renewal calendar.")

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_row_of_quote_settings")]


@keep_history
class QuoteLink(models.Model):
    """A customer's way to a quote, without an account: its address is signed, expires and can be revoked."""

    quote = models.ForeignKey(Quote, on_delete=models.CASCADE, related_name="links")
    name = models.CharField(max_length=100, blank=True)
    email = models.EmailField(blank=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["quote_id", "id"]


class VisitKind(models.TextChoices):
    """What a customer did."""

    VIEWED = "viewed", "Looked at it"
    ASKED = "asked", "Asked a question"
    CODE_SENT = "code_sent", "Asked for a code"
    CODE_WRONG = "code_wrong", "Entered a wrong code"
    DOWNLOADED = "downloaded", "Downloaded the PDF"
    DECLINED = "declined", "Declined"
    ACCEPTED = "accepted", "Accepted"


class QuoteVisit(models.Model):
    """That a customer did something by a link: when, from where, with which browser. Never changed."""

    link = models.ForeignKey(QuoteLink, on_delete=models.CASCADE, related_name="visits")
    version = models.ForeignKey(QuoteVersion, on_delete=models.CASCADE, related_name="visits")
    kind = models.CharField(max_length=10, choices=VisitKind.choices)
    at = models.DateTimeField()
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=400, blank=True)

    class Meta:
        ordering = ["-id"]
        triggers = [pgtrigger.Protect(name="visit_is_final", operation=pgtrigger.Update)]


class QuoteMessage(models.Model):
    """A question of the customer, or our answer."""

    version = models.ForeignKey(QuoteVersion, on_delete=models.CASCADE, related_name="messages")
    from_customer = models.BooleanField()
    author = models.CharField(max_length=200)
    text = models.TextField(max_length=4000)
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        triggers = [pgtrigger.Protect(name="message_is_final", operation=pgtrigger.Update)]


class OneTimeCode(models.Model):
    """A code sent by mail that proves who accepts. Its hash is kept, not the code."""

    link = models.ForeignKey(QuoteLink, on_delete=models.CASCADE, related_name="codes")
    version = models.ForeignKey(QuoteVersion, on_delete=models.CASCADE, related_name="+")
    email = models.EmailField()
    code_sha256 = models.CharField(max_length=64)
    expires_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]


class SignatureKind(models.TextChoices):
    """How somebody signed."""

    TYPED = "typed", "Typed name"
    DRAWN = "drawn", "Drawn"


class Acceptance(models.Model):
    """The legal record: what was accepted, by whom, when, from where, and the signed PDF. Nothing changes it.

    ``record`` is the canonical JSON (RFC 8785) of what was accepted, byte for byte; ``pdf`` is made of the same content
    with the record attached, and signed.
    """

    version = models.OneToOneField(QuoteVersion, primary_key=True, on_delete=models.PROTECT, related_name="acceptance")
    link = models.ForeignKey(QuoteLink, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=100)
    title = models.CharField(max_length=100, blank=True)
    email = models.EmailField(blank=True)
    customer_po = models.CharField("customer PO", max_length=50, blank=True)
    consent = models.TextField(max_length=2000)
    signature_kind = models.CharField(max_length=5, choices=SignatureKind.choices)
    signature = models.TextField(max_length=100_000, help_text="The typed name, or the drawn strokes as an SVG path.")
    code_verified = models.BooleanField(default=False)
    accepted_at = models.DateTimeField()
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=400, blank=True)
    record = models.BinaryField()
    record_sha256 = models.CharField(max_length=64)
    pdf = models.BinaryField()
    pdf_sha256 = models.CharField(max_length=64)
    certificate_sha256 = models.CharField(max_length=64, help_text="Of the certificate the PDF is signed with.")

    class Meta:
        triggers = [pgtrigger.Protect(name="acceptance_is_final", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"Acceptance of {self.version}"


# -- conversion --------------------------------------------------------------------------------------------------------


@keep_history
class ConversionRule(models.Model):
    """What an accepted line becomes; the first rule that fits holds. What is empty fits everything."""

    position = models.PositiveSmallIntegerField(unique=True)
    product_class = models.CharField(max_length=12, blank=True)
    category = models.ForeignKey("catalog.Category", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    recurring = models.BooleanField(null=True, blank=True, help_text="Recurring lines, one-time lines, or both.")
    target = models.CharField(max_length=12, choices=[
        ("agreement", "Agreement"), ("sales_order", "Sales order"), ("later", "Kept for later"),
    ])  # fmt: skip
    agreement_type = models.ForeignKey(
        "agreements.AgreementType", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    join_running = models.BooleanField(
        default=False, db_default=False, help_text="Joins the customer's running agreement of that type and cycle."
    )

    class Meta:
        ordering = ["position"]


class ConversionTarget(models.TextChoices):
    """What quote lines can be converted to."""

    AGREEMENT = "agreement", "Agreement"
    SALES_ORDER = "sales_order", "Sales order"
    NOTHING = "nothing", "Nothing: cancelled"


class LineConversion(models.Model):
    """That a quote line was converted, once, and to what. A converted line is locked.

    A component of a bundle takes its share of the bundle's own price and cost along: ``unit_price`` and ``unit_cost``
    are then what it was converted at; they are empty where it is the line's own.
    """

    line = models.OneToOneField(QuoteLine, on_delete=models.PROTECT, related_name="conversion")
    target = models.CharField(max_length=12, choices=ConversionTarget.choices)
    target_id = models.BigIntegerField()
    target_number = models.CharField(max_length=15)
    unit_price = price_field(null=True, blank=True)
    unit_cost = price_field(null=True, blank=True)
    converted_at = models.DateTimeField()
    converted_by = models.CharField(max_length=200)

    class Meta:
        triggers = [pgtrigger.Protect(name="conversion_is_final", operation=pgtrigger.Update | pgtrigger.Delete)]
