from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0008_down_payments'),
    ]

    operations = [
        # Ids hardly become less when they are packed, and packing them takes longer than writing the row.
        migrations.RunSQL(
            'ALTER TABLE billing_billingrunchunk ALTER COLUMN agreement_ids SET STORAGE EXTERNAL',
            'ALTER TABLE billing_billingrunchunk ALTER COLUMN agreement_ids SET STORAGE EXTENDED',
        ),
    ]
