"""Every column that can hold a person's words stands in the register of what is erased (`crm/personal.py`)."""

from django.apps import apps
from django.db import models

from crm import personal

TEXTS = (models.CharField, models.TextField, models.JSONField, models.BinaryField)


def text_columns(model: type[models.Model]) -> set[str]:
    """The columns of a model in which words can stand."""
    return {field.column for field in model._meta.local_fields if isinstance(field, TEXTS)}


def declared() -> dict[str, set[str]]:
    kept = {label: one.columns() for label, one in personal.register().items()}
    return kept | {label: set(columns) for label, columns in personal.without_people().items()}


def test_every_table_with_texts_is_declared_and_none_twice():
    texts = {model._meta.label for model in apps.get_models(include_auto_created=True) if text_columns(model)}
    assert not texts - set(declared()), "say in crm/personal.py (or the app's) what these hold of people"
    assert not set(personal.register()) & set(personal.without_people())


def test_every_column_of_text_json_or_bytes_is_declared():
    for label, columns in declared().items():
        missing = text_columns(apps.get_model(label)) - columns
        assert not missing, f"{label}: say in the register whether {sorted(missing)} hold people's words"


def test_the_register_names_no_column_that_is_not_there():
    for label, columns in declared().items():
        there = {field.column for field in apps.get_model(label)._meta.local_fields}
        assert not columns - there, label


def test_every_pointer_to_a_customer_or_an_address_is_in_a_table_that_keeps_people():
    people = {"crm.Customer", "crm.Identity"}
    pointing = {
        model._meta.label
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.local_fields
        if field.is_relation and field.related_model._meta.label in people
    }
    # The proof of an erasure points to the empty record and says nothing else.
    assert pointing - set(personal.register()) == {"crm.Erasure"}
