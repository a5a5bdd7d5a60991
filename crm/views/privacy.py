"""What is owed to the people themselves: a customer's privacy page with holds, erasure and proof."""

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_date

from crm.access import Permission, find, may, require
from crm.choices import ErasureWay, ErasureWhy, RetentionKind, VerifiedHow
from crm.errors import DomainError, InvalidInput, NotFound
from crm.models import Brand, Company, Customer, Erasure, LegalHold, Message, RetentionPolicy, Ticket
from crm.services import disclosure, erasures, holds, masking, person_export, retention
from crm.services.merges import family, holder_of
from crm.views.base import BIGGEST_ID, Page, page_of

CONFIRM = "erase"  # what is typed so that nobody erases by a slip


class CustomerPrivacy(Page):
    """`/customers/<id>/privacy/`: what is held, what holds it, and the erasure: GET with `?look=1` shows what would go."""

    permission = Permission.SEE_PRIVACY
    template = "crm/customer_privacy.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        customer = holder_of(find(Customer.objects.visible_to(request.user), pk=kwargs["pk"]))
        people = family(customer.pk)
        looks = "look" in request.GET and may(request.user, Permission.ERASE)
        return {
            "customer": customer,
            "holds": LegalHold.objects.visible_to(request.user).filter(customer__in=people).select_related("by", "lifted_by"),
            "standing": holds.standing(customer),
            "erasures": Erasure.objects.visible_to(request.user).filter(customer__in=people).select_related("by").order_by("-pk"),
            "preview": erasures.preview(customer, by=request.user) if looks else None,
            "ways": ErasureWay.choices,
            "reasons": ErasureWhy.choices,
            "word": CONFIRM,
            "can_erase": may(request.user, Permission.ERASE),
            "can_hold": may(request.user, Permission.HOLD),
            "can_export": may(request.user, Permission.EXPORT_PERSON),
        }  # fmt: skip

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        customer = find(Customer.objects.visible_to(request.user), pk=kwargs["pk"])
        acts = {"export": self._export, "hold": self._hold, "lift": self._lift, "erase": self._erase}
        try:
            said = acts.get(request.POST.get("act", ""), self._nothing)(request, customer)
        except DomainError as error:
            messages.error(request, error.detail)
        else:
            messages.success(request, said)
        return redirect("customer-privacy", pk=customer.pk)

    def _export(self, request: HttpRequest, customer: Customer) -> str:
        person_export.ask(customer, by=request.user)
        return "The file is being made: it appears under Exports, for you alone."

    def _hold(self, request: HttpRequest, customer: Customer) -> str:
        kept = holds.place(
            customer,
            reason=request.POST.get("reason", "").replace("\x00", ""),
            until=_day(request),
            by=request.user,
        )
        return f"The record is kept{f' until {kept.until:%d %b %Y}' if kept.until else ''}."

    def _lift(self, request: HttpRequest, customer: Customer) -> str:
        given = request.POST.get("hold", "")
        known = given.isascii() and given.isdecimal() and len(given) < 20 and int(given) <= BIGGEST_ID
        of_it = LegalHold.objects.visible_to(request.user).filter(customer__in=family(holder_of(customer).pk))
        holds.lift(find(of_it, pk=int(given) if known else 0), by=request.user)
        return "The hold is lifted."

    def _erase(self, request: HttpRequest, customer: Customer) -> str:
        if request.POST.get("word", "").strip().lower() != CONFIRM:
            raise DomainError(f"Type “{CONFIRM}” to confirm. Nothing was done.")
        given = {name: request.POST.get(name, "") for name in ("way", "why", "confirmation")}
        erasures.ask(customer, by=request.user, **given)
        return "It is being done; the proof appears here."

    def _nothing(self, request: HttpRequest, customer: Customer) -> str:
        raise DomainError("Nothing was asked.")


