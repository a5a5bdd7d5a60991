"""Sets of rights within a scope: what the gate says of one row is what every list, card, board and socket shows."""

import random
from threading import Thread

import pytest
from django.db import IntegrityError, connections, transaction

from crm import hub as hubs
from crm.access import GRANTS, SCOPED, Permission, may, may_somewhere, work_filter
from crm.choices import Audience, Role, Scope, TeamVisibility
from crm.errors import Conflict, InvalidInput, NotAllowed
from crm.models import Activity, Grant, Interaction, Message, RightSet, Ticket, User
from crm.services import bulks, context, exports, notices, rights, search, timeline, tokens
from reports.models import Board
from reports.services import boards, reconciliation
from routing.models import Assignment, WorkItem
from routing.services import presence, waiting
from tests import factories as make
from tests.architecture.centre import make_token

pytestmark = pytest.mark.django_db
READ_SET = ["read_customers", "read_work"]


@pytest.fixture
def admin():
    return make.make_user(Role.ADMINISTRATOR)


def given(user: User, admin: User, words: list[str] | None = None, **scope) -> User:
    """The person as the next request finds him, after a set of his own was given to him."""
    right_set = rights.make_set(name=f"Set {make.number()}", rights=words or READ_SET, by=admin)
    rights.give(user, right_set=right_set, by=admin, **scope)
    return User.objects.get(pk=user.pk)


# --- One reading in Python, SQL and on the card


def house(random_numbers: random.Random) -> tuple[list, list, list[Interaction]]:
    """Teams of every visibility, brands, and contacts and tickets of all of them, some held."""
    teams = [make.make_team(visibility=one) for one in TeamVisibility.values for _ in range(2)]
    channels = [make.make_channel(brand=make.make_brand()) for _ in range(3)]
    holders = [make.make_user(team=teams[0]), make.make_user(team=teams[2])]
    contacts = [
        make.make_interaction(
            random_numbers.choice(channels), team=random_numbers.choice([None, *teams]),
            assigned_to=random_numbers.choice([None, None, *holders]),
            audience=random_numbers.choice([Audience.PUBLIC, Audience.PRIVATE]), text="needle",
        )
        for _ in range(40)
    ]  # fmt: skip
    return teams, [one.brand for one in channels], contacts


def someone(
    numbers: random.Random, teams: list, brands: list, admin: User, holder_of: list[Interaction]
) -> User:
    """A person of any role and team with up to three grants of any right in any scope."""
    user = numbers.choice([one.assigned_to for one in holder_of if one.assigned_to] + [None, None])
    if user is None:
        user = make.make_user(numbers.choice(Role.values), numbers.choice([None, *teams]))
    else:
        user.role = numbers.choice(Role.values)
        user.save()
    for _ in range(numbers.randint(0, 3)):
        scope = numbers.choice(Scope.values)
        words = [one.value for one in numbers.sample(sorted(SCOPED), numbers.randint(1, 3))]
        user = given(
            user, admin, words, scope=scope, team=numbers.choice(teams) if scope == Scope.TEAM else None,
            brand=numbers.choice(brands) if scope == Scope.BRAND else None,
        )  # fmt: skip
    return User.objects.get(pk=user.pk)


@pytest.mark.parametrize("seed", range(6))
def test_the_gate_says_of_each_row_what_the_filters_select(admin, seed):
    numbers = random.Random(seed)
    teams, brands, contacts = house(numbers)
    for _ in range(12):
        user = someone(numbers, teams, brands, admin, contacts)
        for permission in sorted(SCOPED):
            chosen = set(
                Interaction.objects.filter(work_filter(user, "", permission)).values_list("pk", flat=True)
            )
            one_by_one = {one.pk for one in Interaction.objects.all() if may(user, permission, one)}
            assert chosen == one_by_one, (user.role, user.reach, permission)
            assert may_somewhere(user, permission) or not chosen
            held = set(Ticket.objects.all().held_by(user, permission).values_list("pk", flat=True))
            assert held == {one.pk for one in Ticket.objects.all() if may(user, permission, one)}
        words = set(Message.objects.visible_to(user).values_list("pk", flat=True))
        assert words == {one.pk for one in Message.objects.all() if may(user, Permission.READ_WORK, one)}


