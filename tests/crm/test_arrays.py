"""Lists written as binary arrays come back as they were."""

import pytest
from django.db import DataError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm import arrays, rows

pytestmark = pytest.mark.django_db

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
KINDS = {
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "text": TEXT,
    "boolean": st.booleans(),
    "float8": st.floats(allow_nan=False),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_list_comes_back_as_it_was(kind, data):
    values = data.draw(st.lists(st.none() | KINDS[kind], min_size=rows.LONG + 1, max_size=60))
    assert rows.run(f"SELECT %s::{kind}[]", (values,)) == [(values,)]


@pytest.mark.parametrize(("values", "own"), [
    ([1, None, 2], True), (["a"], True), ([True], True), ([1.5], True), ([], False), ([None], False), ([1, True], False),
    ([1, "a"], False), ([[1]], False), ([1, 1.5], False),
])  # fmt: skip
def test_only_plain_lists_of_one_kind_are_written_here(values, own):
    assert isinstance(arrays.column(values), arrays.Column) is own


@pytest.mark.parametrize("values", [[2**63] * 20, [None, *[-(2**63) - 1] * 20], ["a\x00"] * 20])
def test_what_cannot_be_kept_is_an_error_of_the_data(values):
    kind = "text" if isinstance(values[0], str) else "bigint"
    with pytest.raises(DataError), transaction.atomic():
        rows.run(f"SELECT %s::{kind}[]", (values,))
    assert rows.run("SELECT 1") == [(1,)]
