"""Invoices with their lines and taxes, and what customers paid.

An invoice is a draft until it is closed. A closed invoice has its number, copies the bill-to's name and address, and
never changes: triggers refuse it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from counterfoil.companies.models import CompanyKind
from counterfoil.core.states import allowed
from counterfoil.platform.fields import money_field, price_field, quantity_field
from counterfoil.platform.history import keep_history

#: What stands in the explanation of a line behind its quantity and unit price when somebody has entered them by hand.
ENTERED_BY: Final = ", entered by "


class InvoiceType(models.TextChoices):
    """What an invoice bills; fixed from the first."""

    STANDARD = "standard", "Standard"
    AGREEMENT = "agreement", "Agreement"
    PROGRESS = "progress", "Progress"
    DOWN_PAYMENT = "down_payment", "Down payment"
    MISCELLANEOUS = "miscellaneous", "Miscellaneous"
    CREDIT_MEMO = "credit_memo", "Credit memo"


class InvoiceStatus(models.TextChoices):
    """A draft can be changed or deleted; a closed invoice cannot."""

    DRAFT = "draft", "Draft"
    CLOSED = "closed", "Closed"


class LineKind(models.TextChoices):
    """What a line is for, to sales tax and to the reader."""

    SERVICE = "service", "Service"
    EXPENSE = "expense", "Expense"
    PRODUCT = "product", "Product"


def part_of_closed_invoice(operation: pgtrigger.Operation, row: str) -> pgtrigger.Trigger:
    """Refuse to ``operation`` a part (line, tax) of a closed invoice."""
    return pgtrigger.Trigger(
        name=f"closed_invoice_{row.lower()}",
        when=pgtrigger.Before,
        operation=operation,
        func=f"""
            IF EXISTS (SELECT 1 FROM billing_invoice WHERE id = {row}.invoice_id AND status = 'closed') THEN
                RAISE EXCEPTION 'counterfoil:posted_is_locked: The invoice is closed; its lines cannot be changed.';
            END IF;
            IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
            RETURN NEW;
        """,  # noqa: S608 - the row is OLD or NEW, never input
    )


def counted_parts(table: str, count: str) -> pgtrigger.Trigger:
    """Refuse further rows of ``table`` for an invoice that is closed: its ``count`` seals how many it has.

    One look at all rows of a statement: a trigger for each row would cost more than the row. It is planned at each look
    (EXECUTE): a plan that was kept from an empty table would be slow for ever. A closed invoice that is written in bulk
    comes after its parts, and is checked itself.
    """
    return pgtrigger.Trigger(
        name="closed_invoice_is_sealed",
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=pgtrigger.Insert,
        referencing=pgtrigger.Referencing(new="new_parts"),  # type: ignore[no-untyped-call]
        declare=[("is_late", "BOOLEAN")],
        func=f"""
            EXECUTE $query$
                SELECT EXISTS (
                    SELECT 1 FROM (SELECT DISTINCT invoice_id FROM new_parts) n
                    JOIN billing_invoice i ON i.id = n.invoice_id
                    WHERE i.status = 'closed'
                        AND i.{count} <> (SELECT count(*) FROM {table} p WHERE p.invoice_id = i.id)
                )
            $query$ INTO is_late;
            IF is_late THEN
                RAISE EXCEPTION 'counterfoil:posted_is_locked: The invoice is closed; its lines cannot be changed.';
            END IF;
            RETURN NULL;
        """,  # noqa: S608 - the names come from our own models, never from input
    )


#: Refuses closed invoices whose lines and taxes are not there or do not add up to them.
_COMPLETE = """
    EXECUTE $query$
        SELECT n.number
        FROM new_invoices n
        CROSS JOIN LATERAL (
            SELECT count(*) AS parts, coalesce(sum(amount), 0) AS amount, coalesce(sum(tax_amount), 0) AS tax,
                coalesce(sum(cost), 0) AS cost
            FROM billing_invoiceline p WHERE p.invoice_id = n.id
        ) l
        CROSS JOIN LATERAL (
            SELECT count(*) AS parts, coalesce(sum(amount), 0) AS tax
            FROM billing_invoicetax p WHERE p.invoice_id = n.id
        ) t
        WHERE n.status = 'closed' AND (
            n.line_count <> l.parts OR n.tax_count <> t.parts OR n.subtotal <> l.amount OR n.tax_total <> t.tax
            OR n.tax_total <> l.tax OR n.cost_total <> l.cost
        )
        LIMIT 1
    $query$ INTO bad;
    IF bad.number IS NOT NULL THEN
        RAISE EXCEPTION 'counterfoil:unbalanced: Invoice % does not add up to its lines and taxes.', bad.number;
    END IF;
    RETURN NULL;