@pytest.mark.parametrize("seed", range(4))
def test_the_card_shows_the_words_of_exactly_what_the_gate_lets_read(admin, seed):
    numbers = random.Random(100 + seed)
    teams, brands, contacts = house(numbers)
    made = [someone(numbers, teams, brands, admin, contacts) for _ in range(10)]
    people = User.objects.filter(pk__in=[one.pk for one in made])  # one who holds something may be made anew
    cards = context.cards((one.customer_id, user) for one in contacts for user in people)
    for one in Interaction.objects.select_related("team", "channel"):
        for user in people:
            lines = cards[one.customer_id, user.pk]["history"]
            read = may(user, Permission.READ_WORK, one)
            assert [line["text"] for line in lines if line["text"]] == (["needle"] if read else []), (
                user.role,
                user.reach,
            )
            told = timeline.of(one.customer_id, user, kinds=("message", "ticket")).entries
            said = {entry["kind"]: entry for entry in told}
            assert ("message" in said and said["message"]["text"] == "needle") == read
            owned = may(user, Permission.READ_WORK, one.ticket)
            assert ("ticket" in said and said["ticket"]["text"] == one.ticket.subject) == owned
            closed = one.team is not None and one.team.visibility == TeamVisibility.CLOSED
            if closed and not read and one.team_id != user.team_id and one.assigned_to_id != user.pk:
                assert lines == []


@pytest.mark.parametrize("seed", range(4))
def test_card_timeline_and_list_say_the_same_of_a_ticket_of_public_and_private_contacts(admin, seed):
    numbers = random.Random(200 + seed)
    teams, brands, contacts = house(numbers)
    for one in contacts[::2]:
        audience = numbers.choice(["public", "private"])
        make.make_interaction(
            one.channel, customer=one.customer, identity=one.identity, ticket=one.ticket, audience=audience
        )
    made = [someone(numbers, teams, brands, admin, contacts) for _ in range(6)]
    for user in [
        *User.objects.filter(pk__in=[one.pk for one in made]),
        make.make_user(Role.MARKETING, teams[0]),
    ]:
        listed = set(Ticket.objects.visible_to(user).values_list("pk", flat=True))
        cards = context.cards((one.customer_id, user) for one in contacts)
        for card in cards.values():
            for ticket in card["open_tickets"]:
                assert bool(ticket["subject"]) == (ticket["id"] in listed), (user.role, user.reach)
            told = timeline.of(card["customer"]["id"], user, kinds=["ticket"]).entries
            assert {one["ticket"] for one in told if one["text"]} == {
                one["id"] for one in card["open_tickets"] if one["subject"]
            }


# --- What a scope opens, door by door


def test_a_set_given_in_a_closed_team_opens_that_team_and_no_other(admin):
    theirs, other = (make.make_team(visibility=TeamVisibility.CLOSED) for _ in range(2))
    contact = make.make_interaction(team=theirs, text="zanzibar one")
    hidden = make.make_interaction(team=other, text="zanzibar two")
    agent = make.make_user(team=make.make_team())
    assert not Interaction.objects.visible_to(agent).exists()
    agent = given(agent, admin, scope=Scope.TEAM, team=theirs)
    assert list(Interaction.objects.visible_to(agent)) == [contact]
    assert list(Ticket.objects.visible_to(agent)) == [contact.ticket]
    assert [hit.id for hit in search.search("zanzibar", by=agent).messages] == [contact.pk]
    assert {one.pk for one in notices_people(contact, agent)} == {agent.pk}
    assert notices_people(hidden, agent) == []
    for one in (contact, hidden):
        queue = make.make_queue(one.team)
        make.make_work_item(one, queue)
    assert [one["team"] for one in waiting.queues(agent)] == [theirs.name]
    assert [item["subject"] for one in waiting.queues(agent) for item in one["items"]] == [
        contact.ticket.subject
    ]
    assert WorkItem.objects.visible_to(agent).count() == 1


