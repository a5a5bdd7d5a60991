"""Fills an installation with a history as large as one wants, to see how it behaves: by set-based SQL, from a seed.

Skewed as real ones are: a tenth of the customers hold half of the tickets. All contacts are closed, so that nothing
waits for anybody; one ticket in twenty is still open.
"""

from collections.abc import Iterator

from django.db import transaction

from crm import rows
from crm.choices import ChannelKind
from crm.errors import InvalidInput
from crm.models import Brand, Channel
from crm.services import search

CHUNK = 25_000
MOST = 5_000_000
MESSAGES = 5  # in each ticket
IDENTITIES = 1.6  # of each customer
CHANNELS = (("scale-x", ChannelKind.X), ("scale-mail", ChannelKind.EMAIL), ("scale-chat", ChannelKind.CHAT))

GIVEN = """Ada Ahmed Aiko Alejandro Alice Amélie Amir Ana Anders Andrea Ángel Anna Antonio Astrid Ayşe Bao Beatriz Ben Björn
Camille Carlos Carmen Chiara Chloé Claire Daniel David Dmitri Elena Elif Emma Erik Esther Fatima Felix Fiona Francesca Frida
Gabriel George Giulia Grace Hana Hannah Hans Hassan Helena Hiroshi Ibrahim Ines Ingrid Irina Isabel Ivan Jack James Jan
Jana Javier Joanna João Jonas José Julia Kaito Karim Katarzyna Kenji Lars Laura Leila Lena Leo Liam Lina Linh Louis Lucia
Łukasz Magdalena Malik Mara Marco Margaux Maria Martin Mateo Mehmet Mei Mia Michael Mina Mohamed Nadia Naoko Nina Noah
Nora Olga Oliver Omar Oscar Paolo Paula Pedro Petra Pierre Priya Rachel Rafael Raj Rosa Ruth Samira Samuel Sara Sofia
Søren Stefan Sven Tara Thomas Tomás Uma Valentina Vera Viktor Wei William Yara Yuki Yusuf Zeynep Zoë"""
SAID = (
    "I wrote to you before about order {n} and nobody answered me, please help.",
    "My invoice {n} has been charged twice this month.",
    "The delivery of parcel {n} is late again, where is it?",
    "Since the update the router {n} drops the connection every evening.",
    "How do I change the address of contract {n}?",
    "Thank you, booking {n} works now.",
    "Case {n}: I would like to cancel and get my money back.",
    "We have looked into {n} and credited the difference to your account.",
    "Could you send a photo of the label of {n}, please?",
    "Your replacement for {n} leaves our warehouse tomorrow.",
)
TOPICS = ("billing", "delivery", "technical", "account", "general")

