"""One company: what it is part of, who belongs to it, and what is open with them."""

from typing import Any

from django.http import HttpRequest

from crm.access import Permission, find, may, may_somewhere, outside_closed
from crm.choices import Role
from crm.lists import OVER
from crm.models import Company, Customer, CustomField, Ticket, User
from crm.services import companies, fields
from crm.views.base import Page

SHOWN = 50
OFFERED = 500


class CompanyDetail(Page):
    """`/companies/<id>/`."""

    permission = Permission.READ_CUSTOMERS
    template = "crm/company_detail.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        user = request.user
        visible = Company.objects.visible_to(user)
        company = find(visible.select_related("owner", "parent"), pk=kwargs["pk"])
        below = companies.below(company)
        people = Customer.objects.visible_to(user).filter(company__in=below, merged_into=None)
        tickets = Ticket.objects.visible_to(user).filter(customer__company__in=below).exclude(status__in=OVER)
        return {
            "company": company,
            "above": companies.above(company),
            "parts": visible.filter(parent=company).order_by("name", "pk")[:SHOWN],
            "people": people.select_related("company").order_by("-created_at", "-pk")[:SHOWN],
            "tickets": tickets.select_related("customer", "owner").order_by("-opened_at")[:SHOWN],
            "own_fields": fields.shown("company", company.fields),
            "restricted": may(user, Permission.SEE_RESTRICTED)
            and CustomField.objects.filter(noun="company", retired=False, restricted=True).exists(),
            "may_note": may_somewhere(user, Permission.NOTE),
            "companies": visible.exclude(pk__in=below).order_by("name", "pk")[:OFFERED],
            "colleagues": outside_closed(User.objects.filter(is_active=True), user, "team", own="pk")
            .exclude(role=Role.API_CLIENT)
            .order_by("name")[:OFFERED],
        }
