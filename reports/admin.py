"""Configuration of the mirror: boards."""

from django import forms
from django.contrib import admin

from crm.admin import Configuration
from crm.choices import Family
from reports.models import Board


class BoardForm(forms.ModelForm):
    """Families as ticks; none means all."""

    families = forms.MultipleChoiceField(
        choices=Family.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Which channels the board counts. None: all.",
    )

    class Meta:
        model = Board
        fields = ("title", "slug", "families")


@admin.register(Board)
class BoardAdmin(Configuration, admin.ModelAdmin):
    """What supervisors watch. Each sees the queues and agents of the teams he may see."""

    form = BoardForm
    list_display = ("title", "slug", "families")
    search_fields = ("title",)
    prepopulated_fields = {"slug": ("title",)}
