"""People, departments, memberships, audiences and API keys in the admin."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import password_validation
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import action

from apps.accounts import api_keys
from apps.accounts.models import ApiKey, Audience, AudienceMember, Department, Membership, User
from apps.core.admin import BaseAdmin, ReadOnlyAdmin
from apps.tuning.journalled import JournalledAdmin

_SHOWN_ONCE = "_api_key_shown_once"


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


class ApiKeyForm(forms.ModelForm[ApiKey]):
    """A key's owner and department are chosen once, and must fit each other."""

    class Meta:
        model = ApiKey
        fields = ("name", "owner", "department", "is_active")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        owner, department = cleaned.get("owner"), cleaned.get("department")
        if owner and department:
            try:
                api_keys.check_owner(owner=owner, department=department)
            except api_keys.NotAMemberError as error:
                self.add_error("owner", str(error))
        return cleaned


@admin.register(ApiKey)
class ApiKeyAdmin(JournalledAdmin):
    """API keys: made, given a new secret, switched off; never deleted, since past cost names them.

    A secret is on the one page that answers its making, which nobody keeps.
    """

    form = ApiKeyForm
    list_display = ("name", "prefix", "owner", "department", "is_active", "created_at")
    list_filter = ("is_active", "department")
    search_fields = ("name", "prefix", "owner__email", "department__name")
    list_select_related = ("owner", "department")
    autocomplete_fields = ("owner", "department")
    ordering = ("name",)
    actions_detail = ("open_rotate",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Show what never changes to none but those who look at a key."""
        fields = super().get_fields(request, obj)
        if obj is None:
            return [name for name in fields if name not in {"is_active", "prefix", "created_at"}]
        return fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("owner", "department", "prefix", "created_at") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        if not change:
            setattr(request, _SHOWN_ONCE, api_keys.prepare(obj))
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: ApiKey, *_args: Any) -> HttpResponse:
        """Show the secret, in the answer itself: no message, session or address holds it."""
        return self._secret_page(request, obj, getattr(request, _SHOWN_ONCE))

    @action(  # type: ignore[untyped-decorator]  # unfold ships no types
        description=_("New secret"), url_path="open-rotate", icon="autorenew"
    )
    def open_rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:accounts_apikey_rotate", object_id)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.rotate_view)
        own = path("<uuid:pk>/rotate/", view, name="accounts_apikey_rotate")
        urls: list[URLPattern] = super().get_urls()
        return [own, *urls]

    def rotate_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Ask, then give the key a new secret and show it."""
        key = get_object_or_404(ApiKey.objects.select_related("owner", "department"), pk=pk)
        if not self.has_change_permission(request, key):
            raise PermissionDenied
        if request.method != "POST":
            context = self._page_context(request, key, _t("New secret for %s") % key.name)
            return TemplateResponse(request, "admin/accounts/apikey/rotate.html", context)
        secret = api_keys.rotate(key)
        self.log_change(request, key, _t("Given a new secret."))
        return self._secret_page(request, key, secret)

    def _secret_page(self, request: HttpRequest, key: ApiKey, secret: str) -> HttpResponse:
        context = self._page_context(request, key, _t("The secret of %s") % key.name)
        return TemplateResponse(
            request, "admin/accounts/apikey/secret.html", {**context, "secret": secret}
        )

    def _page_context(self, request: HttpRequest, key: ApiKey, title: str) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": key,
            "key": key,
            "title": title,
        }
