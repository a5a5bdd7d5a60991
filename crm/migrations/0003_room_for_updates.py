"""Rows that are updated right after their birth get room in their page, so that no index is touched again."""

from django.db import migrations

TABLES = ("crm_interaction", "crm_ticket", "crm_delivery")


class Migration(migrations.Migration):
    dependencies = [("crm", "0002_thread_numbers")]
    operations = [
        migrations.RunSQL(f"ALTER TABLE {table} SET (fillfactor = 70)", f"ALTER TABLE {table} RESET (fillfactor)")
        for table in TABLES
    ]
