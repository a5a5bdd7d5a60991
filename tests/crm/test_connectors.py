"""What every connector keeps to, whichever network it speaks to (`crm/connectors/base.py`)."""

import inspect

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.connectors import base, items

NAMES = base.names()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("name", NAMES)
def test_it_has_what_the_contract_names(name):
    one = base.connector(name)
    assert isinstance(one.CAN, base.Capabilities)
    assert one.CAN.fetched or one.CAN.pushed, "nothing would ever come"
    for act, parameters in {
        "parse": ["raw"],
        "send": ["channel", "message"],
        "look_up": ["channel", "key"],
    }.items():
        assert list(inspect.signature(getattr(one, act)).parameters) == parameters
    if one.CAN.fetched:
        assert base.fetching(name) is one
        assert list(inspect.signature(one.fetch).parameters) == ["channel", "cursor"]
        assert list(inspect.signature(one.whoami).parameters) == ["channel"]
        assert list(inspect.signature(one.probe).parameters) == ["channel"]
    else:
        assert base.fetching(name) is None


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(raw=st.one_of(st.binary(max_size=300), JSON.map(items.orjson.dumps)))
def test_no_bytes_make_it_fail_in_another_way_than_to_refuse(name, raw):
    try:
        item = base.parser(name)(raw)
    except items.Rejected as refused:
        assert refused.errors
    else:
        assert item.id and item.author_id and "\x00" not in item.text


def test_a_name_that_nobody_has_is_no_connector():
    assert base.fetching("nobody") is None and base.is_proven("nobody")
    with pytest.raises(KeyError):
        base.connector("nobody")
