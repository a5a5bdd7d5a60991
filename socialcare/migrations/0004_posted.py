"""The list of mentions is sorted by when people posted, too."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("socialcare", "0003_settings_unchecked")]

    operations = [
        migrations.AddIndex(
            model_name="mention",
            index=models.Index(models.F("posted_at").desc(), models.F("id").desc(), name="mention_posted"),
        ),
    ]
