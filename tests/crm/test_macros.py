"""Macros: variables and nothing that runs, versions that stay, what fits where, and answer and acts as one step."""

import pytest
from django.db import DatabaseError, connection, transaction

from crm import placeholders
from crm.choices import Role
from crm.errors import Conflict, InvalidInput, InvalidTransition, NotAllowed
from crm.models import Activity, Macro, MacroUse, Message, Tag
from crm.services import macros, messages
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead():
    return make.make_user(Role.SUPERVISOR, make.make_team())


def contact(**fields):
    customer = make.make_customer(name=fields.pop("name", "Ana Garcia"))
    return make.make_interaction(customer=customer, **fields)


# --- Variables


@pytest.mark.parametrize(
    "text",
    ["{{customer.email}}", "{{ settings.SECRET_KEY }}", "{{customer.name", "}}", "{{}}", "{{customer.name|{{x}}}}", "{{1+1}}",
     "{{customer.__class__}}", "{{customer.name|a|b}}", "{{{customer.name}}}"],
)  # fmt: skip
def test_what_is_no_variable_is_refused_when_a_macro_is_kept(lead, text):
    with pytest.raises(InvalidInput) as refused:
        macros.create({"name": "Hello", "text": f"Hi {text}"}, by=lead)
    assert "text" in refused.value.extra["errors"]
    assert not Macro.objects.exists()


def test_the_texts_of_channels_and_the_note_are_checked_alike(lead):
    for given in (
        {"texts": {"x": "{{nobody}}"}},
        {"actions": {"note": "{{nobody}}"}},
        {"texts": {"telex": "hi"}},
    ):
        with pytest.raises(InvalidInput):
            macros.create({"name": "Hello", "text": "Hi", **given}, by=lead)


def test_code_in_a_value_is_a_word_like_any_other():
    filled = placeholders.fill("Hi {{customer.name}}!", {"customer.name": "{{ticket.number}}{% debug %}"})
    assert filled.text == "Hi {{ticket.number}}{% debug %}!" and filled.missing == []


def test_a_missing_value_takes_its_fallback_or_is_named_and_is_never_sent(lead):
    here = contact(name="", assigned_to=lead)
    macro = make.make_macro(text="Hi {{customer.name|there}}, {{ ticket.promised_by }}!")
    seen = macros.preview(macro, here, by=lead)
    assert seen.filled.text == "Hi there, {{ ticket.promised_by }}!" and seen.filled.missing == [
        "ticket.promised_by"
    ]
    for send in (
        lambda: macros.use(macro, here, by=lead, version=1, text=seen.filled.text),
        lambda: messages.reply(here, by=lead, text=seen.filled.text),
    ):
        with pytest.raises(InvalidInput) as refused:
            send()
        assert refused.value.code == "unfilled"
    assert not Message.objects.filter(direction="outbound").exists()
    assert Macro.objects.get().uses == 0


def test_braces_of_a_customer_may_be_quoted_to_him(lead):
    assert messages.reply(contact(), by=lead, text="Type {{name}} in the field.").pk


def test_nothing_of_a_login_reaches_a_customer():
    agent = make.make_user(name="", email="secret.login@example.com")
    values = macros.values_of(contact(), agent)
    assert not any("secret.login" in value for value in values.values())


# --- Keeping


def test_other_words_become_a_version_and_the_former_ones_stay(lead):
    macro = macros.create({"name": "Hello", "text": "one"}, by=lead)
    macros.edit(macro, {"text": "two", "note": "shorter"}, by=lead)
    macros.edit(macro, {"name": "Hello again"}, by=lead)
    macro.refresh_from_db()
    assert (macro.version, macro.name) == (2, "Hello again")
    macros.go_back(macro, 1, by=lead)
    said = list(macro.versions.order_by("number").values_list("number", "text", "note"))
    assert said == [(1, "one", ""), (2, "two", "shorter"), (3, "one", "back to version 1")]
    assert [line.verb for line in Activity.objects.order_by("pk")] == ["macro.created", *["macro.edited"] * 3]


