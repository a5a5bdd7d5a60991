from django.db import migrations, models

# What was said in customers' answers stays provable: versions are written once.
GUARD = """
CREATE FUNCTION crm_macroversion_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'versions of macros are append-only';
END $$;
CREATE TRIGGER macroversion_append_only BEFORE UPDATE OR DELETE ON crm_macroversion
    FOR EACH ROW EXECUTE FUNCTION crm_macroversion_append_only();
"""
UNGUARD = """
DROP TRIGGER macroversion_append_only ON crm_macroversion;
DROP FUNCTION crm_macroversion_append_only();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0016_macro_versions'),
    ]

    operations = [
        # With a default it can be put back.
        migrations.AlterField('macro', 'text', models.TextField(default='')),
        migrations.RemoveField(model_name='macro', name='text'),
        migrations.RemoveField(model_name='macro', name='language'),
        migrations.RunSQL(GUARD, UNGUARD),
    ]
