"""Configuration of the floor: people, channels, wrap-up codes, API tokens. Work itself is done on the pages."""

from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import BaseUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.core.validators import ProhibitNullCharactersValidator
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.text import capfirst

from crm import accounts
from crm.access import Permission, may
from crm.choices import Role
from crm.connectors import base
from crm.errors import DomainError, InvalidInput
from crm.models import (
    ApiToken,
    Brand,
    BusinessCalendar,
    Channel,
    ChannelAccount,
    Code,
    CustomField,
    Holiday,
    PauseReason,
    RetentionPolicy,
    SlaPolicy,
    StatusName,
    Team,
    User,
)
from crm.services import activities, rights, slas, tokens

SECRETS = ("token", "secret", "previous_secret")
REASON = "reason"

admin.site.site_header = "Earshot administration"
admin.site.site_title = "Earshot"
admin.site.index_title = "What would you like to set up?"
# One door for everybody: the same login, the same throttle.
admin.site.login = secure_admin_login(admin.site.login)
# The site's own gate too asks what a person may, not what Django's flags say: it also guards what others register.
admin.site.has_permission = lambda request: may(request.user, Permission.CONFIGURE)
# Roles decide, not groups; and a person has one address, that of the user.
admin.site.unregister((Group, EmailAddress))


class FoundSelect(AutocompleteSelect):
    """Django's asks the database for whatever was sent, also for what is no id."""

    def optgroups(self, name: str, value: list, attrs: Any = None) -> list:
        known = [one for one in value if str(one).isascii() and str(one).isdecimal() and len(str(one)) < 19]
        return super().optgroups(name, known, attrs)


class Configuration:
    """Asks the one gate, not Django's own table of permissions."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        # An empty `?_to_field=` names no field.
        return super().get_object(request, object_id, from_field or None)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.autocomplete_fields:
            kwargs["widget"] = FoundSelect(db_field, self.admin_site, using=kwargs.get("using"))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may(request.user, Permission.CONFIGURE)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request.user, Permission.CONFIGURE)

    has_add_permission = has_change_permission = has_delete_permission = has_view_permission

    # Each change is a line of the history too, in the same transaction.

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        request.said_of_fields = _differences(form)
        request.said_why = form.cleaned_data.get(REASON, "")
        return super().construct_change_message(request, form, formsets, add)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        _tell("added", request, obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        _tell("changed", request, obj, said=[one for one in message if isinstance(one, dict)])
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for one in queryset:
            _tell("deleted", request, one)
        return super().log_deletions(request, queryset)


def _differences(form: Any) -> dict[str, Any]:
    """What a form changed, as [before, after]; of texts and secrets only that they were: a policy may bear a customer's name."""
    said = {}
    for name in (one for one in form.changed_data if one != REASON):
        before, after = form.initial.get(name), form.cleaned_data.get(name)
        after = getattr(after, "pk", after)
        told = isinstance(after, bool | int | None) or hasattr(form.fields[name], "choices")
        said[name] = [before, after] if told else None
    return said


def _tell(act: str, request: HttpRequest, obj: Any, said: list | None = None) -> None:
    fields = getattr(request, "said_of_fields", None)
    others = [how["name"] for one in said or () for how in one.values() if how.get("name")]
    told: dict[str, Any] = {"fields": fields} if fields else {}
    if why := getattr(request, "said_why", ""):
        told["reason"] = why
    if others:
        told["beside"] = sorted(set(others))
    activities.record(f"config.{act}", by=request.user, model=obj._meta.model_name, row=obj.pk, **told)


class LabelledRows(forms.BaseInlineFormSet):
    """Rows whose box for deletion says what it is."""

    deletion_widget = forms.CheckboxInput(attrs={"aria-label": "Delete"})


class LabelledInline(admin.TabularInline):
    """Rows whose fields say their names also to who does not see the heads of the columns."""

    formset = LabelledRows

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            field.widget.attrs.setdefault("aria-label", capfirst(db_field.verbose_name))
        return field