"""


def adds_up(name: str, operation: pgtrigger.Operation) -> pgtrigger.Trigger:
    """Check that invoices add up to their parts from the moment they are closed."""
    return pgtrigger.Trigger(
        name=name,
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=operation,
        referencing=pgtrigger.Referencing(new="new_invoices"),  # type: ignore[no-untyped-call]
        declare=[("bad", "RECORD")],
        func=_COMPLETE,
    )


@keep_history
class Invoice(models.Model):
    """A customer invoice or credit memo.

    An internal company is invoiced at zero price only; My Company never. One agreement and period is invoiced once:
    ``revision`` 0 is the period's invoice. A further one is either an adjustment (``is_adjustment``: what changed after
    the period was billed) or the reissue of one that was reversed.

    ``balance`` is what is open of a closed invoice: its total less payments and credits. Triggers on those keep it, and
    it is the one thing that changes on a closed invoice. A credit memo's total is at most zero; its balance is what of
    it has not been applied.
    """

    number = models.CharField(max_length=15, unique=True, null=True, blank=True, help_text="Given when it is closed.")
    type = models.CharField(max_length=13, choices=InvoiceType.choices)
    status = models.CharField(max_length=6, choices=InvoiceStatus.choices, default=InvoiceStatus.DRAFT)
    company = models.ForeignKey("companies.Company", on_delete=models.PROTECT, related_name="invoices")
    bill_to = models.ForeignKey(
        "companies.Company", on_delete=models.PROTECT, related_name="billed_invoices", db_index=False
    )
    bill_to_kind = models.CharField(max_length=12, choices=CompanyKind.choices)
    bill_to_name = models.CharField(max_length=100)
    bill_to_address = models.TextField(blank=True)
    attention = models.CharField(max_length=100, blank=True)
    site = models.ForeignKey(
        "companies.Site", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    date = models.DateField()
    due_date = models.DateField()
    terms_name = models.CharField("terms", max_length=40, blank=True)
    agreement = models.ForeignKey(
        "agreements.Agreement",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="invoices",
        db_index=False,
    )
    period_start = models.DateField(null=True, blank=True)
    period_end = models.DateField(null=True, blank=True, help_text="First day after the period.")
    revision = models.PositiveSmallIntegerField(default=0)
    is_adjustment = models.BooleanField(default=False)
    reissues = models.OneToOneField("self", null=True, blank=True, on_delete=models.PROTECT, related_name="reissued_by")
    credits = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="credit_memos",
        help_text="The invoice that this credit memo corrects.",
    )
    reverses = models.OneToOneField(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="reversed_by",
        help_text="The invoice that this credit memo takes back whole.",
    )
    sales_order = models.ForeignKey(
        "orders.SalesOrder", null=True, blank=True, on_delete=models.PROTECT, related_name="invoices"
    )
    ticket = models.CharField(max_length=30, blank=True)
    customer_po = models.CharField("customer PO", max_length=50, blank=True)
    reference = models.CharField(max_length=50, blank=True)
    top_comment = models.TextField(max_length=6000, blank=True)
    bottom_comment = models.TextField(max_length=6000, blank=True)
    tax_code = models.ForeignKey(
        "tax.TaxCode", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    subtotal = money_field(default=0)
    tax_total = money_field(default=0)
    total = money_field(default=0)
    cost_total = money_field(default=0)
    balance = money_field(default=0)
    line_count = models.PositiveIntegerField(default=0)
    tax_count = models.PositiveSmallIntegerField(default=0)
    run = models.ForeignKey(
        "billing.BillingRun",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="invoices",
        db_constraint=False,
    )
    closed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-date", "-id"]
        indexes = [
            models.Index(fields=["bill_to", "date"], name="invoices_of_bill_to"),
            models.Index(fields=["-date", "-id"], name="invoices_newest_first"),
            models.Index(fields=["due_date"], name="open_invoices", condition=~Q(balance=0)),
            models.Index(fields=["status"], name="draft_invoices", condition=Q(status="draft")),
            models.Index(fields=["bill_to"], name="down_payments", condition=Q(type="down_payment")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["agreement", "period_start", "revision"],
                name="one_invoice_per_agreement_and_period",
            ),
            models.CheckConstraint(
                condition=Q(revision=0) | Q(is_adjustment=True) | Q(reissues__isnull=False),
                name="further_invoice_of_a_period_says_why",
            ),
            models.CheckConstraint(
                condition=Q(total=F("subtotal") + F("tax_total")), name="invoice_total_is_subtotal_and_tax"
            ),
            models.CheckConstraint(
                condition=Q(type="credit_memo", total__lte=0) | (~Q(type="credit_memo") & Q(total__gte=0)),
                name="only_credit_memos_are_negative",
            ),
            models.CheckConstraint(
                condition=Q(status="draft", balance=0)
                | Q(status="closed", total__gte=0, balance__gte=0, balance__lte=F("total"))
                | Q(status="closed", total__lte=0, balance__lte=0, balance__gte=F("total")),
                name="no_more_settled_than_owed",
            ),
            models.CheckConstraint(
                condition=Q(credits__isnull=True) | Q(type="credit_memo"), name="credit_memos_credit"
            ),
            models.CheckConstraint(
                condition=Q(reverses__isnull=True) | Q(credits=F("reverses")),
                name="a_reversal_credits_what_it_reverses",
            ),
            models.CheckConstraint(condition=~Q(bill_to_kind="my_company"), name="my_company_is_not_billed"),
            models.CheckConstraint(
                condition=~Q(bill_to_kind="internal") | Q(total=0, subtotal=0), name="internal_company_at_zero_price"
            ),
            models.CheckConstraint(
                condition=Q(status="draft") | Q(number__isnull=False), name="closed_invoice_has_its_number"
            ),
            models.CheckConstraint(condition=Q(due_date__gte=F("date")), name="due_on_or_after_invoice_date"),
            models.CheckConstraint(
                condition=Q(period_end__isnull=True) | Q(period_end__gt=F("period_start")), name="invoice_period_order"
            ),
        ]
        triggers = [
            pgtrigger.FSM(name="invoice_status", field="status", transitions=sorted(allowed("invoice"))),
            pgtrigger.Protect(
                name="invoice_is_closed",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "OLD.status = 'closed' AND (to_jsonb(OLD) - 'balance') IS DISTINCT FROM (to_jsonb(NEW) - 'balance')"
                ),
            ),
            pgtrigger.Protect(
                name="closed_invoice_is_kept",
                operation=pgtrigger.Delete,
                condition=pgtrigger.Q(old__status="closed"),
            ),
            adds_up("closed_invoice_adds_up", pgtrigger.Insert),
            adds_up("closing_invoice_adds_up", pgtrigger.Update),
        ]

    def __str__(self) -> str:
        return self.number or f"draft {self.pk}"

    @property
    def settled(self) -> Decimal:
        """What has been paid and credited of a closed invoice."""
        return self.total - self.balance if self.status == InvoiceStatus.CLOSED else Decimal(0)

    @property
    def is_credit_memo(self) -> bool:
        """Whether it gives back."""
        return self.type == InvoiceType.CREDIT_MEMO


@keep_history
class InvoiceLine(models.Model):
    """A line of an invoice. ``amount`` is before tax; ``cost`` is what the line costs us, in total.

    ``amount`` = quantity x unit price - ``covered_amount`` (what an agreement has paid for). ``released_amount`` is
    what covered work earns of what was billed ahead. ``deferred`` says that the amount is billed ahead.
    ``period_start`` and ``period_end`` are the agreement's period the line bills, ``service_start`` and
    ``service_end`` the days of it (all half-open). ``relieves_stock`` marks a shipped inventory product: its ``cost``
    leaves inventory for COGS when the invoice is transferred to the books. ``hidden`` marks covered work that the
    agreement does not show; it comes to nothing.

    What a line refers to is checked by one look at all lines of a statement instead of a foreign key for each row.
    """

    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, related_name="lines", db_index=False)
    position = models.PositiveIntegerField()
    kind = models.CharField(max_length=7, choices=LineKind.choices, default=LineKind.PRODUCT)
    product = models.ForeignKey(
        "catalog.Product",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="invoice_lines",
        db_constraint=False,
        db_index=False,
    )
    description = models.CharField(max_length=200)
    quantity = quantity_field()
    unit_price = price_field()
    amount = money_field()
    cost = money_field(default=0)
    relieves_stock = models.BooleanField(default=False, db_default=False)
    taxable = models.BooleanField(default=True)
    tax_amount = money_field(default=0)
    explanation = models.CharField(max_length=300, blank=True, help_text="How the amount came to be, in words.")
    hidden = models.BooleanField(default=False, db_default=False, help_text="Covered work the customer is not shown.")
    covered_quantity = quantity_field(default=0, db_default=0)
    covered_amount = money_field(default=0, db_default=0)
    released_amount = money_field(default=0, db_default=0)
    deferred = models.BooleanField(default=False)
    agreement = models.ForeignKey(
        "agreements.Agreement",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
        help_text="Whose billing amount, addition, coverage or overage it is.",
    )
    addition = models.ForeignKey(
        "agreements.Addition",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="invoice_lines",
        db_constraint=False,
        db_index=False,
    )
    period_start = models.DateField(null=True, blank=True)
    period_end = models.DateField(null=True, blank=True)
    service_start = models.DateField(null=True, blank=True)
    service_end = models.DateField(null=True, blank=True)
    charge = models.ForeignKey(
        "usage.Charge", null=True, blank=True, on_delete=models.PROTECT, related_name="invoice_lines", db_index=False
    )
    order_line = models.ForeignKey(
        "orders.SalesOrderLine",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="invoice_lines",
        db_index=False,
    )
    down_payment = models.ForeignKey(
        Invoice,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="applied_lines",
        db_index=False,
        help_text="The down payment that this (negative) line takes into account.",
    )
    credited_line = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="credit_lines", db_index=False
    )
    origin = models.ForeignKey(
        "quotes.QuoteLine",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="invoice_lines",
        db_constraint=False,
        db_index=False,
    )

    class Meta:
        ordering = ["invoice_id", "position"]
        indexes = [
            models.Index(fields=["addition"], name="lines_of_addition", condition=Q(addition__isnull=False)),
            models.Index(fields=["charge"], name="lines_of_charge", condition=Q(charge__isnull=False)),
            models.Index(fields=["order_line"], name="lines_of_order_line", condition=Q(order_line__isnull=False)),
            models.Index(fields=["product"], name="lines_relieving_stock", condition=Q(relieves_stock=True)),
            models.Index(fields=["origin"], name="lines_of_origin", condition=Q(origin__isnull=False)),
            models.Index(
                fields=["down_payment"], name="lines_of_down_payment", condition=Q(down_payment__isnull=False)
            ),
            models.Index(
                fields=["credited_line"], name="lines_of_credited_line", condition=Q(credited_line__isnull=False)
            ),
            models.Index(
                fields=["agreement"], name="lines_of_prepaid_work", condition=Q(deferred=True) | ~Q(released_amount=0)
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["invoice", "position"], name="invoice_line_position_once"),
            models.CheckConstraint(
                condition=Q(service_end__isnull=True) | Q(service_end__gt=F("service_start")), name="service_days_order"
            ),
        ]
        triggers = [
            counted_parts("billing_invoiceline", "line_count"),
            part_of_closed_invoice(pgtrigger.Update, "NEW"),
            part_of_closed_invoice(pgtrigger.Update | pgtrigger.Delete, "OLD"),
        ]

    def __str__(self) -> str:
        return self.description


class InvoiceTax(models.Model):
    """One level of sales tax on an invoice. The amounts of all levels add up to the invoice's ``tax_total``."""

    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, related_name="taxes", db_index=False)
    position = models.PositiveSmallIntegerField()
    level = models.CharField(max_length=40)
    agency = models.CharField(max_length=60)
    rate = price_field()
    taxable_amount = money_field()
    exempt_amount = money_field(default=0)
    amount = money_field()

    class Meta:
        ordering = ["invoice_id", "position"]
        constraints = [models.UniqueConstraint(fields=["invoice", "position"], name="invoice_tax_position_once")]
        triggers = [
            counted_parts("billing_invoicetax", "tax_count"),
            part_of_closed_invoice(pgtrigger.Update, "NEW"),
            part_of_closed_invoice(pgtrigger.Update | pgtrigger.Delete, "OLD"),
        ]