def notices_people(contact: Interaction, user: User) -> list[User]:
    return [one for one in [user] if one.pk in notices.who_sees(contact, [user])]


def test_people_of_one_role_and_team_are_told_apart_by_what_was_given_to_them(admin):
    theirs, ours = make.make_team(visibility=TeamVisibility.CLOSED), make.make_team()
    contact = make.make_interaction(team=theirs)
    plain, wider = make.make_user(team=ours), make.make_user(team=ours)
    wider = given(wider, admin, scope=Scope.TEAM, team=theirs)
    assert notices.who_sees(contact, [plain, wider]) == {wider.pk}


def test_a_brand_does_not_open_closed_teams(admin):
    members, closed = (
        make.make_team(visibility="restricted"),
        make.make_team(visibility=TeamVisibility.CLOSED),
    )
    channel = make.make_channel()
    seen, unseen = make.make_interaction(channel, team=members), make.make_interaction(channel, team=closed)
    elsewhere = make.make_interaction(team=closed)
    user = given(make.make_user(Role.MARKETING), admin, scope=Scope.BRAND, brand=channel.brand)
    found = set(Interaction.objects.visible_to(user).filter(pk__in=[seen.pk, unseen.pk, elsewhere.pk]))
    assert found == {seen}


def test_everywhere_opens_everything(admin):
    contact = make.make_interaction(team=make.make_team(visibility=TeamVisibility.CLOSED))
    user = given(make.make_user(), admin, scope=Scope.EVERYWHERE)
    assert contact in Interaction.objects.visible_to(user)


def test_reading_elsewhere_does_not_let_one_act_there(admin, client):
    theirs = make.make_team(visibility=TeamVisibility.CLOSED)
    contact = make.make_interaction(team=theirs)
    agent = given(make.make_user(team=make.make_team()), admin, scope=Scope.TEAM, team=theirs)
    headers = {"Authorization": f"Bearer {make_token(agent)}"}
    path = f"/api/v1/interactions/{contact.pk}/"
    assert client.get(path, headers=headers).status_code == 200
    note = {"data": {"text": "Hello"}, "content_type": "application/json", "headers": headers}
    assert client.post(f"{path}notes/", **note).status_code == 403
    item = make.make_work_item(contact, make.make_queue(theirs))
    make.make_agent(agent)
    assert client.post(f"/api/v1/work-items/{item.pk}/claim/", headers=headers).status_code == 403
    edit = {"data": {"subject": "Mine"}, "content_type": "application/json", "headers": headers}
    assert client.patch(f"/api/v1/tickets/{contact.ticket_id}/", **edit).status_code == 403
    given(agent, admin, ["note", "close"], scope=Scope.TEAM, team=theirs)
    assert client.post(f"{path}notes/", **note).status_code == 201
    assert client.patch(f"/api/v1/tickets/{contact.ticket_id}/", **edit).status_code == 200


def test_an_edit_of_many_rows_leaves_out_what_one_may_only_read(admin):
    theirs = make.make_team(visibility=TeamVisibility.CLOSED)
    read_only, mine = make.make_ticket(team=theirs), make.make_ticket()
    agent = given(make.make_user(), admin, scope=Scope.TEAM, team=theirs)
    bulk = bulks.preview("tickets", {"kind": "task"}, by=agent, ids=[read_only.pk, mine.pk])
    assert [row.row_id for row in bulk.rows.all()] == [mine.pk]


