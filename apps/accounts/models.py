"""People, departments, who belongs to which, and the audiences that decide who reads what."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.accounts.querysets import AudienceQuerySet, DepartmentQuerySet, MembershipQuerySet
from apps.core.ids import uuid7


class UserManager(BaseUserManager["User"]):
    """Makes people; e-mail addresses are kept in lower case."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Make a person who can sign in with this e-mail and password."""
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Make an operator (Django's `createsuperuser` calls this)."""
        return self.create_user(email, password, is_operator=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the person with this e-mail, in any case of letters."""
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser):
    """A person. Operators may do everything in the admin; nobody reads others' chats or documents through it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(
        _("e-mail"), unique=True, help_text=_("The address the person signs in with; lower case.")
    )
    full_name = models.CharField(
        _("full name"),
        max_length=150,
        blank=True,
        help_text=_("Shown to colleagues; empty shows the e-mail."),
    )
    is_active = models.BooleanField(
        _("active"),
        default=True,
        help_text=_("Off: the person can no longer sign in or read anything."),
    )
    is_operator = models.BooleanField(
        _("operator"),
        default=False,
        help_text=_("May use this admin: settings, prices, models, people."),
    )
    default_department = models.ForeignKey(
        "Department",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("default paying department"),
        help_text=_(
            "Pays for new conversations and documents. Empty: the first department by name."
        ),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("people")
        constraints = (
            models.CheckConstraint(condition=Q(email=Lower("email")), name="user_email_lower_case"),
        )

    def __str__(self) -> str:
        return self.full_name or self.email

    @property
    def is_staff(self) -> bool:
        """Say whether Django's admin and silk let the person in."""
        return self.is_operator

    @property
    def is_superuser(self) -> bool:
        """Say whether every admin permission is given: operators have no lesser kind."""
        return self.is_operator

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return self.is_active and self.is_operator

    def has_perms(self, perm_list: list[str], obj: object = None) -> bool:
        return self.is_active and self.is_operator

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and self.is_operator

    def get_full_name(self) -> str:
        return str(self)

    def get_short_name(self) -> str:
        return self.full_name.split(" ")[0] if self.full_name else self.email


class Department(models.Model):
    """A part of the organisation that pays for what its people use."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    code = models.SlugField(
        _("code"),
        max_length=40,
        unique=True,
        help_text=_("Short and stable: it names the department in exports."),
    )
    name = models.CharField(
        _("name"), max_length=120, help_text=_("Shown wherever the department appears.")
    )

    objects = DepartmentQuerySet.as_manager()

    class Meta:
        verbose_name = _("department")
        verbose_name_plural = _("departments")

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person's belonging to a department; a person can be in several."""

    class Role(models.TextChoices):
        MEMBER = "MEMBER", _("Member")
        HEAD = "HEAD", _("Head")

    user = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="memberships", help_text=_("Who belongs.")
    )
    department = models.ForeignKey(
        Department,
        on_delete=models.CASCADE,
        related_name="memberships",
        help_text=_("To which department."),
    )
    role = models.CharField(
        _("role"),
        max_length=10,
        choices=Role.choices,
        default=Role.MEMBER,
        help_text=_("Heads also manage the documents shared with their department."),
    )

    objects = MembershipQuerySet.as_manager()

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = (
            models.UniqueConstraint(fields=("user", "department"), name="membership_once"),
        )

    def __str__(self) -> str:
        return f"{self.user} · {self.department}"


class Audience(models.Model):
    """Who may read something: everyone, a department, one person, or named people.

    The first three exist once each and are shared by all that is visible to them; a CUSTOM audience belongs to one
    thing, and its people are changed in place. `generation` moves with each change of what the audience may read.
    """

    class Kind(models.TextChoices):
        EVERYONE = "EVERYONE", _("Everyone")
        DEPARTMENT = "DEPARTMENT", _("A department")
        USER = "USER", _("One person")
        CUSTOM = "CUSTOM", _("Named people")

    kind = models.CharField(
        _("kind"), max_length=12, choices=Kind.choices, help_text=_("Who is meant.")
    )
    department = models.ForeignKey(
        Department,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="audiences",
        help_text=_("Only for a department's audience."),
    )
    user = models.ForeignKey(
        User,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="audiences",
        help_text=_("Only for one person's audience."),
    )
    generation = models.BigIntegerField(default=1, editable=False)

    objects = AudienceQuerySet.as_manager()

    class Meta:
        verbose_name = _("audience")
        verbose_name_plural = _("audiences")
        constraints = (
            models.CheckConstraint(
                name="audience_shape",
                condition=(
                    Q(kind="EVERYONE", department__isnull=True, user__isnull=True)
                    | Q(kind="DEPARTMENT", department__isnull=False, user__isnull=True)
                    | Q(kind="USER", department__isnull=True, user__isnull=False)
                    | Q(kind="CUSTOM", department__isnull=True, user__isnull=True)
                ),
            ),
            models.UniqueConstraint(
                fields=("kind",), condition=Q(kind="EVERYONE"), name="audience_everyone_once"
            ),
            models.UniqueConstraint(
                fields=("department",),
                condition=Q(kind="DEPARTMENT"),
                name="audience_department_once",
            ),
            models.UniqueConstraint(
                fields=("user",), condition=Q(kind="USER"), name="audience_user_once"
            ),
        )

    def __str__(self) -> str:
        if self.kind == self.Kind.DEPARTMENT:
            return str(self.department)
        if self.kind == self.Kind.USER:
            return str(self.user)
        return str(self.get_kind_display())


class AudienceMember(models.Model):
    """A person named in a CUSTOM audience."""

    audience = models.ForeignKey(
        Audience,
        on_delete=models.CASCADE,
        related_name="members",
        help_text=_("The named people's audience."),
    )
    user = models.ForeignKey(
        User,
        on_delete=models.CASCADE,
        related_name="audience_memberships",
        help_text=_("Who may read."),
    )

    class Meta:
        verbose_name = _("named person")
        verbose_name_plural = _("named people")
        constraints = (
            models.UniqueConstraint(fields=("audience", "user"), name="audience_member_once"),
        )

    def __str__(self) -> str:
        return str(self.user)


class ApiKey(models.Model):
    """A key a program signs in with, for one department; of the secret only its hash is kept."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(
        _("name"), max_length=120, help_text=_("What uses it; shown on cost pages.")
    )
    prefix = models.CharField(_("prefix"), max_length=12, unique=True, editable=False)
    secret_hash = models.BinaryField(editable=False)
    owner = models.ForeignKey(
        User,
        on_delete=models.CASCADE,
        related_name="api_keys",
        verbose_name=_("owner"),
        help_text=_("Whose rights it has."),
    )
    department = models.ForeignKey(
        Department,
        on_delete=models.CASCADE,
        related_name="api_keys",
        verbose_name=_("department"),
        help_text=_("Pays for its calls."),
    )
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Off: the key is refused.")
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