def test_the_database_refuses_to_change_a_version():
    macro = make.make_macro()
    for sql in ("UPDATE crm_macroversion SET text = 'x'", "DELETE FROM crm_macroversion"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
    assert macro.versions.get().text == "Hello!"


def test_who_keeps_which(lead):
    agent, other = make.make_user(team=lead.team), make.make_user()
    admin = make.make_user(Role.ADMINISTRATOR)
    own = macros.create({"name": "Mine", "text": "hi", "reach": "own"}, by=agent)
    teams = macros.create({"name": "Ours", "text": "hi", "reach": "team", "team": lead.team}, by=lead)
    for refused in (
        lambda: macros.create({"name": "All", "text": "hi"}, by=agent),
        lambda: macros.create({"name": "T", "text": "hi", "reach": "team", "team": lead.team}, by=agent),
        lambda: macros.create(
            {"name": "T", "text": "hi", "reach": "team", "team": make.make_team()}, by=lead
        ),
        lambda: macros.edit(own, {"text": "x"}, by=lead),
        lambda: macros.edit(own, {"reach": "everybody"}, by=agent),
        lambda: macros.edit(teams, {"text": "x"}, by=make.make_user(Role.SUPERVISOR, make.make_team())),
        lambda: macros.create({"name": "All", "text": "hi", "reach": "own"}, by=make.make_user(Role.AUDITOR)),
    ):
        with pytest.raises(NotAllowed):
            refused()
    seen = {one: set(Macro.objects.visible_to(one)) for one in (agent, other, lead, admin)}
    assert seen == {agent: {own, teams}, other: set(), lead: {teams}, admin: {teams}}


@pytest.mark.parametrize(
    "actions",
    [{"status": "new"}, {"status": "folded"}, {"priority": "high"}, {"snooze_hours": 0}, {"snooze_hours": True},
     {"snooze_hours": 10**9}, {"owner": "you"}, {"owner": 10**30}, {"team": "no-such"}, {"tags": ["no-such"]}, {"tags": "x"},
     {"checklist": ["x"] * 21}, {"checklist": ["x" * 201]}, {"run": "rm"}, {"topic": ["x"]}, {"note": 7}],
)  # fmt: skip
def test_acts_that_make_no_sense_are_refused(lead, actions):
    with pytest.raises(InvalidInput) as refused:
        macros.create({"name": "Hello", "text": "hi", "actions": actions}, by=lead)
    assert any(name.startswith("actions") for name in refused.value.extra["errors"])


# --- Offering


def test_a_macro_is_offered_where_its_conditions_hold(lead):
    here = contact(language="en", topic="billing")
    brand = here.channel.brand.slug

    def kept(**situation):
        return make.make_macro(
            situation={"brands": [], "channels": [], "topics": [], "languages": []} | situation
        )

    fits = {
        kept(),
        kept(brands=[brand]),
        kept(channels=["email", "x"]),
        kept(topics=["billing"]),
        kept(languages=["de", "en"]),
    }
    fits.add(kept(brands=[brand], channels=["x"], topics=["billing"], languages=["en"]))
    kept(brands=["other"]), kept(channels=["email"]), kept(topics=["outage"]), kept(languages=["de"])
    kept(channels=["x"], topics=["outage"])
    make.make_macro(retired=True)
    found = Macro.objects.visible_to(lead).fitting(macros.situation_of(here))
    assert set(found) == fits


def test_what_is_not_known_of_a_contact_rules_nothing_out(lead):
    here = contact(language="", topic="")
    here.customer.language = ""
    macro = make.make_macro(
        situation={"brands": [], "channels": [], "topics": ["billing"], "languages": ["de"]}
    )
    assert macro in Macro.objects.fitting(macros.situation_of(here))


def test_the_list_of_a_ticket_puts_the_most_used_first(client, lead):
    here = contact()
    rare, common = make.make_macro(uses=1), make.make_macro(uses=9)
    make.make_macro(situation={"brands": [], "channels": ["fax"], "topics": [], "languages": []})
    client.force_login(lead)
    answer = client.get(f"/api/v1/macros/?ticket={here.ticket_id}&ordering=-uses")
    assert [one["id"] for one in answer.json()["results"]] == [common.pk, rare.pk]
    closed = contact(team=make.make_team(visibility="closed"))
    assert client.get(f"/api/v1/macros/?interaction={closed.pk}").json()["results"] == []


def test_each_channel_hears_its_own_words_and_length(lead):
    macro = make.make_macro(text="long " * 80, texts={"email": "Dear {{customer.first_name}}"})
    on_x = macros.preview(macro, contact(), by=lead)
    by_mail = macros.preview(macro, contact(channel=make.make_channel("email")), by=lead)
    assert (on_x.limit, on_x.fits) == (280, False)
    assert (by_mail.filled.text, by_mail.limit, by_mail.fits) == ("Dear Ana", None, True)


# --- Using


ALL = {
    "status": "waiting_on_customer", "priority": "high", "priority_reason": "money", "topic": "refund", "owner": "me",
    "tags": ["refund"], "snooze_hours": 5, "checklist": ["Look it up", "Ring back"], "note": "For {{customer.name}}",
}  # fmt: skip


def test_answer_and_acts_are_one_step_with_version_and_history(lead):
    Tag.objects.create(slug="refund", name="Refund")
    here = contact()
    macro = macros.create({"name": "Refund", "text": "Booked.", "actions": ALL}, by=lead)
    seen = macros.preview(macro, here, by=lead)
    assert [act["problem"] for act in seen.acts] == [""] * 8
    assert not Message.objects.exclude(direction="inbound").exists()
    used = macros.use(macro, here, by=lead, version=1, text="Booked, Ana.")
    ticket = here.ticket
    ticket.refresh_from_db()
    assert (ticket.status, ticket.priority, ticket.topic, ticket.owner) == (
        "waiting_on_customer",
        "high",
        "refund",
        lead,
    )
    assert [tag.slug for tag in ticket.tags.all()] == ["refund"] and ticket.snoozed_until
    assert [item.text for item in ticket.checklist.all()] == ["Look it up", "Ring back"]
    said = {one.direction: one.text for one in Message.objects.filter(interaction=here)}
    assert (said["outbound"], said["note"]) == ("Booked, Ana.", "For Ana Garcia")
    assert (used.version.number, used.message.text, used.interaction) == (1, "Booked, Ana.", here)
    line = Activity.objects.get(verb="macro.used")
    assert (line.data["macro"], line.data["version"], line.ticket) == ("refund", 1, ticket)
    macro.refresh_from_db()
    assert macro.uses == 1 and macro.used_at


def test_an_act_that_fails_takes_everything_back(lead):
    here = contact()
    macro = make.make_macro(actions={"status": "solved", "checklist": ["x"], "snooze_hours": 4})
    shown = {act["do"]: act["problem"] for act in macros.preview(macro, here, by=lead).acts}
    assert shown["snooze_hours"] and not shown["status"]
    with pytest.raises(Conflict):
        macros.use(macro, here, by=lead, version=1, text="Done.")
    here.ticket.refresh_from_db()
    assert here.ticket.status == "new" and not here.ticket.checklist.exists()
    assert not Message.objects.filter(direction="outbound").exists() and not MacroUse.objects.exists()
    macros.use(macro, here, by=lead, version=1, text="Done.", without=("snooze_hours",))
    here.ticket.refresh_from_db()
    assert here.ticket.status == "solved"


def test_a_move_that_is_not_legal_is_foreseen_and_refused(lead):
    here = contact()
    here.ticket.status = "closed"
    here.ticket.solved_at = here.received_at
    here.ticket.save()
    macro = make.make_macro(text="", actions={"status": "open"})
    assert "cannot become" in macros.preview(macro, here, by=lead).acts[0]["problem"]
    with pytest.raises(InvalidTransition):
        macros.use(macro, here, by=lead, version=1)


def test_a_macro_that_was_changed_meanwhile_is_looked_at_again(lead):
    here, macro = contact(), macros.create({"name": "A", "text": "one"}, by=lead)
    macros.edit(macro, {"text": "two"}, by=lead)
    with pytest.raises(Conflict) as refused:
        macros.use(Macro.objects.get(), here, by=lead, version=1, text="one")
    assert (refused.value.code, refused.value.extra["version"]) == ("version_moved", 2)


def test_the_same_key_is_the_same_use(lead):
    here, macro = contact(), make.make_macro(actions={"checklist": ["x"]})
    first, again = (
        macros.use(macro, here, by=lead, version=1, text="Hi", idempotency_key="k1") for _ in range(2)
    )
    assert first.pk == again.pk and here.ticket.checklist.count() == 1


def test_marketing_answers_with_a_macro_but_moves_no_ticket():
    writer = make.make_user(Role.MARKETING)
    here, macro = contact(), make.make_macro(actions={"status": "solved"})
    assert macros.preview(macro, here, by=writer).acts[0]["problem"]
    with pytest.raises(NotAllowed):
        macros.use(macro, here, by=writer, version=1, text="Hi")
    assert macros.use(macro, here, by=writer, version=1, text="Hi", without=("status",)).message


# --- Pages


def test_a_refused_form_keeps_what_was_typed(client, lead):
    client.force_login(lead)
    answer = client.post("/macros/new/", {"name": "Mine", "text": "Hi {{customer.nam}}", "reach": "own"})
    assert answer.status_code == 400
    assert (
        "there is no such variable" in answer.content.decode()
        and "Hi {{customer.nam}}" in answer.content.decode()
    )


def test_versions_stand_side_by_side_and_one_goes_back(client, lead):
    client.force_login(lead)
    macro = macros.create({"name": "A", "text": "one\nsame", "actions": {"status": "solved"}}, by=lead)
    form = {"name": "A", "text": "two\r\nsame", "reach": "everybody", "change": "nicer"}
    assert client.post(f"/macros/{macro.pk}/", form).status_code == 302
    page = client.get(f"/macros/{macro.pk}/?version=1").content.decode()
    assert "diff__line--in" in page and "status: solved" in page and "nicer" in page
    assert client.post(f"/macros/{macro.pk}/", {"act": "back", "version": "1"}).status_code == 302
    assert macro.versions.first().text == "one\nsame"
    assert client.post(f"/macros/{macro.pk}/", {"act": "back", "version": "77"}).status_code == 302
    assert client.post(f"/macros/{macro.pk}/", {"act": "retire"}).status_code == 302
    macro.refresh_from_db()
    assert macro.retired and macro.version == 3