def _day(request: HttpRequest) -> datetime | None:
    """The end of the day that was chosen, in the house's zone."""
    try:
        day = parse_date(request.POST.get("until", "").strip())
    except ValueError:
        day = None
    if day is None or not 1 < day.year < 9999:
        return None
    return timezone.make_aware(datetime(day.year, day.month, day.day, 23, 59, 59))


class Retention(Page):
    """`/privacy/`: what is kept how long, what a run would take (`?dry=1`), and the newest erasures."""

    permission = Permission.SEE_PRIVACY
    template = "crm/retention.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        policies = list(
            RetentionPolicy.objects.visible_to(request.user).select_related("brand").order_by("kind", "pk")
        )
        for policy in policies if "dry" in request.GET else ():
            policy.dry = retention.dry_run(policy)
        page = page_of(request, Erasure.objects.visible_to(request.user).select_related("by"))
        return {
            "policies": policies,
            "dry": "dry" in request.GET,
            "kinds": RetentionKind.choices,
            "ways": ErasureWay.choices,
            "brands": Brand.objects.order_by("name"),
            "can_set": may(request.user, Permission.ERASE),
            "erasures": page.rows,
            **page.addresses(),
        }

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        try:
            policy = self._policy(request)
            retention.keep(policy, self._changes(request, policy), by=request.user)
        except DomainError as error:
            said = "; ".join(f"{name} {text}" for name, text in error.extra.get("errors", {}).items())
            messages.error(request, f"{error.detail} {said}".strip())
        except IntegrityError:
            messages.error(request, "That is said already: change the line below.")
        else:
            messages.success(
                request,
                f"Kept: {policy}. {'It runs by itself.' if policy.is_active else 'It is switched off.'}",
            )
        return redirect("privacy")

    def _policy(self, request: HttpRequest) -> RetentionPolicy:
        given = request.POST.get("policy", "")
        if not given:
            return RetentionPolicy()
        known = given.isascii() and given.isdecimal() and len(given) < 20 and int(given) <= BIGGEST_ID
        found = RetentionPolicy.objects.visible_to(request.user).filter(pk=int(given) if known else 0).first()
        if found is None:
            raise NotFound("There is no such policy.")
        return found

    def _changes(self, request: HttpRequest, policy: RetentionPolicy) -> dict[str, Any]:
        given = request.POST
        days = given.get("days", "")
        changes: dict[str, Any] = {
            "days": int(days) if days.isascii() and days.isdecimal() and len(days) < 6 else 0,
            "is_active": given.get("active") == "1",
        }
        if policy.pk is None:
            if given.get("kind") not in RetentionKind.values:
                raise DomainError("Choose what is kept.")
            changes["kind"] = given["kind"]
            changes["way"] = (
                given.get("way") if given.get("way") in ErasureWay.values else ErasureWay.ERASE.value
            )
            slug = given.get("brand", "").replace("\x00", "")
            changes["brand"] = Brand.objects.filter(slug=slug).first() if slug else None
        return changes


class MessageReveal(Page):
    """`/messages/<id>/reveal/`: asks why, then shows the words as they came, once."""

    permission = Permission.UNMASK
    template = "crm/message_reveal.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        message = find(
            Message.objects.visible_to(request.user).select_related("interaction"), pk=kwargs["pk"]
        )
        return {"message": message, "original": None, "shortest": masking.SHORTEST_REASON}

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        context = self.context(request, **kwargs)
        reason = request.POST.get("reason", "").replace("\x00", "")
        try:
            context["original"] = masking.reveal(context["message"], reason=reason, by=request.user)
        except InvalidInput as error:
            messages.error(request, f"{error.detail} Say it in {masking.SHORTEST_REASON} to 200 characters.")
        return render(request, self.template, context)


