"""Reads in the field's words; each knows what a user may see."""

from typing import Any

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from crm.access import (
    Permission,
    held,
    may,
    may_somewhere,
    sees_everything,
    teams_given,
    work_filter,
)
from crm.choices import Audience, MacroReach, Role, Sharing


class CustomerQuerySet(models.QuerySet):
    """Customers are seen by everybody who serves them."""

    def visible_to(self, user: Any) -> "CustomerQuerySet":
        return self.all() if may(user, Permission.READ_CUSTOMERS) else self.none()


class InteractionQuerySet(models.QuerySet):
    """Contacts, by the team that answers for them."""

    def visible_to(self, user: Any) -> "InteractionQuerySet":
        return self.filter(work_filter(user))


class MessageQuerySet(models.QuerySet):
    """Words are seen by who may see their interaction."""

    def visible_to(self, user: Any) -> "MessageQuerySet":
        return self.filter(work_filter(user, "interaction__"), interaction__isnull=False)


class TicketQuerySet(models.QuerySet):
    """Problems, by team and owner; marketing sees those that were spoken of in public."""

    def visible_to(self, user: Any) -> "TicketQuerySet":
        return self.held_by(user, Permission.READ_WORK)

    def held_by(self, user: Any, permission: Permission) -> "TicketQuerySet":
        """Those over which a user has a right."""
        seen = held(user, permission, brand="brand", holder="owner", public=Q(self._public()))
        return self.all() if seen is None else self.filter(seen)

    def _public(self) -> Exists:
        contacts = self.model._meta.get_field("interactions").related_model._base_manager
        return Exists(contacts.filter(ticket=OuterRef("pk"), audience=Audience.PUBLIC))


class DeliveryQuerySet(models.QuerySet):
    """Raw deliveries hold everybody's words: for supervisors, auditors and administrators."""

    def visible_to(self, user: Any) -> "DeliveryQuerySet":
        return self.all() if may(user, Permission.READ_DELIVERIES) else self.none()


class ImportQuerySet(models.QuerySet):
    """Files that were read in hold everybody's data: for who may import."""

    def visible_to(self, user: Any) -> "ImportQuerySet":
        return self.all() if may(user, Permission.IMPORT) else self.none()


class ExportQuerySet(models.QuerySet):
    """A file that left is its asker's alone, while he sees what he saw when he asked."""

    def visible_to(self, user: Any) -> "ExportQuerySet":
        if not may_somewhere(user, Permission.EXPORT):
            return self.none()
        return self.filter(by=user, role=user.role, team=user.team_id, reach=user.reach or {})


class SavedViewQuerySet(models.QuerySet):
    """Views of lists: one's own, those of one's team, and everybody's."""

    def visible_to(self, user: Any) -> "SavedViewQuerySet":
        if not user.is_active:
            return self.none()
        seen = Q(owner=user.pk) | Q(sharing=Sharing.EVERYBODY)
        return self.filter(seen | Q(sharing=Sharing.TEAM, team=user.team_id) if user.team_id else seen)


class MacroQuerySet(models.QuerySet):
    """Everybody's, one's team's, one's own; who sees everything sees all but other people's own ones."""

    def visible_to(self, user: Any) -> "MacroQuerySet":
        if not may_somewhere(user, Permission.READ_WORK):
            return self.none()
        mine = Q(reach=MacroReach.EVERYBODY) | Q(owner=user.pk)
        if sees_everything(user):
            return self.filter(mine | Q(reach=MacroReach.TEAM))
        known = [*teams_given(user, Permission.READ_WORK), *([user.team_id] if user.team_id else [])]
        return self.filter(mine | Q(team__in=known) if known else mine)

    def fitting(self, situation: dict[str, str]) -> "MacroQuerySet":
        """Those whose conditions hold; what is not known of a contact (no topic yet) rules nothing out."""
        found = self.filter(retired=False)
        for name, value in situation.items():
            if value:
                asked = f"situation__{name}"
                found = found.filter(Q(**{asked: []}) | Q(**{f"{asked}__contains": [value]}))
        return found


class MacroUseQuerySet(models.QuerySet):
    """Uses are seen by who may see their contact."""

    def visible_to(self, user: Any) -> "MacroUseQuerySet":
        return self.filter(work_filter(user, "interaction__"))


class NoticeQuerySet(models.QuerySet):
    """One's own alone, while one may still see what they are about."""

    def visible_to(self, user: Any) -> "NoticeQuerySet":
        return self.filter(work_filter(user, "interaction__"), user=user.pk)


class LegalHoldQuerySet(models.QuerySet):
    """Holds are seen by who may set them or must mind them."""

    def visible_to(self, user: Any) -> "LegalHoldQuerySet":
        return self.all() if may(user, Permission.SEE_PRIVACY) else self.none()

    def standing(self) -> "LegalHoldQuerySet":
        """Those that hold now."""
        return self.filter(Q(until=None) | Q(until__gt=Now()), lifted_at=None)


class ErasureQuerySet(models.QuerySet):
    """Proofs are seen by who answers for them."""

    def visible_to(self, user: Any) -> "ErasureQuerySet":
        return self.all() if may(user, Permission.SEE_PRIVACY) else self.none()


class RetentionPolicyQuerySet(models.QuerySet):
    """What is kept how long, for who answers for it."""

    def visible_to(self, user: Any) -> "RetentionPolicyQuerySet":
        return self.all() if may(user, Permission.SEE_PRIVACY) else self.none()


class RightSetQuerySet(models.QuerySet):
    """What sets hold, for who gives them."""

    def visible_to(self, user: Any) -> "RightSetQuerySet":
        return self.all() if may(user, Permission.CONFIGURE) else self.none()


class GrantQuerySet(models.QuerySet):
    """What was given to whom, for who gives; one's own for everybody."""

    def visible_to(self, user: Any) -> "GrantQuerySet":
        if not user.is_active:
            return self.none()
        return self.all() if may(user, Permission.CONFIGURE) else self.filter(user=user.pk)

    def standing(self) -> "GrantQuerySet":
        """Those that were not taken away."""
        return self.filter(ended_at=None)


class BulkQuerySet(models.QuerySet):
    """Edits of many rows show what stood in them: for who made them, and who sees everything anyway."""

    def visible_to(self, user: Any) -> "BulkQuerySet":
        if not user.is_active:
            return self.none()
        return self.all() if sees_everything(user) else self.filter(by=user)


class SurveyQuerySet(models.QuerySet):
    """Answers are read by who may read the ticket they are about; what is about none as other words of the past are."""

    def visible_to(self, user: Any) -> "SurveyQuerySet":
        if not may_somewhere(user, Permission.READ_WORK):
            return self.none()
        tickets = self.model._meta.get_field("ticket").related_model.objects.visible_to(user)
        seen = Q(ticket__in=tickets.values("pk"))
        only_public = user.role == Role.MARKETING and not sees_everything(user)
        if may(user, Permission.READ_WORK) and not only_public:
            seen |= Q(ticket=None)
        return self.filter(seen)


class PastMessageQuerySet(models.QuerySet):
    """Read by who may read work; marketing reads what was public."""

    def visible_to(self, user: Any) -> "PastMessageQuerySet":
        if not may(user, Permission.READ_WORK):
            return self.none()
        only_public = user.role == Role.MARKETING and not sees_everything(user)
        return self.filter(audience=Audience.PUBLIC) if only_public else self.all()
