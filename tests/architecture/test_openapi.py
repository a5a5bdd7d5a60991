"""The API's document: made without a warning, committed as it is made, and about exactly the doors there are."""

from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.core.management import call_command

from crm import intake
from crm.api.base import ScopedViewSet
from tests.architecture import access_table as table
from tests.architecture.doors import patterns, shape

COMMITTED = Path(settings.BASE_DIR) / "docs" / "openapi.yaml"
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> str:
    """The document as `make openapi` would write it now; a warning fails."""
    file = tmp_path_factory.mktemp("openapi") / "openapi.yaml"
    call_command("spectacular", file=str(file), validate=True, fail_on_warn=True)
    return file.read_text()


@pytest.fixture(scope="module")
def document(made) -> dict:
    return yaml.safe_load(made)


def operations(document: dict) -> dict[str, dict]:
    return {
        f"{method.upper()} {shape(path)}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    }


def test_the_committed_document_is_the_one_that_is_made(made):
    assert COMMITTED.read_text() == made, "run `make openapi` and commit docs/openapi.yaml"


def test_it_tells_of_every_rest_door_and_of_no_other(document):
    assert document["openapi"].startswith("3.1")
    rest = {f"{door.method} {shape(door.path)}" for door in table.REST}
    plain = {f"POST {shape(path)}" for path in intake.ROUTES if path.startswith("/api/")}
    assert set(operations(document)) == rest | plain


def test_every_operation_names_its_refusals_and_who_may_ask(document):
    for name, operation in operations(document).items():
        refusals = {code for code in operation["responses"] if code >= "400"}
        assert {"400", "401", "404"} <= refusals, name
        for code in refusals - {"422"}:
            assert "application/problem+json" in operation["responses"][code]["content"], (name, code)
        assert {"token": []} in operation["security"], name
        assert operation.get("description"), name


def test_writes_take_a_key_and_edits_a_version(document):
    for name, operation in operations(document).items():
        headers = {one["name"] for one in operation.get("parameters", []) if one["in"] == "header"}
        if name.startswith("GET ") or name.startswith("POST /api/v1/deliveries/{}/") and "replay" not in name:
            assert "Idempotency-Key" not in headers, name
        else:
            assert "Idempotency-Key" in headers and "409" in operation["responses"], name
        if name.startswith("PATCH "):
            assert "If-Match" in headers and "412" in operation["responses"], name


def test_every_list_names_its_pages_its_order_and_every_filter_of_the_code(document):
    listed = 0
    for path, pattern in patterns():
        kind = getattr(pattern.callback, "cls", None)
        if (
            kind is None
            or not issubclass(kind, ScopedViewSet)
            or pattern.callback.actions.get("get") != "list"
        ):
            continue
        listed += 1
        named = {one["name"] for one in operations(document)[f"GET {shape(path)}"]["parameters"]}
        wanted = {"cursor", "page_size", "ordering"} | set(kind.filterset_class.base_filters)
        assert named - {"If-None-Match"} == wanted, path
    assert listed > 15