def test_a_lead_of_another_team_watches_it_and_sets_its_presence(admin):
    Board.objects.get_or_create(slug="floor", defaults={"title": "Floor"})
    theirs, other = (make.make_team(visibility=TeamVisibility.CLOSED) for _ in range(2))
    queue, unseen = make.make_queue(theirs), make.make_queue(other)
    member, stranger = make.make_agent(team=theirs), make.make_agent(team=other)
    lead = given(
        make.make_user(team=make.make_team()), admin, ["read_work", "supervise", "watch_boards"],
        scope=Scope.TEAM, team=theirs,
    )  # fmt: skip
    assert boards.scope_key(lead) == (theirs.pk,)
    shown = boards.snapshot("floor", lead)
    assert [one["slug"] for one in shown["queues"]] == [queue.slug] != [unseen.slug]
    assert [one["id"] for one in shown["agents"]] == [member.pk]
    assert presence.may_set(lead, member) and not presence.may_set(lead, stranger)
    assert not may(lead, Permission.SUPERVISE) and may_somewhere(lead, Permission.SUPERVISE)
    with pytest.raises(NotAllowed):
        boards.snapshot("floor", make.make_user())


def test_an_export_of_before_a_change_is_nobodys_any_more(admin):
    user = make.make_user(Role.SUPERVISOR)
    kept = exports.ask("tickets", "csv", {}, by=user, kept=True)
    assert type(kept).objects.visible_to(user).filter(pk=kept.pk).exists()
    user = given(user, admin, ["import"], scope=Scope.EVERYWHERE)
    assert not type(kept).objects.visible_to(user).filter(pk=kept.pk).exists()


# --- What the gate costs


def test_nothing_is_asked_of_the_database_to_know_a_right(admin, django_assert_num_queries):
    user = given(make.make_user(), admin, ["supervise", "import"], scope=Scope.TEAM, team=make.make_team())
    token = make_token(user)
    tokens.recognise(token)
    with django_assert_num_queries(1):
        found = tokens.recognise(token).user
        assert found.reach == user.reach and may_somewhere(found, Permission.SUPERVISE)
        assert not may(found, Permission.IMPORT)


# --- Giving and taking


def test_rights_of_the_whole_house_do_not_come_with_a_scope(admin):
    team = make.make_team()
    user = make.make_user(Role.MARKETING, team)
    rights.give(user, role=Role.SUPERVISOR, scope=Scope.TEAM, team=team, by=admin)
    user.refresh_from_db()
    assert set(user.reach) == {one.value for one in SCOPED & GRANTS[Role.SUPERVISOR]}
    lonely = rights.make_set(name="Importers", rights=["import"], by=admin)
    with pytest.raises(InvalidInput):
        rights.give(user, right_set=lonely, scope=Scope.TEAM, team=team, by=admin)


def test_what_is_given_twice_or_taken_twice_is_refused(admin):
    user = make.make_user()
    grant = rights.give(user, role=Role.AUDITOR, scope=Scope.EVERYWHERE, by=admin)
    with pytest.raises(Conflict):
        rights.give(user, role=Role.AUDITOR, scope=Scope.EVERYWHERE, by=admin)
    rights.take(grant, by=admin)
    with pytest.raises(Conflict):
        rights.take(grant, by=admin)
    user.refresh_from_db()
    assert user.reach == {}
    rights.give(user, role=Role.AUDITOR, scope=Scope.EVERYWHERE, by=admin)


def test_a_changed_set_reaches_whoever_has_it_and_a_retired_one_gives_nothing(admin):
    right_set = rights.make_set(name="Desk of payments", rights=["export"], by=admin)
    user = make.make_user()
    rights.give(user, right_set=right_set, scope=Scope.EVERYWHERE, by=admin)
    rights.edit_set(right_set, {"rights": ["export", "import"]}, by=admin)
    user.refresh_from_db()
    assert may(user, Permission.IMPORT) and may(user, Permission.EXPORT)
    rights.edit_set(right_set, {"retired": True}, by=admin)
    user.refresh_from_db()
    assert user.reach == {} and not may(user, Permission.IMPORT)