class NeverDeleted:
    """Rows that history points to: retired or deactivated, never deleted."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AskedAgain:
    """What people and tokens may do is changed by who has just said his password."""

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return accounts.led_to_the_question(request) or super().changeform_view(request, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        asked = accounts.led_to_the_question(request) if request.method == "POST" else None
        return asked or super().changelist_view(request, *args, **kwargs)


class WordsField(forms.CharField):
    """A list of codes, typed with commas between."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(str(one) for one in value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:
        text = super().to_python(value)
        ProhibitNullCharactersValidator()(text)  # a CharField's own validators see the list, not the text
        return [word.strip() for word in text.split(",") if word.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or []) != self.to_python(data)


class NewUserForm(BaseUserCreationForm):
    """Address, password and role are enough to begin."""

    by: User

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                rights.require_over(self.by, User(role=cleaned["role"]))
            except DomainError as error:
                raise forms.ValidationError(error.detail) from None
        return cleaned

    class Meta:
        model = User
        fields = ("email", "name", "role", "team")


class PersonForm(UserChangeForm):
    """Says beforehand what the rules of rights would refuse."""

    by: User

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                with transaction.atomic():
                    rights.change_person(self.instance, self.asked(), by=self.by)
                    transaction.set_rollback(True)
            except DomainError as error:
                raise forms.ValidationError(error.detail) from None
        return cleaned

    def asked(self) -> dict[str, Any]:
        """What of the form is about rights."""
        return {name: self.cleaned_data[name] for name in ("role", "team", "is_active")}


