from django.db import migrations

# The words of the names that were there before (as crm/services/search.py learns them since).
LEARN = r"""
INSERT INTO crm_nameword (word)
SELECT DISTINCT w FROM crm_customer, unnest(tsvector_to_array(to_tsvector('simple', left(name, 200)))) AS w
WHERE length(w) BETWEEN 3 AND 60 AND w !~ '[0-9]' ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("crm", "0004_search")]
    operations = [migrations.RunSQL(LEARN, migrations.RunSQL.noop)]