@pytest.mark.parametrize("name", ["administrator", "Supervisor", "  ", "x" * 61])
def test_a_set_cannot_take_the_name_of_a_built_in_one(admin, name):
    with pytest.raises(InvalidInput):
        rights.make_set(name=name, rights=["export"], by=admin)


@pytest.mark.parametrize("words", [[], ["fly"], ["export", "fly"]])
def test_a_set_holds_rights_that_there_are(admin, words):
    with pytest.raises(InvalidInput):
        rights.make_set(name="Pilots", rights=words, by=admin)


def test_nobody_gives_what_he_has_not_himself(admin):
    keeper = given(make.make_user(Role.AGENT), admin, ["configure", "export"], scope=Scope.EVERYWHERE)
    other = make.make_user()
    with pytest.raises(NotAllowed):
        rights.make_set(name="Everything", rights=["export", "erase"], by=keeper)
    strong = rights.make_set(name="Strong", rights=["erase"], by=admin)
    with pytest.raises(NotAllowed):
        rights.give(other, right_set=strong, scope=Scope.EVERYWHERE, by=keeper)
    with pytest.raises(NotAllowed):
        rights.give(keeper, role=Role.ADMINISTRATOR, scope=Scope.EVERYWHERE, by=keeper)
    with pytest.raises(NotAllowed):
        rights.edit_set(strong, {"rights": ["erase", "hold"]}, by=keeper)
    with pytest.raises(NotAllowed):
        rights.change_person(other, {"role": Role.ADMINISTRATOR}, by=keeper)
    with pytest.raises(NotAllowed):
        rights.change_person(keeper, {"role": Role.ADMINISTRATOR}, by=keeper)
    with pytest.raises(NotAllowed):
        rights.change_person(admin, {"is_active": False}, by=keeper)
    with pytest.raises(NotAllowed):
        rights.give(other, role=Role.AGENT, scope=Scope.EVERYWHERE, by=keeper)
    fine = rights.make_set(name="Exporters", rights=["export"], by=keeper)
    rights.give(other, right_set=fine, scope=Scope.EVERYWHERE, by=keeper)


@pytest.mark.parametrize("role", [one for one in Role if one != Role.ADMINISTRATOR])
def test_who_may_not_administer_changes_no_rights(admin, role):
    user, right_set = make.make_user(role), rights.make_set(name="A set", rights=["export"], by=admin)
    grant = rights.give(user, right_set=right_set, scope=Scope.EVERYWHERE, by=admin)
    user.refresh_from_db()
    for act in (
        lambda: rights.make_set(name="Another", rights=["read_work"], by=user),
        lambda: rights.edit_set(right_set, {"name": "Mine"}, by=user),
        lambda: rights.give(user, right_set=right_set, scope=Scope.OWN, by=user),
        lambda: rights.take(grant, by=user),
        lambda: rights.change_person(user, {"role": Role.ADMINISTRATOR}, by=user),
    ):
        with pytest.raises(NotAllowed):
            act()


def test_the_last_administrator_stays(admin):
    for changes in ({"role": Role.AGENT}, {"is_active": False}):
        with pytest.raises(Conflict):
            rights.change_person(admin, changes, by=admin)
    second = make.make_user()
    right_set = rights.make_set(name="Administering", rights=["configure"], by=admin)
    grant = rights.give(second, right_set=right_set, scope=Scope.EVERYWHERE, by=admin)
    rights.change_person(admin, {"role": Role.AGENT}, by=admin)
    second.refresh_from_db()
    with pytest.raises(Conflict):
        rights.take(grant, by=second)
    with pytest.raises(Conflict):
        rights.edit_set(right_set, {"retired": True}, by=second)
    assert Grant.objects.get(pk=grant.pk).ended_at is None


