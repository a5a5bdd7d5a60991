"""The sequence that numbers threads."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("crm", "0001_initial")]
    operations = [
        migrations.RunSQL("CREATE SEQUENCE crm_thread_seq AS bigint", "DROP SEQUENCE crm_thread_seq"),
    ]