def settles(name: str, effect: str) -> pgtrigger.Trigger:
    """Keep the balances of invoices: new rows of a table settle them by ``effect`` (SQL: invoice id, amount)."""
    return pgtrigger.Trigger(
        name=name,
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=pgtrigger.Insert,
        referencing=pgtrigger.Referencing(new="new_rows"),  # type: ignore[no-untyped-call]
        func=f"""
            UPDATE billing_invoice i SET balance = i.balance - s.amount
            FROM (SELECT e.invoice_id, sum(e.amount) AS amount FROM ({effect}) e GROUP BY 1) s
            WHERE i.id = s.invoice_id;
            RETURN NULL;
        """,  # noqa: S608 - the names come from our own models, never from input
    )


def uses_payments(name: str, rows: str, left: str) -> pgtrigger.Trigger:
    """Keep what is left of payments: ``left`` (SQL) for those that ``rows`` (SQL on the new rows) name."""
    return pgtrigger.Trigger(
        name=name,
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=pgtrigger.Insert,
        referencing=pgtrigger.Referencing(new="new_rows"),  # type: ignore[no-untyped-call]
        func=f"""
            UPDATE billing_payment p SET unapplied = {left} FROM ({rows}) n WHERE p.id = n.payment_id;
            RETURN NULL;
        """,  # noqa: S608 - the words come from our own models, never from input
    )


