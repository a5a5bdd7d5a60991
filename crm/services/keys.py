"""Keys of ours that must stay the same for ever, and their re-encryption when SECRET_KEY changes.

What is compared with what was written years ago (who was erased, what was sealed) cannot be computed anew under another key.
So its key stands in the database, encrypted: the database alone tells nobody what it is, and a new SECRET_KEY changes only
how it is kept.
"""

from collections.abc import Iterator

from django.apps import apps
from django.conf import settings
from django.db import connection, models, transaction

from crm import rows, secrets
from crm.models import LastingKey

BATCH = 1000
LASTING = ("erased", "audit")

_known: dict[tuple[str, str], bytes] = {}


def lasting(purpose: str) -> bytes:
    """The key for one purpose. The first time it is what today's SECRET_KEY means, as it was before keys were kept."""
    place = (purpose, settings.SECRET_KEY)
    if place not in _known:
        _known[place] = _kept(purpose)
    return _known[place]


def _kept(purpose: str) -> bytes:
    # Before keys were kept, it was drawn from the first SECRET_KEY: the earliest we know.
    first = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS][-1]
    made = secrets.derived(purpose, first).hex()
    LastingKey.objects.bulk_create([LastingKey(purpose=purpose, secret=made)], ignore_conflicts=True)
    return bytes.fromhex(LastingKey.objects.get(purpose=purpose).secret)


def rotate() -> dict[str, int]:
    """Encrypt every secret at rest anew under today's SECRET_KEY, some a transaction; returns how many by column.

    Raises ValueError at one that no known key opens. What was done before stays done; it can be run again, and beside all else.
    """
    for purpose in LASTING:
        lasting(purpose)  # while the SECRET_KEY from which it comes is known
    return {
        f"{model._meta.label}.{field.name}": _rotate(model, field.column) for model, field in _encrypted()
    }


def _encrypted() -> Iterator[tuple[type[models.Model], secrets.EncryptedField]]:
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, secrets.EncryptedField):
                yield model, field


def _rotate(model: type[models.Model], column: str) -> int:
    table, key = model._meta.db_table, model._meta.pk
    found = f'SELECT "{key.column}", "{column}" FROM "{table}" WHERE "{key.column}" = ANY(%s) AND "{column}" <> %s FOR UPDATE'  # noqa: S608 - our own names
    written = (
        f'UPDATE "{table}" t SET "{column}" = n.secret '  # noqa: S608 - the same
        f'FROM unnest(%s::{key.db_type(connection)}[], %s::text[]) AS n(id, secret) WHERE t."{key.column}" = n.id'
    )
    done = 0
    for some in _pages(model):
        with transaction.atomic():
            stored = rows.run(found, (some, ""))
            rows.run(written, ([row[0] for row in stored], [secrets.rotate(row[1]) for row in stored]))
        done += len(stored)
    return done


def _pages(model: type[models.Model]) -> Iterator[list]:
    ids = model._base_manager.order_by("pk").values_list("pk", flat=True)
    page = list(ids[:BATCH])
    while page:
        yield page
        page = list(ids.filter(pk__gt=page[-1])[:BATCH])
