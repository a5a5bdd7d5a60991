"""Configuration of the distributor: queues, skills, agents."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from crm.access import Permission, may
from crm.admin import Configuration, LabelledInline, NeverDeleted, WordsField
from crm.choices import Family
from routing.models import Agent, AgentSkill, PresenceReason, Queue, Skill
from routing.models.queues import default_targets
from routing.services import work_items

MONTH = 30 * 24 * 3600
FAMILIES = {f"target_{family.value}": family for family in Family}


class QueueForm(forms.ModelForm):
    """Targets as numbers by channel family, topics as words."""

    topics = WordsField(
        required=False,
        help_text="Topic codes that lead here, with commas between. A topic leads to the first queue that names it.",
    )
    target_voice = forms.IntegerField(
        min_value=1, max_value=MONTH, help_text="Seconds until a call is answered."
    )
    target_chat = forms.IntegerField(
        min_value=1, max_value=MONTH, help_text="Seconds until a chat is answered."
    )
    target_message = forms.IntegerField(
        min_value=1, max_value=MONTH, help_text="Seconds to the first reply to a private message."
    )
    target_social = forms.IntegerField(
        min_value=1, max_value=MONTH, help_text="Seconds to the first reply to a public post."
    )
    target_mail = forms.IntegerField(
        min_value=1, max_value=MONTH, help_text="Seconds to the first reply to a mail."
    )
    goal = forms.FloatField(
        min_value=0.01, max_value=1, help_text="Share to be answered within the target: 0.9 is 90 %."
    )

    class Meta:
        model = Queue
        fields = ("name", "slug", "team", "topics", "is_fallback", "goal")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        targets = {**default_targets(), **(self.instance.targets or {})}
        for name, family in FAMILIES.items():
            self.fields[name].initial = targets[family]

    def save(self, commit: bool = True) -> Queue:
        self.instance.targets = {family.value: self.cleaned_data[name] for name, family in FAMILIES.items()}
        return super().save(commit)


@admin.register(Queue)
class QueueAdmin(Configuration, admin.ModelAdmin):
    """Lines of the universal queue."""

    form = QueueForm
    list_display = ("name", "slug", "team", "goal", "is_fallback")
    list_select_related = ("team",)
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    fieldsets = (
        (
            None,
            {
                "fields": ("name", "slug", "team", "topics", "is_fallback"),
                "description": "Work that arrives from now on is queued by these rules; what waits already stays where it is. "
                "Modes, skills and steps stand on the queue's own page, where changes can be tried first.",
            },
        ),
        (
            "Targets",
            {
                "fields": (*FAMILIES, "goal"),
                "description": "A target counts from the moment the first message arrived. Changed targets are for new work.",
            },
        ),
    )

    def save_model(self, request: HttpRequest, obj: Queue, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        work_items.rules_changed(obj.pk)


@admin.register(Skill)
class SkillAdmin(Configuration, admin.ModelAdmin):
    """Abilities that work may require. Work that names a skill without anybody who has it waits."""

    list_display = ("name", "code")
    search_fields = ("name", "code")
    prepopulated_fields = {"code": ("name",)}


@admin.register(PresenceReason)
class PresenceReasonAdmin(NeverDeleted, Configuration, admin.ModelAdmin):
    """Own reasons to be away, beside break, meal and the others. Retire what is no longer wanted."""

    list_display = ("name", "slug", "state", "limit_minutes", "retired")
    list_filter = ("state", "retired")
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("slug", "state") if obj else ()

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict:
        return {} if obj else dict(self.prepopulated_fields)


class AgentSkillInline(LabelledInline):
    """How well an agent has a skill, 1 to 5."""

    model = AgentSkill
    extra = 0

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request.user, Permission.CONFIGURE)

    has_add_permission = has_change_permission = has_delete_permission = has_view_permission


class AgentForm(forms.ModelForm):
    """Languages as words."""

    languages = WordsField(help_text="Language codes with commas between, for example en, de.")

    class Meta:
        model = Agent
        fields = ("user", "languages", "capacity", "parked_limit")


@admin.register(Agent)
class AgentAdmin(NeverDeleted, Configuration, admin.ModelAdmin):
    """Who takes work. Whoever leaves is deactivated as a user."""

    form = AgentForm
    inlines = (AgentSkillInline,)
    list_display = ("user", "languages", "capacity", "load", "chosen", "seen_at")
    list_filter = ("chosen",)
    list_select_related = ("user",)
    search_fields = ("user__name", "user__email")
    autocomplete_fields = ("user",)
    readonly_fields = ("load", "chosen", "chosen_since", "chosen_reason", "seen_at")
    fieldsets = (
        (
            None,
            {
                "fields": ("user", "languages", "capacity", "parked_limit"),
                "description": "Changes count from the next offer on.",
            },
        ),
        ("Now", {"fields": ("chosen", "chosen_since", "chosen_reason", "load", "seen_at")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("user", *self.readonly_fields) if obj else self.readonly_fields

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        agent = form.instance
        if not agent.intervals.filter(ended_at=None).exists():
            agent.intervals.create(chosen=agent.chosen)
        work_items.changed(agents=[agent.pk])
