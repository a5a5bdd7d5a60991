"""All that is held on one person and nothing of anybody else, as JSON and to read, for who may and asked."""

import json
import zipfile

import orjson
import pytest

from crm import personal
from crm.choices import Role
from crm.errors import Conflict, NotAllowed, NotFound
from crm.models import Activity, Customer, Export, Identity
from crm.services import customers, deliveries, erasures, exports, messages, person_export
from tests.factories import make_channel, make_customer, make_queue, make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_broker(monkeypatch):
    for task in ("deliver", "erase", "write_out"):
        monkeypatch.setattr(f"crm.tasks.{task}.delay", lambda *_: None)


@pytest.fixture
def admin():
    return make_user(Role.ADMINISTRATOR, name="Secret Staffname")


@pytest.fixture
def anna(admin):
    make_queue(is_fallback=True)
    channel = make_channel(connector="items")
    for number, name in ((1, "Anna"), (2, "Berta")):
        deliveries.accept(channel, [orjson.dumps({
            "id": f"post-{name}", "kind": "mention", "text": f"words of {name}: my parcel is lost, help, terrible",
            "created_at": "2026-01-05T10:00:00Z", "conversation": "one thread",
            "author": {"id": f"77{number}", "handle": f"{name}_handle", "name": f"{name} Person", "email": f"{name}@mail.test"},
        })])  # fmt: skip
    while deliveries.process():
        pass
    customer = Identity.objects.get(handle="Anna_handle").customer
    customers.edit(customer, {"note": "likes tea & <b>cake</b>"}, by=admin)
    messages.note(customer.interactions.get(), by=admin, text="rings twice")
    return customer


def test_it_holds_every_place_where_the_person_stands_and_nobody_else(anna, admin):
    said = person_export.read(anna, by=admin)
    text = orjson.dumps(said, default=str).decode()
    for word in (
        "Anna_handle",
        "Anna Person",
        "Anna@mail.test",
        "words of Anna",
        "likes tea",
        "rings twice",
        "post-Anna",
    ):
        assert word in text
    assert "Berta" not in text and "Staffname" not in text
    assert set(said["data"]) >= {
        "customers",
        "identities",
        "messages",
        "deliveries",
        "mentions",
        "tickets",
        "interactions",
    }
    nouns = {one.noun for one in personal.register().values() if one.told}
    assert set(said["data"]) <= nouns
    assert Activity.objects.filter(verb="person.exported", customer=anna, actor=admin).count() == 1


def test_the_file_is_the_askers_and_can_be_read(anna, admin):
    kept = person_export.ask(anna, by=admin)
    exports.work(kept.pk)
    name, mime, path = exports.fetch(kept.pk, by=admin)
    assert name.startswith("person-") and mime == "application/zip"
    with zipfile.ZipFile(path) as file:
        said = json.loads(file.read("person.json"))
        page = file.read("person.html").decode()
    assert said["customer"] == anna.pk and "Anna_handle" in json.dumps(said)
    assert "likes tea &amp; &lt;b&gt;cake" in page and "Berta" not in page
    with pytest.raises(NotFound):
        exports.fetch(kept.pk, by=make_user(Role.ADMINISTRATOR))


def test_only_who_may_and_not_of_who_is_erased(anna, admin):
    with pytest.raises(NotAllowed):
        person_export.ask(anna, by=make_user(Role.AGENT))
    kept = person_export.ask(anna, by=admin)
    exports.work(kept.pk)
    path = exports.path_of(Export.objects.get(pk=kept.pk))
    assert path.exists()
    word = erasures.preview(anna, by=admin)["confirmation"]
    erasures.ask(anna, way="erase", why="request", confirmation=word, by=admin)
    erasures.work()
    assert not path.exists()
    anna.refresh_from_db()
    with pytest.raises(Conflict, match="erased"):
        person_export.ask(anna, by=admin)


def test_a_person_of_whom_only_a_name_is_known_can_be_exported(admin):
    assert person_export.read(make_customer(name="Only"), by=admin)["data"]["customers"][0]["name"] == "Only"
    assert Customer.objects.count() == 1