class Payment(models.Model):
    """Money received from a customer; booked when it is recorded.

    ``unapplied`` is what of it settles no invoice yet; triggers keep it. It is nothing once the payment is taken back.
    """

    number = models.CharField(max_length=15, unique=True)
    company = models.ForeignKey("companies.Company", on_delete=models.PROTECT, related_name="payments")
    date = models.DateField()
    amount = money_field()
    bank_account = models.ForeignKey("ledger.Account", on_delete=models.PROTECT, related_name="+")
    reference = models.CharField(max_length=60, blank=True)
    unapplied = money_field(default=0)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["date"], name="payments_by_date"),
            models.Index(fields=["company"], name="unapplied_payments", condition=~Q(unapplied=0)),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="payment_positive"),
            models.CheckConstraint(
                condition=Q(unapplied__gte=0, unapplied__lte=F("amount")), name="no_more_applied_than_paid"
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="nothing_applied_at_first",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                func="NEW.unapplied = NEW.amount; RETURN NEW;",
            ),
            pgtrigger.Protect(
                name="payment_is_posted",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "((to_jsonb(OLD) - 'unapplied') IS DISTINCT FROM (to_jsonb(NEW) - 'unapplied'))"
                ),
            ),
            pgtrigger.Protect(name="payment_is_kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return self.number


class PaymentApplication(models.Model):
    """What of a payment settles which invoice; what is left of it can be applied on a later ``date``."""

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="applications")
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="applications")
    amount = money_field()
    date = models.DateField(null=True, blank=True, help_text="Empty: the day the payment came in.")

    class Meta:
        indexes = [
            models.Index(fields=["date"], name="applications_made_later", condition=Q(date__isnull=False)),
        ]
        constraints = [models.CheckConstraint(condition=Q(amount__gt=0), name="payment_application_positive")]
        triggers = [
            pgtrigger.Protect(name="payment_application_is_posted", operation=pgtrigger.Update | pgtrigger.Delete),
            settles("payment_settles", "SELECT invoice_id, amount FROM new_rows"),
            uses_payments(
                "application_uses_payment",
                "SELECT payment_id, sum(amount) AS amount FROM new_rows GROUP BY payment_id",
                "p.unapplied - n.amount",
            ),
        ]


