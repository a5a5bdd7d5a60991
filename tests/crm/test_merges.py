"""Two customers become one and two again: what moves, what is remembered, what came since, and many hands at once."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import orjson
import pytest
from django.db import connections, transaction
from django.utils import timezone

from crm import rows
from crm.choices import Audience, ChannelKind, Role
from crm.errors import Conflict, DomainError, InvalidInput
from crm.models import (
    Activity,
    Customer,
    Identity,
    Interaction,
    Merge,
    Message,
    MovedRow,
    SlaPolicy,
    Tag,
    Ticket,
    TicketMerge,
)
from crm.services import context, deliveries, interactions, matches, merges, messages, search, tickets
from reports.services import reconciliation
from routing.models import WorkItem
from socialcare.models import Mention
from tests import factories

pytestmark = pytest.mark.django_db

RACES = 60  # of the 500 of the long drill


@pytest.fixture
def agent():
    return factories.make_user()


@pytest.fixture
def pair():
    """A customer on X and one by mail, each with a contact and a ticket."""
    anna = factories.make_customer(name="Anna Quast", language="de")
    mail = factories.make_customer(name="A. Quast", language="", note="likes tea", value=1200)
    factories.make_interaction(customer=anna)
    factories.make_interaction(factories.make_channel(kind=ChannelKind.EMAIL), customer=mail)
    return anna, mail


def owners() -> dict[str, dict[int, int]]:
    """Who owns what: by noun, id to customer."""
    nouns = (Identity, Interaction, Ticket, Mention, SlaPolicy)
    return {noun.__name__: dict(noun.objects.values_list("pk", "customer_id")) for noun in nouns}


def broken() -> list[dict]:
    """Violations that a merge could have made (there are no queues here, so no work)."""
    return reconciliation.violations()


def feed(channel, *items):
    deliveries.accept(channel, [orjson.dumps(one) for one in items])
    while deliveries.process():
        pass


def item(ident: str, author: str, **more) -> dict:
    words = "@brand my internet is down since yesterday, please help, this is terrible"
    return {
        "id": ident, "kind": "mention", "text": words, "created_at": "2026-01-01T10:00:00Z",
        "author": {"id": author, "handle": author}, **more,
    }  # fmt: skip


def test_all_that_belongs_to_the_merged_one_moves_and_comes_back(pair, agent):
    anna, mail = pair
    factories.make_mention(identity=mail.identities.get(), customer=mail)
    SlaPolicy.objects.create(slug="gold", name="Gold", customer=mail)
    before = owners()
    step = merges.merge(anna, mail, by=agent)
    assert {owner for nouns in owners().values() for owner in nouns.values()} == {anna.pk}
    mail.refresh_from_db()
    assert mail.merged_into_id == anna.pk and merges.holder_of(mail).pk == anna.pk
    assert broken() == []
    merges.undo(step, by=agent)
    assert owners() == before
    mail.refresh_from_db()
    assert mail.merged_into_id is None and broken() == []


def test_exactly_what_moved_is_remembered(pair, agent):
    anna, mail = pair
    step = merges.merge(anna, mail, by=agent)
    moved = set(MovedRow.objects.filter(merge=step).values_list("table", "row_id"))
    contact = Interaction.objects.get(channel__kind=ChannelKind.EMAIL)
    assert moved == {
        ("crm_identity", contact.identity_id), ("crm_interaction", contact.pk), ("crm_ticket", contact.ticket_id),
    }  # fmt: skip


def test_the_card_of_the_survivor_shows_both_histories(pair, agent):
    anna, mail = pair
    merges.merge(anna, mail, by=agent)
    card = context.card([anna.pk], agent)[anna.pk]
    assert len(card["identities"]) == 2 and len(card["answers"]["still_open"]) == 2


def test_the_preview_names_what_differs_and_what_would_move_and_changes_nothing(pair):
    anna, mail = pair
    before = owners()
    shown = merges.preview(anna, mail)
    kept = {one["field"]: one["kept"] for one in shown["conflicts"]}
    assert kept == {"name": "Anna Quast", "note": "likes tea", "value": mail.value}
    assert shown["moves"] == {"identity": 1, "interaction": 1, "ticket": 1}
    assert owners() == before


def test_gaps_are_filled_chosen_fields_are_taken_and_both_are_restored(pair, agent):
    anna, mail = pair
    step = merges.merge(anna, mail, by=agent, take=["name"])
    anna.refresh_from_db()
    assert (anna.name, anna.language, anna.note, anna.value) == ("A. Quast", "de", "likes tea", 1200)
    merges.undo(step, by=agent)
    anna.refresh_from_db()
    assert (anna.name, anna.language, anna.note, anna.value) == ("Anna Quast", "de", "", None)


def test_own_fields_tags_and_orders_move_and_come_back(pair, agent):
    anna, mail = pair
    shared, second = (Tag.objects.create(slug=f"t{n}", name=f"T{n}") for n in range(2))
    anna.tags.add(shared)
    mail.tags.add(shared, second)
    Customer.objects.filter(pk=anna.pk).update(fields={"size": "M"})
    Customer.objects.filter(pk=mail.pk).update(fields={"size": "L", "shop": "Bern"})
    step = merges.merge(anna, mail, by=agent)
    anna.refresh_from_db()
    assert anna.fields == {"size": "M", "shop": "Bern"}
    assert set(anna.tags.all()) == {shared, second} and set(mail.tags.all()) == {shared}
    merges.undo(step, by=agent)
    anna.refresh_from_db()
    assert anna.fields == {"size": "M"}
    assert set(anna.tags.all()) == {shared} and set(mail.tags.all()) == {shared, second}


def test_a_field_corrected_after_the_merge_keeps_its_correction(pair, agent):
    anna, mail = pair
    step = merges.merge(anna, mail, by=agent, take=["name"])
    Customer.objects.filter(pk=anna.pk).update(name="Annette Quast")
    merges.undo(step, by=agent)
    anna.refresh_from_db()
    assert anna.name == "Annette Quast"


def test_who_was_not_verified_makes_the_whole_unverified(pair, agent):
    anna, mail = pair
    Customer.objects.filter(pk=anna.pk).update(verified_before_disclosure=True)
    step = merges.merge(anna, mail, by=agent)
    anna.refresh_from_db()
    assert anna.verified_before_disclosure is False
    merges.undo(step, by=agent)
    anna.refresh_from_db()
    assert anna.verified_before_disclosure is True


def test_both_are_told_in_the_history_and_the_history_itself_never_moves(pair, agent):
    anna, mail = pair
    old = Activity.objects.create(verb="customer.edited", customer=mail, actor=agent)
    step = merges.merge(anna, mail, by=agent)
    merges.undo(step, by=agent)
    old.refresh_from_db()
    assert old.customer_id == mail.pk
    lines = Activity.objects.filter(
        verb__in=["customer.merged", "customer.merged_into", "customer.parted", "customer.parted_from"]
    )
    assert list(lines.order_by("pk").values_list("verb", "customer_id", "actor_id")) == [
        ("customer.merged", anna.pk, agent.pk), ("customer.merged_into", mail.pk, agent.pk),
        ("customer.parted", anna.pk, agent.pk), ("customer.parted_from", mail.pk, agent.pk),
    ]  # fmt: skip


def test_merging_twice_or_with_itself_or_undoing_twice_is_refused(pair, agent):
    anna, mail = pair
    with pytest.raises(Conflict, match="itself"):
        merges.merge(anna, anna, by=agent)
    with pytest.raises(InvalidInput):
        merges.merge(anna, mail, by=agent, take=["password"])
    step = merges.merge(anna, mail, by=agent)
    for one, other in ((anna, mail), (mail, anna), (factories.make_customer(), mail)):
        with pytest.raises(Conflict) as refusal:
            merges.merge(one, other, by=agent)
        assert refusal.value.code == "already_merged"
    merges.undo(step, by=agent)
    with pytest.raises(Conflict) as refusal:
        merges.undo(step, by=agent)
    assert refusal.value.code == "already_undone"


# --- What came since


@pytest.fixture
def thread():
    """A public thread in which two accounts write, each with a contact."""
    channel = factories.make_channel()
    feed(channel, item("1", "anna"), item("2", "anna2", in_reply_to="1"))
    return channel, *(Customer.objects.get(identities__value=value) for value in ("anna", "anna2"))


def test_two_contacts_in_one_thread_stay_two_and_each_answer_leaves_to_its_own_identity(thread, agent):
    channel, anna, second = thread
    step = merges.merge(anna, second, by=agent)
    feed(channel, item("3", "anna2", in_reply_to="2"), item("4", "anna", in_reply_to="1"))
    contacts = Interaction.objects.filter(customer=anna, folded_into=None)
    assert contacts.count() == 2 and len({contact.thread for contact in contacts}) == 1
    for contact in contacts:
        reply = messages.reply(contact, by=agent, text=f"We are on it, {contact.pk}.")
        answered = Message.objects.get(external_id=reply.in_reply_to)
        assert answered.identity_id == contact.identity_id and reply.interaction_id == contact.pk
    merges.undo(step, by=agent)
    for name, customer in (("anna", anna), ("anna2", second)):
        said = Message.objects.filter(identity__value=name)
        assert {message.interaction.customer_id for message in said} == {customer.pk}
    assert broken() == []


def test_what_came_after_the_merge_goes_by_its_identity(thread, agent):
    channel, anna, second = thread
    step = merges.merge(anna, second, by=agent)
    feed(
        channel,
        item("8", "anna2", created_at="2026-02-01T10:00:00Z"),
        item("9", "anna", created_at="2026-02-02T10:00:00Z"),
    )
    assert Interaction.objects.filter(customer=anna).count() == 4
    merges.undo(step, by=agent)
    for name, customer in (("anna", anna), ("anna2", second)):
        contacts = Interaction.objects.filter(identity__value=name)
        assert contacts.count() == 2
        assert {(one.customer_id, one.ticket.customer_id) for one in contacts} == {(customer.pk, customer.pk)}
        assert {one.customer_id for one in Mention.objects.filter(identity__value=name)} == {customer.pk}
    assert broken() == []


def test_tickets_that_were_made_one_meanwhile_are_two_again(pair, agent):
    anna, mail = pair
    step = merges.merge(anna, mail, by=agent)
    mine, theirs = Ticket.objects.order_by("pk")
    tickets.merge(mine, theirs, by=agent)
    merges.undo(step, by=agent)
    for contact in Interaction.objects.all():
        assert contact.ticket.customer_id == contact.customer_id
    assert Ticket.objects.filter(status="folded").count() == 0 and broken() == []


def test_a_ticket_split_off_and_merged_meanwhile_goes_with_its_words_and_can_still_be_parted(pair, agent):
    anna, mail = pair
    step = merges.merge(anna, mail, by=agent)
    mine, theirs = Interaction.objects.order_by("pk")
    late = factories.make_message(theirs, text="another problem", at=timezone.now() + timedelta(minutes=1))
    split = tickets.split(late, by=agent)
    tickets.merge(mine.ticket, split, by=agent)
    merges.undo(step, by=agent)
    split.refresh_from_db()
    assert split.customer_id == mail.pk and split.status != "folded" and split.interactions.count() == 1
    assert not Ticket.objects.exclude(status="folded").filter(interactions=None).exists() and broken() == []


def test_a_ticket_with_contacts_of_both_gets_a_second_that_continues_it(pair, agent):
    anna, mail = pair
    step = merges.merge(anna, mail, by=agent)
    mine, theirs = Interaction.objects.order_by("pk")
    Interaction.objects.filter(pk=theirs.pk).update(ticket=mine.ticket)
    merges.undo(step, by=agent)
    theirs.refresh_from_db()
    assert theirs.ticket.customer_id == mail.pk and theirs.ticket.continues_id == mine.ticket_id
    assert theirs.ticket.status == "waiting_on_us" and broken() == []


def test_merges_in_a_chain_come_apart_in_any_order(agent):
    people = [factories.make_customer(name=f"Person {n}") for n in range(4)]
    for one in people:
        factories.make_interaction(customer=one)
    before = owners()
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]):
        fresh = [Customer.objects.get(pk=one.pk) for one in people]
        steps = [merges.merge(fresh[n + 1], fresh[n], by=agent) for n in range(3)]
        assert set(owners()["Interaction"].values()) == {people[3].pk}
        for number in order:
            merges.undo(steps[number], by=agent)
            assert broken() == []
        assert owners() == before


def test_who_was_parted_below_and_merged_again_above_is_not_given_to_the_one_between(agent):
    below, between, above = (factories.make_customer() for _ in range(3))
    mine = factories.make_interaction(customer=below)
    first = merges.merge(between, below, by=agent)
    second = merges.merge(Customer.objects.get(pk=above.pk), Customer.objects.get(pk=between.pk), by=agent)
    merges.undo(first, by=agent)
    merges.merge(Customer.objects.get(pk=above.pk), Customer.objects.get(pk=below.pk), by=agent)
    merges.undo(second, by=agent)
    mine.refresh_from_db()
    assert mine.customer_id == mine.identity.customer_id == mine.ticket.customer_id == above.pk
    assert broken() == []


def test_work_in_hand_follows_its_customer(agent):
    anna, other = factories.make_customer(), factories.make_customer()
    work = factories.make_work_item(factories.make_interaction(customer=other))
    WorkItem.objects.filter(pk=work.pk).update(customer_id=other.pk)
    step = merges.merge(anna, other, by=agent)
    work.refresh_from_db()
    assert work.customer_id == anna.pk
    merges.undo(step, by=agent)
    work.refresh_from_db()
    assert work.customer_id == other.pk


def test_a_merge_costs_the_same_statements_however_long_the_history(agent, django_assert_max_num_queries):
    anna, other = factories.make_customer(), factories.make_customer()
    for _ in range(40):
        factories.make_interaction(customer=other, status="closed", closed_at="2026-01-01T00:00:00Z")
    with django_assert_max_num_queries(40):
        step = merges.merge(anna, other, by=agent)
    with django_assert_max_num_queries(40):
        merges.undo(step, by=agent)


# --- Many hands at once


@pytest.fixture
def _shared(transactional_db) -> Iterator[None]:
    yield
    connections.close_all()


def _races(seed: int, count: int, customers: list[Customer], agents: list) -> None:
    """Merges, partings, replies, notes, closings and arrivals, mixed by dice, eight at a time."""
    dice = random.Random(seed)
    channel = Interaction.objects.first().channel
    contacts = list(Interaction.objects.values_list("pk", flat=True))
    authors = list(Identity.objects.values_list("value", flat=True))
    acts = dice.choices(["merge", "undo", "reply", "close", "reopen", "arrive"], [3, 3, 4, 1, 1, 2], k=count)
    works = [(act, dice.random(), number) for number, act in enumerate(acts)]
    lock = threading.Lock()

    def one(work: tuple[str, float, int]) -> None:
        act, luck, number = work
        with lock:
            local = random.Random(luck)
        try:
            _act(act, local, number, customers, contacts, authors, channel, agents)
        except (DomainError, Customer.DoesNotExist, Merge.DoesNotExist):
            pass  # the state had moved on: a refusal is a fine answer
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, works))


def _act(act, dice, number, customers, contacts, authors, channel, agents) -> None:
    by = dice.choice(agents)
    contact = dice.choice(contacts)
    if act == "merge":
        one, other = dice.sample(customers, 2)
        merges.merge(Customer.objects.get(pk=one.pk), Customer.objects.get(pk=other.pk), by=by)
    elif act == "undo":
        live = list(Merge.objects.filter(undone_at=None))
        if live:
            merges.undo(dice.choice(live), by=by)
    elif act == "reply":
        messages.reply(
            Interaction.objects.select_related("channel").get(pk=contact), by=by, text=f"Answer {number}."
        )
    elif act == "close":
        interactions.close(contact, by=by)
    elif act == "reopen":
        interactions.reopen(contact, by=by)
    else:
        deliveries.accept(channel, [orjson.dumps(item(f"n{number}", dice.choice(authors), in_reply_to="p0"))])
        deliveries.process()


@pytest.mark.usefixtures("_shared")
def test_mixed_races_leave_no_orphan_and_no_answer_to_another_person():
    channel = factories.make_channel()
    feed(channel, *(item(f"p{n}", f"author{n}", **({"in_reply_to": "p0"} if n else {})) for n in range(6)))
    customers = list(Customer.objects.order_by("pk"))
    home = dict(Identity.objects.values_list("value", "customer_id"))
    agents = [factories.make_user(Role.AGENT) for _ in range(3)]
    _races(20260101, RACES, customers, agents)
    while deliveries.process():
        pass
    assert broken() == []
    replies = Message.objects.filter(direction="outbound").select_related("interaction")
    assert replies.exists()
    for reply in replies:
        answered = Message.objects.get(external_id=reply.in_reply_to)
        assert answered.identity_id == reply.interaction.identity_id
    # Undone in any order, everything is as if nobody had merged anything.
    live = list(Merge.objects.filter(undone_at=None))
    random.Random(7).shuffle(live)
    for step in live:
        merges.undo(step, by=agents[0])
    assert dict(Identity.objects.values_list("value", "customer_id")) == home
    for contact in Interaction.objects.select_related("identity", "ticket"):
        assert home[contact.identity.value] == contact.customer_id == contact.ticket.customer_id
    assert Interaction.objects.filter(audience=Audience.PUBLIC, folded_into=None).count() == 6
    assert broken() == []


WALK = ("merge people", "part people", "merge tickets", "part tickets", "split", "write", "close", "reopen")
EMPTY = (
    "SELECT id FROM crm_ticket t WHERE status <> 'folded' AND NOT EXISTS "
    "(SELECT 1 FROM crm_interaction i WHERE i.ticket_id = t.id)"
)


@pytest.mark.parametrize("seed", [16, 1, 2, 3, 4, 5])
def test_no_order_of_merging_and_parting_leaves_a_ticket_without_its_contacts(agent, seed):
    dice, channel = random.Random(seed), factories.make_channel()
    feed(channel, *(item(f"{name}-{n}", name) for name in ("left", "right") for n in range(3)))
    people = list(Customer.objects.order_by("pk"))
    done = []
    for place in range(60):
        act = dice.choice(WALK)
        try:
            with transaction.atomic():
                _walk(dice, act, place, channel, people, agent)
        except DomainError:
            continue
        done.append(act)
        assert rows.run(EMPTY) == [], done
        assert broken() == [], done
    assert set(done) == set(WALK)


def _walk(dice: random.Random, act: str, place: int, channel, people: list[Customer], by) -> None:
    contacts = list(Interaction.objects.filter(folded_into=None).order_by("pk"))
    contact = dice.choice(contacts)
    if act == "merge people":
        merges.merge(*dice.sample(people, 2), by=by)
    elif act == "part people" and (step := Merge.objects.last()):
        merges.undo(step, by=by)
    elif act == "merge tickets":
        tickets.merge(contact.ticket, dice.choice(contacts).ticket, by=by)
    elif act == "part tickets" and (steps := TicketMerge.objects.order_by("-pk")[:5]):
        tickets.unmerge(dice.choice(steps).merged, by=by)
    elif act == "split":
        said = Message.objects.filter(interaction=contact, direction="inbound").order_by("-pk")
        tickets.split(said[0], by=by)
    elif act == "write":
        name = dice.choice(["left", "right"])
        feed(channel, item(f"{name}-w{place}", name, in_reply_to=f"{name}-{dice.randrange(3)}"))
    elif act == "close":
        interactions.close(contact.pk, by=by, reason="billing", outcome="solved")
    elif act == "reopen":
        interactions.reopen(contact.pk, by=by)
    else:
        raise Conflict("There is nothing to part.")


# --- Suggestions


def test_the_same_address_or_nearly_the_same_name_is_suggested_with_reasons(agent):
    anna = factories.make_customer(name="Anneliese Trevorrow")
    factories.make_identity(anna, kind=ChannelKind.EMAIL, value="anneliese@example.org")
    by_claim = factories.make_customer(name="")
    factories.make_identity(by_claim, kind=ChannelKind.X, claims={"email": "Anneliese@Example.org"})
    by_name = factories.make_customer(name="Aneliese Trevorrow")
    search.learn(["Anneliese Trevorrow", "Aneliese Trevorrow"])
    stranger = factories.make_customer(name="Viktor Sommer")
    found = {one.customer.pk: one for one in matches.suggestions(anna)}
    assert set(found) == {by_claim.pk, by_name.pk} and stranger.pk not in found
    assert [reason.field for reason in found[by_claim.pk].reasons] == ["e-mail"]
    assert {reason.field for reason in found[by_name.pk].reasons} == {"given name", "surname"}
    assert all(matches.LIKELY <= one.score <= 1 for one in found.values())


@pytest.mark.parametrize("number", ["+49 30 7654321", "030 7654321", "0049307654321"])
def test_a_telephone_number_is_known_by_its_end(number):
    anna, other = factories.make_customer(name="Anna Quast"), factories.make_customer(name="A. Quast")
    factories.make_identity(anna, kind=ChannelKind.PHONE, value="+49307654321")
    factories.make_identity(other, kind=ChannelKind.X, claims={"phone": number})
    assert [one.customer.pk for one in matches.suggestions(anna)] == [other.pk]


def test_whom_people_parted_is_not_suggested_again_and_a_merged_one_has_no_suggestions(agent):
    anna, other = factories.make_customer(name="Anna Quast"), factories.make_customer(name="Anna Quast")
    for number, one in enumerate((anna, other)):
        factories.make_identity(one, kind=ChannelKind.X, value=f"x{number}", claims={"phone": "+49307654321"})
    assert [one.customer.pk for one in matches.suggestions(anna)] == [other.pk]
    step = merges.merge(anna, other, by=agent)
    other.refresh_from_db()
    assert matches.suggestions(anna) == matches.suggestions(other) == []
    merges.undo(step, by=agent)
    assert matches.suggestions(anna) == []


def test_whom_somebody_said_to_be_another_is_not_suggested_until_that_is_taken_back(agent, client):
    anna, other = factories.make_customer(name="Anna Quast"), factories.make_customer(name="Anna Quast")
    for number, one in enumerate((anna, other)):
        factories.make_identity(one, kind=ChannelKind.X, value=f"x{number}", claims={"phone": "+49307654321"})
    client.force_login(agent)
    address = f"/api/v1/customers/{anna.pk}/apart/"
    for _ in range(2):
        assert client.post(address, {"other": other.pk}, "application/json").status_code == 204
    assert matches.suggestions(anna) == matches.suggestions(other) == []
    assert (
        matches.told_apart(other) == [anna]
        and "Ask again" in client.get(f"/customers/{anna.pk}/").content.decode()
    )
    # It stays through a merge of one of them with a third.
    third = factories.make_customer(name="Cleo")
    step = merges.merge(third, Customer.objects.get(pk=other.pk), by=agent)
    assert matches.told_apart(third) == [anna]
    merges.undo(step, by=agent)
    assert matches.told_apart(third) == [] and matches.suggestions(anna) == []
    assert client.post(address, {"other": other.pk, "apart": False}, "application/json").status_code == 204
    assert [one.customer.pk for one in matches.suggestions(anna)] == [other.pk]
    assert client.post(address, {"other": anna.pk}, "application/json").status_code == 409


def test_suggestions_take_a_constant_number_of_statements(django_assert_max_num_queries):
    anna = factories.make_customer(name="Anna Quast")
    for number in range(30):
        other = factories.make_customer(name="Anna Quast")
        factories.make_identity(other, kind=ChannelKind.X, value=f"a{number}", handle="anna")
    with django_assert_max_num_queries(10):
        matches.suggestions(anna)


def test_nobody_is_merged_by_himself_unless_the_owner_said_from_when_on(settings):
    for number in range(2):
        one = factories.make_customer(name="Anneliese Trevorrow")
        claims = {"email": "anneliese@example.org", "phone": "+49307654321"}
        factories.make_identity(one, kind=ChannelKind.X, value=f"x{number}", claims=claims)
    assert settings.AUTO_MERGE_PERCENT == 0
    assert matches.settle_new() == 0
    settings.AUTO_MERGE_PERCENT = 99  # how a new house begins
    admin = factories.make_user(Role.ADMINISTRATOR)
    matches.set_threshold(0, by=admin)
    assert (matches.threshold(), matches.settle_new()) == (0, 0)
    matches.set_threshold(99, by=admin)
    assert matches.settle_new() == 1
    step = Merge.objects.get()
    assert step.by is None and step.score >= 0.99 and step.survivor_id < step.merged_id


def test_the_owner_sets_on_a_page_and_over_rest_from_when_on_and_that_stands_in_the_history(agent, client):
    admin = factories.make_user(Role.ADMINISTRATOR)
    client.force_login(admin)
    assert "never" in client.get("/merging/").content.decode()
    client.post("/merging/", {"percent": "97"})
    assert client.get("/api/v1/merging/").json() == {"percent": 97}
    for wrong in ("49", "101", "-1", "", "x", "97.5", "9" * 400, "\x00"):
        assert (
            "It is 0 (never), or 50 to 100"
            in client.post("/merging/", {"percent": wrong}, follow=True).content.decode()
        )
    for number, status in ((49, 400), (101, 400), (99, 200), (99, 200), (0, 200)):
        said = client.put("/api/v1/merging/", {"percent": number}, content_type="application/json")
        assert said.status_code == status, number
    client.force_login(agent)
    assert client.post("/merging/", {"percent": "60"}).status_code == 403
    assert client.put("/api/v1/merging/", {"percent": 60}, content_type="application/json").status_code == 403
    lines = Activity.objects.filter(verb="merging.changed").order_by("pk")
    assert [one.data["percent"] for one in lines] == [[0, 97], [97, 99], [99, 0]]
    assert {one.actor for one in lines} == {admin}


# --- The doors


def test_the_api_suggests_previews_merges_and_undoes(pair, agent, client):
    anna, mail = pair
    client.force_login(agent)
    assert client.get(f"/api/v1/customers/{anna.pk}/suggestions/").json()["results"] == []
    shown = client.get(f"/api/v1/customers/{anna.pk}/merge/?other={mail.pk}").json()
    assert shown["moves"] == {"identity": 1, "interaction": 1, "ticket": 1}
    body = {"into": anna.pk, "take": ["name"]}
    made = client.post(f"/api/v1/customers/{mail.pk}/merge/", body, content_type="application/json")
    assert made.status_code == 201 and made.json()["survivor"] == anna.pk
    assert client.get(f"/api/v1/customers/{mail.pk}/").json()["merged_into"] == anna.pk
    again = client.post(f"/api/v1/customers/{mail.pk}/merge/", body, content_type="application/json")
    assert (again.status_code, again.json()["code"]) == (409, "already_merged")
    undone = client.post(f"{made['Location']}undo/")
    assert undone.status_code == 200 and undone.json()["undone_at"]
    for wrong in (
        {},
        {"into": anna.pk, "other": anna.pk},
        {"into": 0},
        {"into": anna.pk, "take": ["password"]},
    ):
        answer = client.post(f"/api/v1/customers/{mail.pk}/merge/", wrong, content_type="application/json")
        assert answer.status_code == 400
    assert (
        client.post(
            f"/api/v1/customers/{mail.pk}/merge/", {"into": 999999}, content_type="application/json"
        ).status_code
        == 404
    )


def test_the_page_suggests_compares_merges_and_undoes_with_plain_forms(agent, client):
    anna, other = factories.make_customer(name="Anna <b>Quast"), factories.make_customer(name="Anna <b>Quast")
    for number, one in enumerate((anna, other)):
        factories.make_identity(one, kind=ChannelKind.X, value=f"x{number}", claims={"phone": "+49307654321"})
    client.force_login(agent)
    page = client.get(f"/customers/{anna.pk}/").content.decode()
    assert (
        "Same person?" in page
        and f"/customers/{anna.pk}/merge/?other={other.pk}" in page
        and "<b>" not in page
    )
    assert "Merge" in client.get(f"/customers/{anna.pk}/merge/?other={other.pk}").content.decode()
    done = client.post(f"/customers/{anna.pk}/merge/", {"other": other.pk}, follow=True)
    assert done.redirect_chain[-1][0] == f"/customers/{anna.pk}/" and "Undo" in done.content.decode()
    assert f"/customers/{anna.pk}/" in client.get(f"/customers/{other.pk}/").content.decode()
    back = client.post(f"/merges/{Merge.objects.get().pk}/undo/", follow=True)
    assert "of its own again" in back.content.decode()
    for wrong in ("", "abc", "99999999999999999999", "0"):
        assert client.get(f"/customers/{anna.pk}/merge/?other={wrong}").status_code == 404
