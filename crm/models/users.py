"""Who works here: users with a role, teams, and the tokens of API clients."""

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now

from crm.choices import Role, Scope, TeamVisibility
from crm.querysets import GrantQuerySet, RightSetQuerySet


class Team(models.Model):
    """People who answer for the same work."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    visibility = models.CharField(
        max_length=12,
        choices=TeamVisibility,
        default=TeamVisibility.OPEN,
        help_text="Closed: other teams see nothing of this team's work, not even counts.",
    )

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager):
    """Creates users by e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: object) -> "User":
        """Create a user; without a password he cannot log in."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> "User":
        """Create an administrator."""
        return self.create_user(
            email, password, role=Role.ADMINISTRATOR, is_staff=True, is_superuser=True, **fields
        )


class User(AbstractBaseUser, PermissionsMixin):
    """A person or API client that may log in."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=150, blank=True)
    role = models.CharField(max_length=16, choices=Role, default=Role.AGENT)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT, related_name="members")
    alias = models.CharField(
        max_length=20, blank=True, help_text="How customers see this person, for example ^KC."
    )
    reach = models.JSONField(
        default=dict,
        db_default={},
        editable=False,
        help_text="Where which right was given beside the role; written by the service of rights alone.",
    )
    coach = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="trainees", db_index=False, editable=False,
        help_text="In training: his answers leave when this person, or a lead, has released them.",
    )  # fmt: skip
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False, help_text="May open the admin.")
    date_joined = models.DateTimeField(auto_now_add=True)

    objects = UserManager()
    USERNAME_FIELD = "email"

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("email"), name="user_email_without_case"),
            models.CheckConstraint(
                condition=models.Q(coach=None) | ~models.Q(coach=models.F("id")),
                name="user_coached_by_another",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def initials(self) -> str:
        """At most two letters for the avatar."""
        return "".join(word[0] for word in str(self).split()[:2]).upper()


class ApiToken(models.Model):
    """A token of an API client: only its SHA-256 is kept."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100, blank=True)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list, blank=True, help_text="Empty: all that the user may do.")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name or f"token {self.pk}"


class RightSet(models.Model):
    """Rights under a name of the organisation's own, beside the six that roles are."""

    name = models.CharField(max_length=60, unique=True)
    note = models.CharField(max_length=200, blank=True, help_text="What it is for.")
    rights = models.JSONField(default=list)
    retired = models.BooleanField(default=False, help_text="Gives nobody anything any more.")
    created_at = models.DateTimeField(db_default=Now())

    objects = RightSetQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class Grant(models.Model):
    """A set of rights given to a person within a scope, beside what his role says."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="grants", db_index=False)
    right_set = models.ForeignKey(
        RightSet, null=True, blank=True, on_delete=models.PROTECT, related_name="grants"
    )
    role = models.CharField(max_length=16, choices=Role, blank=True, help_text="A built-in set instead.")
    scope = models.CharField(max_length=10, choices=Scope)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    brand = models.ForeignKey("crm.Brand", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())
    ended_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = GrantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="grant_of_one_set",
                condition=Q(right_set__isnull=True) & ~Q(role="") | Q(right_set__isnull=False) & Q(role=""),
            ),
            models.CheckConstraint(
                name="grant_names_its_scope",
                condition=Q(scope=Scope.TEAM, team__isnull=False, brand__isnull=True)
                | Q(scope=Scope.BRAND, team__isnull=True, brand__isnull=False)
                | Q(scope__in=[Scope.EVERYWHERE, Scope.OWN], team__isnull=True, brand__isnull=True),
            ),
            models.UniqueConstraint(
                "user",
                "right_set",
                "role",
                "scope",
                "team",
                "brand",
                name="grant_once",
                nulls_distinct=False,
                condition=Q(ended_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.right_set or self.get_role_display()}, {self.place}"

    @property
    def place(self) -> str:
        """The scope in words."""
        named = self.team or self.brand
        return f"{self.get_scope_display().lower()} {named}" if named else self.get_scope_display().lower()


class Viewing(models.Model):
    """An administrator looks at the product as others see it: as a person, a role or a set of rights. Read only, for a while."""

    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    session_key = models.CharField(max_length=40)
    person = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=16, choices=Role, blank=True)
    right_set = models.ForeignKey(RightSet, null=True, on_delete=models.PROTECT, related_name="+")
    team = models.ForeignKey(Team, null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())
    until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("session_key", name="viewing_once", condition=Q(ended_at=None)),
        ]

    def __str__(self) -> str:
        seen = str(self.person or self.right_set or self.get_role_display())
        return f"{seen} in {self.team}" if self.team else seen