@admin.register(User)
class UserAdmin(AskedAgain, NeverDeleted, Configuration, DjangoUserAdmin):
    """People and API clients. The role decides everything, also who may open this administration."""

    form = PersonForm
    add_form = NewUserForm
    ordering = ("email",)
    list_display = ("email", "name", "role", "team", "is_active", "last_login")
    list_filter = ("role", "team", "is_active")
    list_select_related = ("team",)
    search_fields = ("email", "name")
    filter_horizontal = ()
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("email", "password", "name", "alias")}),
        (
            "What this person is here for",
            {
                "fields": ("role", "team", "is_active"),
                "description": "A changed role or team takes effect within seconds, also on open pages. "
                "A supervisor without a team watches all teams. Deactivate people who leave: their history stays.",
            },
        ),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "fields": ("email", "name", "role", "team", "usable_password", "password1", "password2"),
                "description": "API clients need no password: issue a token for them with `manage.py apitoken`. "
                "Who takes work also needs an agent with skills, under Routing.",
            },
        ),
    )

    def user_change_password(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        asked = accounts.led_to_the_question(request)
        return asked or super().user_change_password(request, *args, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None:
            return self.fieldsets
        fields = tuple(name for name in self.add_fieldsets[0][1]["fields"] if name != "usable_password")
        return ((None, {**self.add_fieldsets[0][1], "fields": fields}),)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        obj.email = obj.email.lower()
        if change:
            obj.save(update_fields=["email", "name", "alias"])
            rights.change_person(User.objects.get(pk=obj.pk), form.asked(), by=request.user)
            return
        # Django's own flags follow the role, so that there is one truth.
        obj.is_staff = obj.is_superuser = obj.role == Role.ADMINISTRATOR
        super().save_model(request, obj, form, change)
        rights.tell_new(obj, by=request.user)

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, **kwargs)
        form.by = request.user
        return form

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """His password is his rights: nobody sets that of who has more."""
        if not super().has_change_permission(request, obj):
            return False
        try:
            if obj is not None:
                rights.require_over(request.user, obj)
        except DomainError:
            return False
        return True


@admin.register(Team)
class TeamAdmin(Configuration, admin.ModelAdmin):
    """Who answers for the same work, and whether others may read it."""

    list_display = ("name", "slug", "visibility")
    list_filter = ("visibility",)
    search_fields = ("name",)
    prepopulated_fields = {"slug": ("name",)}


@admin.register(Brand)
class BrandAdmin(Configuration, admin.ModelAdmin):
    """Names under which the organisation speaks."""

    list_display = ("name", "slug")
    search_fields = ("name",)
    prepopulated_fields = {"slug": ("name",)}


class ChannelForm(forms.ModelForm):
    """Secrets go in and never come out: an empty field keeps what is stored."""

    connector = forms.ChoiceField(help_text="Which connector speaks for this channel.")

    class Meta:
        model = Channel
        fields = ("name", "slug", "kind", "brand", "is_active", "connector", "base_url", "options", *SECRETS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["connector"].choices = [
            (name, name) for name in sorted({*base.names(), self.instance.connector})
        ]
        for name in SECRETS:
            stored = bool(getattr(self.instance, name)) if self.instance.pk else False
            field = self.fields[name]
            field.required = False
            field.widget = forms.PasswordInput(
                render_value=False, attrs={"autocomplete": "new-password", "class": "vTextField"}
            )
            # What the form begins with must not hold the secret either: it would be in the page's source.
            self.initial[name] = ""
            field.help_text = f"{field.help_text} {'Set; leave empty to keep it.' if stored else 'Not set.'}"

    def clean_options(self) -> dict[str, Any]:
        options = self.cleaned_data["options"] or {}
        if not isinstance(options, dict):
            raise forms.ValidationError("Options are an object.")
        return options

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        stored = Channel.objects.filter(pk=self.instance.pk).first() if self.instance.pk else None
        for name in SECRETS:
            if not cleaned.get(name):
                cleaned[name] = getattr(stored, name) if stored else ""
        if (
            stored
            and stored.secret
            and cleaned["secret"] != stored.secret
            and not self.data.get(self.add_prefix("previous_secret"))
        ):
            # Senders change over one after another: the old secret goes on until it is ended.
            cleaned["previous_secret"] = stored.secret
        return cleaned


class AccountInline(LabelledInline):
    """Accounts that are ours: what they post is never a customer's contact."""

    model = ChannelAccount
    extra = 0
    verbose_name = "own account"
    fields = ("external_id", "handle", "name")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request.user, Permission.CONFIGURE)

    has_add_permission = has_change_permission = has_delete_permission = has_view_permission


@admin.register(Channel)
class ChannelAdmin(Configuration, admin.ModelAdmin):
    """Endpoints of ours."""

    form = ChannelForm
    list_display = ("name", "slug", "kind", "brand", "is_active")
    list_filter = ("kind", "brand", "is_active")
    list_select_related = ("brand",)
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    inlines = (AccountInline,)
    actions = ("end_previous_secret",)
    fieldsets = (
        (None, {"fields": ("name", "slug", "kind", "brand", "is_active")}),
        (
            "How it is reached",
            {
                "fields": ("connector", "base_url", "token", "options"),
                "description": "Deliveries come in at /api/v1/deliveries/&lt;slug&gt;/. An inactive channel takes none and "
                "sends nothing. The base address is reached whatever it is; other private addresses never are.",
            },
        ),
        (
            "How deliveries are signed",
            {
                "fields": ("secret", "previous_secret"),
                "description": "A new secret leaves the old one valid as the previous one until you end it "
                "(action in the list), so that no delivery is lost while the sender changes over.",
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        found = super().get_queryset(request)
        # A list needs no secret opened.
        here = request.resolver_match.url_name if request.resolver_match else ""
        return found.defer(*SECRETS) if here.endswith("_changelist") else found

    @admin.action(description="End the previous secret of the chosen channels")
    def end_previous_secret(self, request: HttpRequest, queryset: QuerySet) -> None:
        count = queryset.exclude(previous_secret="").update(previous_secret="")
        self.message_user(
            request, f"Ended at {count} channels. Deliveries signed with it are refused from now on."
        )


@admin.register(Code)
class CodeAdmin(NeverDeleted, Configuration, admin.ModelAdmin):
    """The two lists of wrap-up. Retire a code that is no longer wanted: figures of the past need it."""

    fields = ("kind", "label", "code", "brand", "parent", "retired")
    list_display = ("label", "kind", "code", "parent", "brand", "retired")
    list_filter = ("kind", "brand", "retired")
    list_select_related = ("parent", "brand")
    search_fields = ("label", "code")
    prepopulated_fields = {"code": ("label",)}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("kind", "code", "brand", "parent") if obj else ()

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict:
        return {} if obj else dict(self.prepopulated_fields)


@admin.register(ApiToken)
class ApiTokenAdmin(AskedAgain, NeverDeleted, Configuration, admin.ModelAdmin):
    """Tokens of API clients: listed and revoked here, issued by `manage.py apitoken`, never shown again."""

    list_display = ("name", "user", "reach", "created_at", "expires_at", "last_used_at", "state")
    list_filter = ("user",)
    list_select_related = ("user",)
    search_fields = ("name", "user__email")
    fields = readonly_fields = ("name", "user", "reach", "created_at", "expires_at", "last_used_at", "state")
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="scopes")
    def reach(self, token: ApiToken) -> str:
        return ", ".join(token.scopes) or "all that the user may do"

    @admin.display(description="state")
    def state(self, token: ApiToken) -> str:
        if token.revoked_at:
            return "revoked"
        return "over" if token.expires_at and token.expires_at <= timezone.now() else "valid"

    @admin.action(description="Revoke the chosen tokens now")
    def revoke(self, request: HttpRequest, queryset: QuerySet) -> None:
        for token in queryset:
            tokens.revoke(token, by=request.user)
        self.message_user(request, "Revoked. Clients that use them are refused from now on.")


class PreviewedForm(forms.ModelForm):
    """Says on request which deadlines it would move, and saves nothing meanwhile; what is saved has a reason."""

    reason = forms.CharField(
        required=False, max_length=200, validators=[ProhibitNullCharactersValidator()],
        help_text="Why it is so from now on: stands in the history. A preview needs none.",
    )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "_preview" not in self.data and not cleaned.get(REASON) and REASON not in self.errors:
            self.add_error(REASON, "Why? It stands in the history.")
        if "_preview" in self.data and not self.errors:
            changed = self.Meta.model(pk=self.instance.pk)
            for name, value in cleaned.items():
                if name != REASON:
                    setattr(changed, name, value)
            raise forms.ValidationError(_moved(slas.preview(changed, **self.beside())))
        return cleaned

    def beside(self) -> dict[str, Any]:
        """What the preview needs beside the fields."""
        return {}


def _moved(found: list[dict]) -> list[str]:
    def at(instant: Any) -> str:
        return timezone.localtime(instant).strftime("%d %b %H:%M") if instant else "no deadline"

    lines = [
        f"#{1000 + one['ticket']} {one['kind'].replace('_', ' ')}: {at(one['due_at'])} → {at(one['would_be'])}"
        for one in found
    ]
    return [f"Not saved yet. Deadlines of open tickets that would move: {len(lines)}", *lines[:20]]


class CalendarForm(PreviewedForm):
    class Meta:
        model = BusinessCalendar
        fields = ("name", "slug", "zone", "week")

    def clean_week(self) -> Any:
        return _reckoned("week", "UTC", self.cleaned_data["week"])

    def clean_zone(self) -> str:
        return _reckoned("zone", self.cleaned_data["zone"], {})

    def beside(self) -> dict[str, Any]:
        known = self.instance.holidays.all() if self.instance.pk else ()
        return {"holidays": [(one.day, one.spans) for one in known]}


class HolidayForm(forms.ModelForm):
    class Meta:
        model = Holiday
        fields = ("day", "name", "spans")

    def clean_spans(self) -> Any:
        _reckoned("week", "UTC", {"0": self.cleaned_data["spans"] or []})
        return self.cleaned_data["spans"] or []


def _reckoned(field: str, zone: str, week: Any) -> Any:
    """The value of the field, or what is wrong with it."""
    try:
        slas.check_calendar(zone, week)
    except InvalidInput as error:
        raise forms.ValidationError(list(error.extra["errors"].values())) from error
    return week if field == "week" else zone


class Promises(NeverDeleted, Configuration):
    """What changes promises has a reason, and the clocks of open tickets are replayed."""

    change_form_template = "admin/previewed_form.html"

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        count = slas.recompute(by=request.user)
        self.message_user(request, f"The clocks of {count} open tickets are replayed.")


class HolidayInline(LabelledInline):
    """Dates with hours of their own; none is closed."""

    model = Holiday
    form = HolidayForm
    extra = 0

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request.user, Permission.CONFIGURE)

    has_add_permission = has_change_permission = has_delete_permission = has_view_permission


@admin.register(BusinessCalendar)
class BusinessCalendarAdmin(Promises, admin.ModelAdmin):
    """When we work."""

    form = CalendarForm
    list_display = ("name", "slug", "zone")
    search_fields = ("name",)
    prepopulated_fields = {"slug": ("name",)}
    inlines = (HolidayInline,)


class SlaPolicyForm(PreviewedForm):
    class Meta:
        model = SlaPolicy
        fields = (
            "name", "slug", "place", "is_active", "brand", "channel_kind", "priority", "customer", "vip_only", "calendar",
            "first_response", "next_response", "resolution", "warn_percent", "pauses_for_customer",
        )  # fmt: skip


@admin.register(SlaPolicy)
class SlaPolicyAdmin(Promises, admin.ModelAdmin):
    """What is promised to whom: the first in order that fits a ticket is its own."""

    form = SlaPolicyForm
    list_display = (
        "name",
        "place",
        "brand",
        "channel_kind",
        "priority",
        "first_response",
        "resolution",
        "is_active",
    )
    list_filter = ("is_active", "brand")
    list_select_related = ("brand",)
    search_fields = ("name",)
    prepopulated_fields = {"slug": ("name",)}
    raw_id_fields = ("customer",)


@admin.register(StatusName)
class StatusNameAdmin(NeverDeleted, Configuration, admin.ModelAdmin):
    """Names of our own for the statuses of tickets."""

    list_display = ("name", "status", "place", "retired")
    list_filter = ("status", "retired")
    search_fields = ("name",)


@admin.register(PauseReason)
class PauseReasonAdmin(NeverDeleted, Configuration, admin.ModelAdmin):
    """For what the clock of a solution may stand still. Once there is one, no other words pause a clock."""

    list_display = ("name", "place", "retired")
    list_filter = ("retired",)
    search_fields = ("name",)


class CustomFieldForm(forms.ModelForm):
    """Choices are a list of words: anything else would break every list that shows the field."""

    def clean_choices(self) -> list[str]:
        given = self.cleaned_data["choices"]
        if not isinstance(given, list) or not all(
            isinstance(one, str) and 0 < len(one) <= 100 for one in given
        ):
            raise forms.ValidationError('A list of words, such as ["gold", "silver"].')
        return given


@admin.register(CustomField)
class CustomFieldAdmin(NeverDeleted, Configuration, admin.ModelAdmin):
    """Fields of our own. A restricted one lies apart and encrypted, and is shown once the person is verified."""

    form = CustomFieldForm

    list_display = ("label", "noun", "kind", "restricted", "retired", "place")
    list_filter = ("noun", "kind", "restricted", "retired")
    search_fields = ("label", "slug")
    prepopulated_fields = {"slug": ("label",)}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("noun", "slug", "kind", "restricted") if obj else ()

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict:
        return {} if obj else dict(self.prepopulated_fields)


@admin.register(RetentionPolicy)
class RetentionPolicyAdmin(Configuration, admin.ModelAdmin):
    """What is kept for a time only; `/privacy/` shows what a run would take."""

    list_display = ["kind", "brand", "days", "way", "is_active", "ran_at", "went"]
    list_select_related = ["brand"]
    list_filter = ["kind", "is_active"]
    search_fields = ["kind", "brand__name"]
    readonly_fields = ["ran_at", "went"]
    fieldsets = [
        ("What, and how long", {"fields": ["kind", "brand", "days", "way"]}),
        (
            "Running",
            {
                "fields": ["is_active", "ran_at", "went"],
                "description": "Look at the dry run on /privacy/ first.",
            },
        ),
    ]
