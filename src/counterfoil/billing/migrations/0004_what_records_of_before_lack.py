"""What records of before have to be given: billing states, seals and balances of invoices, periods of their lines."""

from django.db import migrations

from counterfoil.core.calendar import Cycle, nth_period

#: Closed invoices are locked, so their triggers stand aside while they are given what they lack.
INVOICES = """
    SET CONSTRAINTS ALL IMMEDIATE;
    ALTER TABLE billing_invoice DISABLE TRIGGER USER;
    ALTER TABLE billing_invoiceline DISABLE TRIGGER USER;
    UPDATE billing_invoice i SET
        line_count = (SELECT count(*) FROM billing_invoiceline p WHERE p.invoice_id = i.id),
        tax_count = (SELECT count(*) FROM billing_invoicetax p WHERE p.invoice_id = i.id),
        balance = i.total
            - coalesce((SELECT sum(amount) FROM billing_paymentapplication a WHERE a.invoice_id = i.id), 0)
    WHERE status = 'closed';
    UPDATE billing_invoiceline l SET
        agreement_id = i.agreement_id, period_start = i.period_start, period_end = i.period_end,
        service_start = i.period_start, service_end = i.period_end
    FROM billing_invoice i WHERE i.id = l.invoice_id AND i.agreement_id IS NOT NULL;
    UPDATE billing_invoiceline l SET kind = 'service'
    WHERE product_id IS NULL
        OR EXISTS (SELECT 1 FROM catalog_product p WHERE p.id = l.product_id AND p.product_class = 'Service');
    ALTER TABLE billing_invoice ENABLE TRIGGER USER;
    ALTER TABLE billing_invoiceline ENABLE TRIGGER USER;
"""

#: Triggers that are gone leave their functions behind.
UNUSED_FUNCTIONS = """
    DO $$
    DECLARE unused regprocedure;
    BEGIN
        FOR unused IN
            SELECT p.oid::regprocedure FROM pg_proc p
            WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE 'pgtrigger\\_%'
                AND NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgfoid = p.oid)
        LOOP
            EXECUTE 'DROP FUNCTION ' || unused;
        END LOOP;
    END $$;
"""


def begin_billing_states(apps, schema_editor):
    """How many periods of each agreement are invoiced, and when the next one falls due."""
    Agreement = apps.get_model("agreements", "Agreement")
    BillingState = apps.get_model("agreements", "BillingState")
    Invoice = apps.get_model("billing", "Invoice")
    billed = {}
    for pk, start in Invoice.objects.filter(agreement__isnull=False).values_list("agreement", "period_start"):
        billed.setdefault(pk, set()).add(start)
    states = []
    for agreement in Agreement.objects.filter(billing_state=None):
        cycle, starts = Cycle.parse(agreement.billing_cycle), billed.get(agreement.pk, set())
        last = min((day for day in (agreement.end_date, agreement.cancelled_on) if day), default=None)
        n = 0
        while nth_period(agreement.bill_start_date, cycle, n).start in starts:
            n += 1
        due = nth_period(agreement.bill_start_date, cycle, n).start
        states.append(
            BillingState(agreement=agreement, next_period=n, due_on=due if last is None or due <= last else None)
        )
    BillingState.objects.bulk_create(states)


def map_expenses(apps, schema_editor):
    """Expenses that are billed earn on an account of their own, where the books are set up already."""
    Account = apps.get_model("ledger", "Account")
    DefaultAccount = apps.get_model("ledger", "DefaultAccount")
    service = DefaultAccount.objects.filter(role="service_revenue").first()
    if service is None or DefaultAccount.objects.filter(role="expense_revenue").exists():
        return
    account = service.account
    if not Account.objects.filter(code="4300").exists():
        account = Account.objects.create(code="4300", name="Expenses Billed", type="income")
    DefaultAccount.objects.create(role="expense_revenue", account=account)


class Migration(migrations.Migration):
    dependencies = [
        ("agreements", "0003_agreements_in_full"),
        ("billing", "0003_agreements_in_full"),
        ("accounting", "0002_agreements_in_full"),
        ("assets", "0002_agreements_in_full"),
        ("catalog", "0002_agreements_in_full"),
        ("companies", "0003_agreements_in_full"),
        ("ledger", "0002_agreements_in_full"),
        ("platform", "0002_agreements_in_full"),
        ("tax", "0002_agreements_in_full"),
        ("usage", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(INVOICES, migrations.RunSQL.noop),
        migrations.RunPython(begin_billing_states, migrations.RunPython.noop),
        migrations.RunPython(map_expenses, migrations.RunPython.noop),
        migrations.RunSQL(UNUSED_FUNCTIONS, migrations.RunSQL.noop),
    ]