class PaymentReversal(models.Model):
    """A payment that was taken back (a check that bounced): what it settled is open again."""

    payment = models.OneToOneField(Payment, primary_key=True, on_delete=models.PROTECT, related_name="reversal")
    date = models.DateField()
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        triggers = [
            pgtrigger.Protect(name="payment_reversal_is_posted", operation=pgtrigger.Update | pgtrigger.Delete),
            settles(
                "reversal_opens",
                "SELECT a.invoice_id, -a.amount AS amount FROM new_rows r"
                " JOIN billing_paymentapplication a ON a.payment_id = r.payment_id",
            ),
            uses_payments("reversal_uses_payment", "SELECT payment_id FROM new_rows", "0"),
        ]


class CreditApplication(models.Model):
    """What of a credit memo settles which invoice; both belong to the same bill-to, so the books do not move."""

    credit_memo = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="credit_applications")
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="credits_received")
    date = models.DateField()
    amount = money_field()

    class Meta:
        ordering = ["id"]
        constraints = [models.CheckConstraint(condition=Q(amount__gt=0), name="credit_application_positive")]
        triggers = [
            pgtrigger.Protect(name="credit_application_is_posted", operation=pgtrigger.Update | pgtrigger.Delete),
            settles(
                "credit_settles",
                "SELECT invoice_id, amount FROM new_rows UNION ALL SELECT credit_memo_id, -amount FROM new_rows",
            ),
        ]


