import django.contrib.postgres.indexes
import django.db.models.functions.text
from django.db import migrations, models


class Migration(migrations.Migration):
    """A telephone number is found by its last digits."""

    dependencies = [("crm", "0033_restricted_everywhere")]

    operations = [
        migrations.AddIndex(
            model_name="identity",
            index=models.Index(
                django.contrib.postgres.indexes.OpClass(
                    django.db.models.functions.text.Reverse("value"), "text_pattern_ops"
                ),
                condition=models.Q(("kind", "phone")),
                name="identity_number_ends",
            ),
        ),
    ]
