"""Same person? What a customer's page says of it, the preview of a merge, the merge and its undoing."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from crm.access import Permission, find, may
from crm.errors import InvalidInput
from crm.models import Customer, Merge, MergeRule, User
from crm.services import matches, merges
from crm.views.base import BIGGEST_ID, Act, Page, page_of

MERGES_SHOWN = 20
LABELS = {"vip": "VIP", "public_figure": "Public figure"}


def same_person(customer: Customer, user: User) -> dict[str, Any]:
    """For `crm/_same_person.html`: who else it may be, who was merged in, and into whom this one went."""
    steps = Merge.objects.filter(undone_at=None).select_related("survivor", "merged", "by")
    return {
        "suggestions": matches.suggestions(customer),
        "told_apart": matches.told_apart(customer),
        "merged_in": steps.filter(survivor=customer).order_by("-pk")[:MERGES_SHOWN],
        "merged_away": steps.filter(merged=customer).first(),
        "merged_into": merges.holder_of(customer) if customer.merged_into_id else None,
        "can_merge": may(user, Permission.MERGE),
    }


class CustomerMerge(Page):
    """`/customers/<id>/merge/`: GET with `?other=` shows what would happen, POST does it."""

    permission = Permission.MERGE
    template = "crm/customer_merge.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        survivor, other = _pair(request.user, kwargs["pk"], request.GET.get("other", ""))
        shown = merges.preview(survivor, other)
        for conflict in shown["conflicts"]:
            conflict["taken"] = conflict["kept"] == conflict["merged"]
            if conflict["field"] in ("company", "owner"):
                conflict["survivor"], conflict["merged"] = (
                    getattr(one, conflict["field"]) for one in (survivor, other)
                )
            conflict["label"] = LABELS.get(
                conflict["field"], conflict["field"].replace("_", " ").capitalize()
            )
        likely = {one.customer.pk: one for one in matches.suggestions(survivor)}
        return {"survivor": survivor, "other": other, "preview": shown, "suggestion": likely.get(other.pk)}

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Merge, and back to the survivor's page."""
        survivor, other = _pair(request.user, kwargs["pk"], request.POST.get("other", ""))
        merges.merge(survivor, other, by=request.user, take=request.POST.getlist("take"))
        messages.success(
            request, f"{_name(other)} is part of this customer now. It can be undone at any time."
        )
        return redirect("customer", pk=survivor.pk)


class Undo(Act):
    """`/merges/<id>/undo/`: two customers again."""

    permission = Permission.MERGE

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        step = find(Merge.objects.visible_to(request.user), pk=kwargs["pk"])
        merges.undo(step, by=request.user)
        messages.success(request, f"{_name(step.merged)} is a customer of its own again.")
        return redirect("customer", pk=step.survivor_id)


class Merging(Page):
    """`/merging/`: from which certainty on customers are merged by themselves, and which were."""

    permission = Permission.READ_CUSTOMERS
    template = "crm/merging.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        own = (
            Merge.objects.visible_to(request.user)
            .filter(by=None)
            .select_related("survivor", "merged", "undone_by")
        )
        page = page_of(request, own)
        return {
            "percent": matches.threshold(),
            "rule": MergeRule.objects.select_related("by").first(),
            "least": matches.LEAST,
            "can_set": may(request.user, Permission.CONFIGURE),
            "can_merge": may(request.user, Permission.MERGE),
            "merges": page.rows,
            **page.addresses(),
        }

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        said = request.POST.get("percent", "")
        try:
            known = said.isascii() and said.isdecimal() and len(said) < 4
            percent = matches.set_threshold(int(said) if known else -1, by=request.user)
        except InvalidInput as error:
            messages.error(request, f"{error.detail} It is 0 (never), or {matches.LEAST} to 100.")
        else:
            said = f"from {percent} percent on" if percent else "never"
            messages.success(request, f"New customers are merged automatically {said}.")
        return redirect("merging")


def _pair(user: User, pk: int, other: str) -> tuple[Customer, Customer]:
    known = other.isascii() and other.isdecimal() and len(other) < 20 and int(other) <= BIGGEST_ID
    visible = Customer.objects.visible_to(user)
    return find(visible, pk=pk), find(visible, pk=int(other) if known else 0)


def _name(customer: Customer) -> str:
    return customer.name or f"Customer {customer.pk}"