class Grouping(models.TextChoices):
    """What makes an invoice of its own when work, expenses and products are billed."""

    COMPANY = "company", "One invoice a company"
    SITE = "site", "One a site"
    CUSTOMER_PO = "customer_po", "One a customer PO"
    TICKET = "ticket", "One a ticket"


class BillingSettings(models.Model):
    """How invoices are made, in a single row. A company can group its invoices in its own way."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    grouping = models.CharField(max_length=11, choices=Grouping.choices, default=Grouping.COMPANY)
    default_terms = models.ForeignKey(
        "companies.BillingTerms", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    absurd_factor = models.PositiveSmallIntegerField(
        default=20, help_text="A bill of so many times the last one parks its agreement."
    )
    most_bills = models.PositiveSmallIntegerField(default=36, help_text="More bills of one agreement in a run park it.")
    earn_lapsed = models.BooleanField(
        default=False, db_default=False, help_text="Billing runs earn what lapsed unused of prepaid work."
    )

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="billing_settings_single_row")]


class RunMode(models.TextChoices):
    """How far a billing run goes."""

    DRAFT = "draft", "Drafts"
    CLOSE = "close", "Closed invoices"
    TRANSFER = "transfer", "Closed invoices, in the books"


class RunStatus(models.TextChoices):
    """Where a billing run stands."""

    RATING = "rating", "Rating"
    NUMBERED = "numbered", "Writing"
    PAUSED = "paused", "Paused"
    FINISHED = "finished", "Finished"
    CANCELLED = "cancelled", "Cancelled"


class BillingRun(models.Model):
    """A run that bills agreements through a day.

    All chunks are rated first: what would be billed, and what has to be parked. Then the invoices are numbered, all at
    once and in the order of the agreements, and then the chunks are written. A run that makes drafts needs no numbers.
    """

    number = models.CharField(max_length=15, unique=True)
    mode = models.CharField(max_length=8, choices=RunMode.choices)
    status = models.CharField(max_length=9, choices=RunStatus.choices, default=RunStatus.RATING)
    paused_in = models.CharField(max_length=9, blank=True, help_text="The status it goes on with.")
    through = models.DateField()
    invoice_date = models.DateField(null=True, blank=True, help_text="Empty: the first day of each period.")
    agreement_type = models.ForeignKey(
        "agreements.AgreementType", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    company = models.ForeignKey("companies.Company", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    agreement_count = models.PositiveIntegerField(default=0)
    invoice_count = models.PositiveIntegerField(default=0)
    parked_count = models.PositiveIntegerField(default=0)
    total = money_field(default=0)
    batch_id = models.BigIntegerField(null=True, blank=True)
    problem = models.TextField(blank=True, help_text="Why its last chunk could not be written.")
    started_at = models.DateTimeField()
    started_by = models.CharField(max_length=200)
    started_by_id_of_user = models.BigIntegerField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        triggers = [pgtrigger.FSM(name="run_status", field="status", transitions=sorted(allowed("billing_run")))]

    def __str__(self) -> str:
        return self.number


class ChunkStatus(models.TextChoices):
    """What has been done with a chunk."""

    WAITING = "waiting", "Waiting"
    RATED = "rated", "Rated"
    WRITTEN = "written", "Written"


class BillingRunChunk(models.Model):
    """Some agreements of a run that a worker takes together, in the order of their ids.

    ``numbers`` are those that its invoices and their journal entries take: by sequence how many, and once the run is
    numbered the first of them with its prefix and width.
    """

    run = models.ForeignKey(BillingRun, on_delete=models.CASCADE, related_name="chunks")
    position = models.PositiveIntegerField()
    status = models.CharField(max_length=7, choices=ChunkStatus.choices, default=ChunkStatus.WAITING)
    agreement_ids: ArrayField[Any, Any] = ArrayField(models.BigIntegerField())
    invoice_count = models.PositiveIntegerField(default=0)
    total = money_field(default=0)
    numbers = models.JSONField(default=dict, blank=True)
    rated_at = models.DateTimeField(null=True, blank=True)
    written_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["run_id", "position"]
        constraints = [models.UniqueConstraint(fields=["run", "position"], name="run_chunk_once")]


class ParkedInRun(models.Model):
    """An agreement that a run left out, and why."""

    run = models.ForeignKey(BillingRun, on_delete=models.CASCADE, related_name="parked")
    agreement = models.ForeignKey("agreements.Agreement", on_delete=models.CASCADE, related_name="+")
    code = models.CharField(max_length=40)
    reason = models.TextField()
    hint = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["run", "agreement"], name="parked_once_in_run")]


class InvoiceDocument(models.Model):
    """The PDF of a closed invoice as it was first asked for: the record, which never changes."""

    invoice = models.OneToOneField(Invoice, primary_key=True, on_delete=models.PROTECT, related_name="document")
    content = models.BinaryField()
    sha256 = models.CharField(max_length=64)
    rendered_at = models.DateTimeField()

    class Meta:
        triggers = [pgtrigger.Protect(name="invoice_document_is_kept", operation=pgtrigger.Update | pgtrigger.Delete)]


class DeliveryStatus(models.TextChoices):
    """Where a mailed invoice is. Of an uncertain one nobody knows whether the mail server took it."""

    QUEUED = "queued", "Queued"
    SENDING = "sending", "Sending"
    SENT = "sent", "Sent"
    FAILED = "failed", "Failed"
    UNCERTAIN = "uncertain", "Uncertain"


class Delivery(models.Model):
    """An invoice mailed to a customer: one message, sent once however often it is tried.

    ``request_key`` is the client's: a repeated request finds its delivery instead of making another. ``retry_at`` is
    when a delayed one is tried again.
    """

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="deliveries")
    request_key = models.CharField(max_length=100, null=True, blank=True, unique=True)
    to: ArrayField[Any, Any] = ArrayField(models.EmailField())
    cc: ArrayField[Any, Any] = ArrayField(models.EmailField(), default=list, blank=True)
    subject = models.CharField(max_length=200)
    message = models.TextField(max_length=6000, blank=True)
    message_id = models.CharField(max_length=200, unique=True)
    status = models.CharField(max_length=9, choices=DeliveryStatus.choices, default=DeliveryStatus.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True)
    requested_at = models.DateTimeField()
    requested_by = models.CharField(max_length=200)
    attempted_at = models.DateTimeField(null=True, blank=True)
    retry_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(
                fields=["status"], name="deliveries_on_their_way", condition=Q(status__in=["queued", "sending"])
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(status="sent") | Q(sent_at__isnull=False), name="sent_delivery_says_when"
            ),
        ]
        triggers = [pgtrigger.FSM(name="delivery_status", field="status", transitions=sorted(allowed("delivery")))]

    def __str__(self) -> str:
        return f"{self.subject} to {', '.join(self.to)}"
