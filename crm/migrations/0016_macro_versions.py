from django.db import migrations

# What each macro said becomes its first version, with the former {handle} as a variable; its language becomes a condition.
KEEP = """
INSERT INTO crm_macroversion (macro_id, number, text, texts, actions, note)
SELECT id, 1, replace(text, '{handle}', '{{customer.handle}}'), '{}', '{}', '' FROM crm_macro;
UPDATE crm_macro SET version = 1, situation = jsonb_build_object('brands', '[]'::jsonb, 'channels', '[]'::jsonb,
    'topics', '[]'::jsonb, 'languages', CASE WHEN language = '' THEN '[]'::jsonb ELSE jsonb_build_array(language) END);
"""
PUT_BACK = """
UPDATE crm_macro m SET text = replace(v.text, '{{customer.handle}}', '{handle}'),
    language = coalesce(m.situation->'languages'->>0, 'en')
FROM crm_macroversion v WHERE v.macro_id = m.id AND v.number = m.version;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0015_macros'),
    ]

    operations = [
        migrations.RunSQL(KEEP, PUT_BACK),
    ]
