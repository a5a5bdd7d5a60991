"""Configuration of the distributor: queues, skills, agents."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from crm.access import Permission, may
from crm.admin import Configuration, LabelledInline, NeverDeleted, WordsField
from routing.models import Agent, AgentSkill, PresenceReason, Queue, Skill
from routing.services import work_items


class ReadOnly(Configuration):
    """What is changed on a page of its own, which asks for a reason: here it can be looked at."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission


@admin.register(Queue)
class QueueAdmin(ReadOnly, admin.ModelAdmin):
    """Lines of the universal queue. Their rules are kept under Queues, tried before they count, with a reason."""

    list_display = ("name", "slug", "team", "goal", "is_fallback", "rules")
    list_display_links = None
    list_select_related = ("team",)
    search_fields = ("name", "slug")
    fields = ("name", "slug", "team", "topics", "is_fallback", "targets", "goal", "rules")

    @admin.display(description="rules")
    def rules(self, queue: Queue) -> SafeString:
        return format_html('<a href="/queues/{}/">Look at and change the rules</a>', queue.slug)


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