class CustomerDisclosure(Page):
    """`/customers/<id>/disclosure/`: makes sure that this is the person, then shows restricted fields to who may."""

    permission = Permission.NOTE
    template = "crm/customer_disclosure.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        customer = find(Customer.objects.visible_to(request.user), pk=kwargs["pk"])
        return {"customer": customer, "ways": VerifiedHow.choices, **restricted_of(customer, request)}

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        customer = find(Customer.objects.visible_to(request.user), pk=kwargs["pk"])
        if request.POST.get("act") == "restricted":
            return _keep_restricted(customer, request, "customer-disclosure")
        try:
            minutes = request.POST.get("minutes", "")
            known = minutes.isascii() and minutes.isdecimal() and len(minutes) < 5
            made = disclosure.verify(
                customer,
                how=request.POST.get("how", ""),
                minutes=int(minutes) if known else 30,
                by=request.user,
            )
        except DomainError as error:
            messages.error(request, error.detail)
        else:
            messages.success(request, f"Verified until {timezone.localtime(made.until):%H:%M}.")
        return redirect("customer-disclosure", pk=customer.pk)


class TicketRestricted(Page):
    """`/tickets/<id>/restricted/`: restricted fields of a ticket, once its customer is verified."""

    permission = Permission.SEE_RESTRICTED
    template = "crm/restricted.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        ticket = self._ticket(request, kwargs["pk"])
        return {"holder": ticket, "back": f"/tickets/{ticket.pk}/", **restricted_of(ticket, request)}

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        ticket = self._ticket(request, kwargs["pk"])
        require(request.user, Permission.CLOSE, ticket)
        return _keep_restricted(ticket, request, "ticket-restricted")

    def _ticket(self, request: HttpRequest, pk: int) -> Ticket:
        return find(Ticket.objects.visible_to(request.user).select_related("customer"), pk=pk)


class CompanyRestricted(Page):
    """`/companies/<id>/restricted/`: restricted fields of a company."""

    permission = Permission.SEE_RESTRICTED
    template = "crm/restricted.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        company = find(Company.objects.visible_to(request.user), pk=kwargs["pk"])
        return {"holder": company, "back": f"/companies/{company.pk}/", **restricted_of(company, request)}

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        company = find(Company.objects.visible_to(request.user), pk=kwargs["pk"])
        return _keep_restricted(company, request, "company-restricted")


def restricted_of(holder: disclosure.Holder, request: HttpRequest) -> dict[str, Any]:
    """For `crm/_restricted.html`: the fields, each with its value when they are asked for and may be shown."""
    person = disclosure.person_of(holder)
    standing = disclosure.standing(person) if person else None
    may_see = may(request.user, Permission.SEE_RESTRICTED)
    fields = disclosure.restricted(holder) if may_see else []
    open_now = may_see and (standing is not None or person is None)
    shown = (
        disclosure.read(holder, by=request.user) if fields and open_now and "show" in request.GET else None
    )
    return {
        "person": person, "standing": standing, "may_see": may_see, "open_now": open_now, "is_shown": shown is not None,
        "fields": [{"field": one, "value": _typed((shown or {}).get(one.slug))} for one in fields],
    }  # fmt: skip


def _typed(value: Any) -> str:
    """A value as it is typed."""
    if isinstance(value, list):
        return ", ".join(value)
    return (
        ""
        if value is None
        else {True: "yes", False: "no"}.get(value, str(value))
        if isinstance(value, bool)
        else str(value)
    )


def _keep_restricted(holder: disclosure.Holder, request: HttpRequest, page: str) -> HttpResponse:
    """What was typed into the fields; an empty one takes its value away."""
    require(request.user, Permission.SEE_RESTRICTED)
    given = {
        one.slug: request.POST[f"field-{one.slug}"].replace("\x00", "").strip() or None
        for one in disclosure.restricted(holder)
        if f"field-{one.slug}" in request.POST
    }
    try:
        disclosure.write(holder, given, by=request.user)
    except DomainError as error:
        said = "; ".join(
            f"{name.removeprefix('fields.')} {text}" for name, text in error.extra.get("errors", {}).items()
        )
        messages.error(request, f"{error.detail} {said}".strip())
    else:
        messages.success(request, "Kept. That you wrote them stands in the history.")
    return redirect(page, pk=holder.pk)
