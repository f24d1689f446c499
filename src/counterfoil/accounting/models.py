"""GL mapping, batches and what was exported of them."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models import Q

from counterfoil.core.states import allowed
from counterfoil.platform.fields import money_field
from counterfoil.platform.history import keep_history


class ProcurementDate(models.TextChoices):
    """Which date a receipt is booked on."""

    PO_DATE = "po_date", "Date of the purchase order"
    RECEIPT_DATE = "receipt_date", "Date received"


class AccountingSettings(models.Model):
    """How the accounting interface books, in a single row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    procurement_date = models.CharField(max_length=12, choices=ProcurementDate.choices, default=ProcurementDate.PO_DATE)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="accounting_settings_single_row")]


@keep_history
class GLMapping(models.Model):
    """The account of a role for a product, a subcategory, a category or an agreement type.

    The most particular wins: product, then agreement type (which only revenue of agreements knows), then subcategory,
    then category, then the default account of the role.
    """

    role = models.CharField(max_length=40)
    product = models.ForeignKey("catalog.Product", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    subcategory = models.ForeignKey(
        "catalog.Subcategory", null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    category = models.ForeignKey("catalog.Category", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    agreement_type = models.ForeignKey(
        "agreements.AgreementType", null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    account = models.ForeignKey("ledger.Account", on_delete=models.PROTECT, related_name="mappings")

    class Meta:
        ordering = ["role", "id"]
        verbose_name = "GL mapping"
        constraints = [
            models.CheckConstraint(
                name="mapping_names_one_record",
                condition=(
                    Q(product__isnull=False, subcategory=None, category=None, agreement_type=None)
                    | Q(product=None, subcategory__isnull=False, category=None, agreement_type=None)
                    | Q(product=None, subcategory=None, category__isnull=False, agreement_type=None)
                    | Q(product=None, subcategory=None, category=None, agreement_type__isnull=False)
                ),
            ),
            models.UniqueConstraint(
                fields=["role", "product", "subcategory", "category", "agreement_type"],
                nulls_distinct=False,
                name="one_mapping_per_role_and_record",
            ),
        ]


class BatchStatus(models.TextChoices):
    """An open batch can be looked at, changed or deleted; a transferred one is in the books."""

    OPEN = "open", "Open"
    TRANSFERRED = "transferred", "Transferred"


@keep_history
class Batch(models.Model):
    """Unposted records that are transferred to the books together, all or none."""

    number = models.CharField(max_length=15, unique=True)
    status = models.CharField(max_length=12, choices=BatchStatus.choices, default=BatchStatus.OPEN)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=200)
    transferred_at = models.DateTimeField(null=True, blank=True)
    transferred_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "batches"
        triggers = [
            pgtrigger.FSM(name="batch_status", field="status", transitions=sorted(allowed("batch"))),
            pgtrigger.Protect(
                name="batch_is_transferred",
                operation=pgtrigger.Update | pgtrigger.Delete,
                condition=pgtrigger.Q(old__status="transferred"),
            ),
        ]

    def __str__(self) -> str:
        return self.number


class SourceType(models.TextChoices):
    """What can be in a batch. A ``journal_entry`` is in the books already and only goes along with the export."""

    RECEIPT = "receipt", "Receipt"
    VENDOR_BILL = "vendor_bill", "Vendor bill"
    INVOICE = "invoice", "Invoice"
    JOURNAL_ENTRY = "journal_entry", "Journal entry"


class BatchItem(models.Model):
    """An unposted record claimed by a batch: no other batch can hold it."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="items")
    source_type = models.CharField(max_length=15, choices=SourceType.choices)
    source_id = models.BigIntegerField()
    source_label = models.CharField(max_length=60)
    description = models.CharField(max_length=200)
    date = models.DateField()
    amount = money_field()

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["source_type", "source_id"], name="in_one_batch_only")]
        triggers = [
            pgtrigger.Trigger(
                name="batch_takes_no_more",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                referencing=pgtrigger.Referencing(new="new_rows"),  # type: ignore[no-untyped-call]
                func="""
                    IF EXISTS (
                        SELECT 1 FROM accounting_batch
                        WHERE id IN (SELECT batch_id FROM new_rows) AND status = 'transferred'
                    ) THEN
                        RAISE EXCEPTION 'counterfoil:already_transferred: The batch is in the books.';
                    END IF;
                    RETURN NULL;
                """,
            ),
            pgtrigger.Trigger(
                name="transferred_batch_item",
                when=pgtrigger.Before,
                operation=pgtrigger.Update | pgtrigger.Delete,
                func="""
                    IF EXISTS (
                        SELECT 1 FROM accounting_batch
                        WHERE id IN (OLD.batch_id, NEW.batch_id) AND status = 'transferred'
                    ) THEN
                        RAISE EXCEPTION 'counterfoil:already_transferred: The batch is in the books.';
                    END IF;
                    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
                    RETURN NEW;
                """,
            ),
        ]


class ExportStatus(models.TextChoices):
    """What became of an exported file. QuickBooks Desktop imports a file twice without a word, so a person confirms."""

    EXPORTED = "exported", "Exported, not confirmed"
    CONFIRMED = "confirmed", "Imported"
    NOT_IMPORTED = "not_imported", "Not imported"


@keep_history
class BatchExport(models.Model):
    """The file of a batch for an accounting package. Its bytes are frozen: a repeated export gives the same file."""

    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="exports")
    format = models.CharField(max_length=10, default="iif")
    filename = models.CharField(max_length=120)
    content = models.BinaryField()
    sha256 = models.CharField(max_length=64)
    status = models.CharField(max_length=12, choices=ExportStatus.choices, default=ExportStatus.EXPORTED)
    exported_at = models.DateTimeField(auto_now_add=True)
    exported_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["batch", "format"], name="one_file_per_batch_and_format")]
        triggers = [
            pgtrigger.FSM(name="export_status", field="status", transitions=sorted(allowed("export"))),
            pgtrigger.Protect(
                name="exported_bytes_are_frozen",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("content", "sha256", "filename"),
            ),
            pgtrigger.Protect(name="export_is_kept", operation=pgtrigger.Delete),
        ]