@pytest.mark.django_db(transaction=True)
def test_two_administrators_cannot_put_each_other_out_at_once():
    pair = [make.make_user(Role.ADMINISTRATOR) for _ in range(2)]
    refused: list[Exception] = []

    def put_out(user: User, by: User) -> None:
        try:
            rights.change_person(user, {"role": Role.AGENT}, by=by)
        except Conflict as error:
            refused.append(error)
        finally:
            connections.close_all()

    threads = [Thread(target=put_out, args=(pair[1 - n], pair[n])) for n in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert User.objects.filter(role=Role.ADMINISTRATOR).count() == 1 and len(refused) == 1


def test_every_change_stands_in_the_history_with_who_made_it(admin):
    team, user = make.make_team(), make.make_user()
    right_set = rights.make_set(name="Readers", rights=READ_SET, by=admin)
    grant = rights.give(user, right_set=right_set, scope=Scope.TEAM, team=team, by=admin)
    rights.edit_set(right_set, {"note": "of payments"}, by=admin)
    rights.take(grant, by=admin)
    rights.change_person(user, {"role": Role.SUPERVISOR, "team": team}, by=admin)
    lines = list(Activity.objects.order_by("pk").values_list("verb", "actor_id"))
    assert lines == [
        (verb, admin.pk)
        for verb in (
            "rights.set_made",
            "rights.given",
            "rights.set_changed",
            "rights.taken",
            "person.changed",
        )
    ]
    changed = Activity.objects.get(verb="person.changed").data["changed"]
    assert changed == {"role": ["agent", "supervisor"], "team": [None, team.pk]}


def test_the_reconciliation_finds_a_reach_that_nobody_gave(admin):
    user = given(make.make_user(), admin, scope=Scope.EVERYWHERE)
    name = "what a person was given is what his grants add up to"
    assert name not in [one["check"] for one in reconciliation.violations()]
    User.objects.filter(pk=user.pk).update(reach={"erase": {"all": True}})
    assert [one["found"] for one in reconciliation.violations() if one["check"] == name] == [[[str(user.pk)]]]
    rights.settle()
    assert name not in [one["check"] for one in reconciliation.violations()]


def test_open_sockets_come_again_when_what_was_given_changes(admin):
    user = make.make_user(team=make.make_team())
    person = hubs.Person(User.objects.get(pk=user.pk), token_id=None)
    assert hubs._standing([person]) == {id(person): 0}
    given(user, admin, scope=Scope.EVERYWHERE)
    assert hubs._standing([person]) == {id(person): 4408}


def test_what_is_held_by_others_is_finished_only_where_one_supervises(admin):
    theirs = make.make_team(visibility=TeamVisibility.CLOSED)
    queue, holder = make.make_queue(theirs), make.make_agent(team=theirs)
    hold = make.make_assignment(holder, make.make_work_item(make.make_interaction(team=theirs), queue))
    reader = given(make.make_user(Role.SUPERVISOR, make.make_team()), admin, scope=Scope.TEAM, team=theirs)
    assert list(Assignment.objects.filter(work_item__in=WorkItem.objects.visible_to(reader))) == [hold]
    over = work_filter(reader, "interaction__", Permission.SUPERVISE)
    assert not WorkItem.objects.filter(over).exists()


def test_the_database_keeps_a_grant_to_one_set_and_one_scope(admin):
    user, team = make.make_user(), make.make_team()
    right_set = RightSet.objects.create(name="A", rights=["export"])
    for odd in (
        {"scope": "team"}, {"scope": "own", "team": team}, {"scope": "everywhere", "right_set": right_set},
        {"scope": "brand", "team": team},
    ):  # fmt: skip
        with pytest.raises(IntegrityError, match="grant_"), transaction.atomic():
            Grant.objects.create(user=user, by=admin, **{"role": "agent", **odd})