_WORDS = """
CREATE TEMP TABLE scale_name ON COMMIT DROP AS
SELECT n - 1 AS n, w FROM unnest(%s::text[]) WITH ORDINALITY AS g(w, n)
"""
_FAMILY = """
CREATE TEMP TABLE scale_family ON COMMIT DROP AS
SELECT n, initcap(
    (ARRAY['ba','be','chi','da','do','el','fa','gri','ha','jo','ka','li','ma','no','pe','ra','sa','ti','vo','wu'])[1 + n %% 20]
    || (ARRAY['lan','mer','nik','ros','tar','vin','ber','dov','gan','hil'])[1 + (n / 20) %% 10]
    || (ARRAY['a','ez','ski','ton','sen','ova','er','is','o','in'])[1 + (n / 200) %% 10]) AS w
FROM generate_series(0, 1999) n
"""
_PEOPLE = """
CREATE TEMP TABLE scale_person ON COMMIT DROP AS
SELECT g AS n, nextval('crm_customer_id_seq') AS id, f.w || ' ' || l.w AS name, lower(f.w) || '.' || lower(l.w) AS login
FROM generate_series(%(start)s::bigint, %(end)s::bigint) g
JOIN scale_name f ON f.n = (g * 48271 + %(seed)s) %% (SELECT count(*) FROM scale_name)
JOIN scale_family l ON l.n = (g * 69621 + g / 2000 + %(seed)s) %% 2000
"""
_CUSTOMERS = """
INSERT INTO crm_customer (id, name, language, value, vip, public_figure, verified_before_disclosure, note, created_at)
SELECT id, name, (ARRAY['en','en','de','fr','es'])[1 + n %% 5], CASE WHEN n %% 3 = 0 THEN (n * 7919) %% 5000 END,
    n %% 25 = 0, n %% 1000 = 0, false, '', now() - (n %% 1500) * interval '1 day' FROM scale_person
"""
_IDENTITIES = """
INSERT INTO crm_identity (customer_id, kind, value, handle, name, followers, verified, claims, created_at)
SELECT id, kind, CASE kind WHEN 'x' THEN 'scale-' || id WHEN 'email' THEN login || id || '@example.test'
        ELSE '+44' || lpad((7000000000 + (id * 7919) %% 999999937)::text, 10, '0') END,
    CASE kind WHEN 'x' THEN replace(login, '.', '_') || id ELSE '' END, name, CASE kind WHEN 'x' THEN (n * 31) %% 5000 END,
    false, '{}', now() - (n %% 1500) * interval '1 day'
FROM scale_person, LATERAL (VALUES ('x'), (CASE WHEN n %% 10 < 4 THEN 'email' WHEN n %% 10 < 6 THEN 'phone' END)) k(kind)
WHERE kind IS NOT NULL ON CONFLICT (kind, value) DO NOTHING
"""
# Every other ticket is of one of the first tenth of all customers there are.
_TICKETS = """
CREATE TEMP TABLE scale_ticket ON COMMIT DROP AS
SELECT t.*, i.id AS identity_id, i.customer_id, nextval('crm_ticket_id_seq') AS id,
    nextval('crm_interaction_id_seq') AS interaction_id, nextval('crm_thread_seq') AS thread
FROM (
    SELECT n, n %% 20 = 0 AS is_open, (%(topics)s::text[])[1 + n %% 5] AS topic,
        (%(channels)s::bigint[])[1 + n %% 3] AS channel_id,
        (%(families)s::text[])[1 + n %% 3] AS family, now() - ((n * 104729 + %(seed)s) %% 60480000) * interval '1 second' AS at,
        1 + CASE WHEN n %% 2 = 0 THEN (n * 48271 + %(seed)s) %% greatest(%(end)s / 10, 1) ELSE (n * 69621) %% %(end)s END AS who
    FROM generate_series(%(start)s::bigint, %(end)s::bigint) n
) t JOIN scale_all a ON a.n = t.who JOIN crm_identity i ON i.kind = 'x' AND i.value = 'scale-' || a.id
"""
_TICKET_ROWS = """
INSERT INTO crm_ticket (id, customer_id, brand_id, subject, status, topic, promise, opened_at, updated_at, solved_at,
    clocked_at)
SELECT id, customer_id, %(brand)s, left(replace((%(said)s::text[])[1 + n %% 7], '{n}', n::text), 200),
    CASE WHEN is_open THEN 'waiting_on_us' ELSE 'solved' END, topic, '', at, at + interval '15 hours',
    CASE WHEN NOT is_open THEN at + interval '15 hours' END, at + interval '15 hours' FROM scale_ticket
"""
_CONTACTS = """
INSERT INTO crm_interaction (id, channel_id, customer_id, identity_id, ticket_id, thread, loose, family, audience, status,
    language, topic, queue_hint, required_skills, priority_parts, judgement, opened_at, received_at, first_message_at,
    last_message_at, first_response_at, closed_at, reason, outcome)
SELECT interaction_id, channel_id, customer_id, identity_id, id, thread, false, family,
    CASE family WHEN 'social' THEN 'public' ELSE 'private' END, 'closed', 'en', topic, '', '[]', '{}', '{}', at, at, at,
    at + interval '12 hours', at + interval '3 hours', at + interval '15 hours', '', '' FROM scale_ticket
"""
_MESSAGES = """
INSERT INTO crm_message (channel_id, interaction_id, thread, external_id, direction, audience, state, identity_id, author_name,
    title, text, media, versions, courtesy, sentiment, sentiment_words, in_reply_to, attempts, error, at, created_at, sent_at)
SELECT channel_id, interaction_id, thread, 'scale-' || id || '-' || s, CASE s %% 2 WHEN 0 THEN 'inbound' ELSE 'outbound' END,
    CASE family WHEN 'social' THEN 'public' ELSE 'private' END, CASE s %% 2 WHEN 0 THEN 'received' ELSE 'sent' END,
    CASE s %% 2 WHEN 0 THEN identity_id END, '', '', replace((%(said)s::text[])[1 + (n + s * 3) %% 10], '{n}', n::text),
    '[]', '[]', false, CASE s %% 2 WHEN 0 THEN round(((n * 31 + s) %% 200) / 100.0 - 1, 2)::float END, '[]', '', 0, '',
    at + s * interval '3 hours', at + s * interval '3 hours', CASE s %% 2 WHEN 1 THEN at + s * interval '3 hours' END
FROM scale_ticket, generate_series(0, 4) s
"""


def fill(customers: int, seed: int) -> Iterator[int]:
    """Add so many customers with their identities, tickets and messages; yields how many are done. A chunk is a transaction."""
    if not 1 <= customers <= MOST:
        raise InvalidInput(f"--customers: between 1 and {MOST:,}.")
    params = _places() | {"seed": seed % 10**9, "said": list(SAID), "topics": list(TOPICS)}
    rows.run("SET gin_pending_list_limit = '64MB'")
    rows.run("CREATE TEMP TABLE IF NOT EXISTS scale_all (n bigint PRIMARY KEY, id bigint NOT NULL)")
    rows.run("TRUNCATE scale_all")
    for start in range(1, customers + 1, CHUNK):
        end = min(start + CHUNK - 1, customers)
        with transaction.atomic():
            _chunk(params | {"start": start, "end": end})
        yield end - start + 1
    for table in (
        "crm_customer",
        "crm_identity",
        "crm_ticket",
        "crm_interaction",
        "crm_message",
        "crm_nameword",
    ):
        rows.run(f"VACUUM ANALYZE {table}")
    rows.run("RESET gin_pending_list_limit")


def _places() -> dict:
    """Brand and channels that the history plays on; made once, never polled or sent through."""
    brand, _ = Brand.objects.get_or_create(slug="scale", defaults={"name": "Scale"})
    channels = [
        Channel.objects.get_or_create(
            slug=slug, defaults={"name": slug, "kind": kind, "brand": brand, "is_active": False}
        )[0]
        for slug, kind in CHANNELS
    ]
    return {
        "brand": brand.pk,
        "channels": [one.pk for one in channels],
        "families": [one.family for one in channels],
    }


def _chunk(params: dict) -> None:
    rows.run("SET LOCAL synchronous_commit = off")
    rows.run(_WORDS, (GIVEN.split(),))
    rows.run(_FAMILY)
    for statement in (_PEOPLE, _CUSTOMERS, _IDENTITIES):
        rows.run(statement, params)
    search.learn([*GIVEN.split(), *(row[0] for row in rows.run("SELECT w FROM scale_family"))])
    rows.run("INSERT INTO scale_all SELECT n, id FROM scale_person")
    rows.run("ANALYZE scale_all")
    for statement in (_TICKETS, _TICKET_ROWS, _CONTACTS, _MESSAGES):
        rows.run(statement, params)
