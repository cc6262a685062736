"""People, departments, memberships and audiences in the admin."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import password_validation
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline

from apps.accounts.models import Audience, AudienceMember, Department, Membership, User
from apps.core.admin import BaseAdmin, ReadOnlyAdmin


class PersonForm(forms.ModelForm[User]):
    """A person with a password that is set, never shown."""

    new_password = forms.CharField(
        label=_("New password"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_(
            "Empty: unchanged; a new person then sets one through “Forgot your password?”."
        ),
    )

    class Meta:
        model = User
        fields = (
            "email",
            "full_name",
            "new_password",
            "default_department",
            "is_active",
            "is_operator",
        )

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        return email.lower()

    def clean_new_password(self) -> str:
        password: str = self.cleaned_data["new_password"]
        if password:
            password_validation.validate_password(password, self.instance)
        return password


class MembershipInline(TabularInline):  # type: ignore[misc]  # unfold ships no types
    """A person's departments, on the person's page."""

    model = Membership
    extra = 0
    autocomplete_fields = ("department",)


@admin.register(User)
class UserAdmin(BaseAdmin):
    """People: made, switched off, given departments."""

    form = PersonForm
    inlines = (MembershipInline,)
    list_display = ("email", "full_name", "is_active", "is_operator", "created_at")
    list_filter = ("is_active", "is_operator", "memberships__department")
    search_fields = ("email", "full_name")
    ordering = ("email",)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        password = form.cleaned_data.get("new_password")
        if password:
            obj.set_password(password)
        elif not change:
            obj.set_unusable_password()
        super().save_model(request, obj, form, change)


@admin.register(Department)
class DepartmentAdmin(BaseAdmin):
    """Departments."""

    list_display = ("name", "code")
    search_fields = ("name", "code")
    ordering = ("name",)


@admin.register(Membership)
class MembershipAdmin(BaseAdmin):
    """Who belongs where."""

    list_display = ("user", "department", "role")
    list_filter = ("role", "department")
    search_fields = ("user__email", "user__full_name", "department__name")
    list_select_related = ("user", "department")
    autocomplete_fields = ("user", "department")
    ordering = ("department__name", "user__email")


@admin.register(Audience)
class AudienceAdmin(ReadOnlyAdmin):
    """Audiences are made by sharing; here they are only looked at."""

    list_display = ("id", "kind", "department", "user", "generation")
    list_filter = ("kind",)
    search_fields = ("department__name", "user__email")
    list_select_related = ("department", "user")
    ordering = ("-id",)


@admin.register(AudienceMember)
class AudienceMemberAdmin(ReadOnlyAdmin):
    """Named people are chosen where something is shared; here they are only looked at."""

    list_display = ("audience", "user")
    search_fields = ("user__email",)
    list_select_related = ("user", "audience__department", "audience__user")
    ordering = ("-id",)
