"""All that is held on one person, as the register says (`crm/personal.py`): read at once, or as a file to hand over."""

import zipfile
from pathlib import Path
from typing import Any

import orjson
from django.apps import apps
from django.db import models, transaction
from django.template.loader import render_to_string
from django.utils import timezone

from crm import events, personal, rows
from crm.access import Permission, find, require
from crm.bus import publish
from crm.errors import Conflict
from crm.models import Activity, Customer, Export, User
from crm.secrets import EncryptedField, decrypt
from crm.services import exports, traces
from crm.services.merges import holder_of

NOUN, FORM = "person", "zip"
# What of our own machinery stands in these rows says nothing of the person.
_OURS = {"seal", "seq", "digest", "idempotency_key", "attempts", "copies", "raw_digest", "clocked_at"}


def ask(customer: Customer, *, by: User) -> Export:
    """A file with everything held on a person: JSON to go on with, HTML to read. Made in the background, for the asker alone."""
    require(by, Permission.EXPORT_PERSON)
    customer = _there(customer)
    with transaction.atomic():
        _record(customer, by)
        kept = Export.objects.create(
            noun=NOUN,
            form=FORM,
            query={"customer": [customer.pk]},
            by=by,
            role=by.role,
            team_id=by.team_id,
            reach=by.reach,
        )
        publish(events.ExportAsked(export_id=kept.pk))
    return kept


def read(customer: Customer, *, by: User) -> dict[str, Any]:
    """The same as data: {"customer", "at", "data": {noun: [rows]}}."""
    require(by, Permission.EXPORT_PERSON)
    customer = _there(customer)
    _record(customer, by)
    return collect(customer)


def _there(customer: Customer) -> Customer:
    customer = holder_of(customer)
    if customer.erased_at is not None:
        raise Conflict("This record was erased: nothing is held.", code="erased")
    return customer


def _record(customer: Customer, by: User) -> None:
    Activity.objects.create(actor=by, verb="person.exported", customer=customer, data={})


def collect(customer: Customer) -> dict[str, Any]:
    """Every row that is about the person, by noun; ids of our people are left out."""
    found = traces.of_person(customer.pk) | traces.loose_of({0: customer.pk})[0].params()
    data = {}
    for label, kept in personal.register().items():
        if kept.told and (said := _rows(apps.get_model(label), kept, found)):
            data[kept.noun] = said
    return {"customer": customer.pk, "at": timezone.now(), "data": data}


def _rows(model: type[models.Model], kept: personal.Kept, found: traces.Params) -> list[dict[str, Any]]:
    columns = [
        field
        for field in model._meta.local_concrete_fields
        if field.column not in _OURS and not _is_staff(field)
    ]
    chosen = ", ".join(f't."{field.column}"' for field in columns)
    json = [field.column for field in columns if isinstance(field, models.JSONField)]
    secret = {field.column for field in columns if isinstance(field, EncryptedField)}
    key = model._meta.pk.column
    sql = f'SELECT {chosen} FROM "{model._meta.db_table}" t WHERE {kept.of} ORDER BY t."{key}"'  # noqa: S608 - our own names
    found_rows = rows.dicts(sql, found, decode=json)
    for row in found_rows:
        for name, value in row.items():
            if name in secret and value:
                row[name] = decrypt(value)
            elif isinstance(value, bytes | memoryview):
                row[name] = bytes(value).decode("utf-8", "replace")
    return found_rows


def _is_staff(field: models.Field) -> bool:
    return bool(field.is_relation and field.related_model is User)


def _make(kept: Export, path: Path) -> int:
    """Write the file; returns how many rows it holds."""
    customer = find(Customer.objects.visible_to(kept.by), pk=kept.query["customer"][0])
    said = collect(_there(customer))
    path.touch(mode=0o600)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("person.json", orjson.dumps(said, default=str, option=orjson.OPT_INDENT_2))
        sections = [
            (noun, list(many[0]), [list(one.values()) for one in many]) for noun, many in said["data"].items()
        ]
        file.writestr(
            "person.html", render_to_string("crm/person_export.html", {**said, "sections": sections})
        )
    return sum(map(len, said["data"].values()))


def register() -> None:
    """Plug the file in beside the lists."""
    exports.register_maker(NOUN, _make)
