"""The admin page of a table whose rows are journalled: a mixin that adds reason, time and rights to the form."""

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.functional import Promise
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from apps.core.admin import BaseAdmin
from apps.tuning import journal, presentation, rights, rows, scheduling, services
from apps.tuning.forms import DUE, REASON, JournalledForm
from apps.tuning.models import Revision, ScheduledChange
from apps.tuning.registry import TuningError

_SCHEDULED = "_journal_scheduled"
_STANDING = "_journal_standing"


class JournalledAdmin(BaseAdmin):
    """Rows whose every change goes through the journal, with who did it, why, and the way back.

    Use it in place of `BaseAdmin`; what the journal has to know of the table are plain attributes:

        @admin.register(Provider)
        class ProviderAdmin(JournalledAdmin):
            journal_key = "code"                  # unique, never changes; names the row: llm.provider:<code>. Default: pk
            journal_secret_scope = ("base_url",)  # fields a stored secret was entered for; change only with a new secret
            journal_no_rollback = _("…")          # where rows are never put back: what to do instead

    The form gets a reason and, for a row that exists, a time; `fields` and `fieldsets` need not name them. Saving,
    deleting and the action that deletes many go through `tuning.services`. A person whom `Right` entries keep out
    sees the row read-only, with the reason. Columns that nobody edits (`editable=False`) are not in the journal's
    values and survive a rollback; fields of `EncryptedTextField` are never in it.
    """

    journal_key: ClassVar[str] = "pk"
    journal_secret_scope: ClassVar[tuple[str, ...]] = ()
    journal_no_rollback: ClassVar[str | Promise] = ""
    change_form_outer_before_template = "admin/tuning/_row_history.html"
    delete_confirmation_template = "admin/tuning/delete_confirmation.html"
    delete_selected_confirmation_template = "admin/tuning/delete_selected_confirmation.html"

    def __init__(self, model: type[models.Model], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        rows.declare(
            rows.RowKind(
                model,
                key_field=self.journal_key,
                secret_scope=self.journal_secret_scope,
                no_rollback=self.journal_no_rollback,
            )
        )

    # The form

    def get_form(
        self,
        request: HttpRequest,
        obj: models.Model | None = None,
        change: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        **options: Any,
    ) -> type[forms.ModelForm[Any]]:
        """Return the table's form with reason and time; what they refuse is told beside the field."""
        form = type(f"Journalled{self.form.__name__}", (JournalledForm, self.form), {})
        made: type[forms.ModelForm[Any]] = super().get_form(
            request, obj, change=change, **{"form": form, **options}
        )
        if obj is None:
            made.base_fields.pop(DUE, None)
        return made

    def get_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[Any]:
        """Return the declared fields, then reason and time."""
        fields = [name for name in super().get_fields(request, obj) if name not in {REASON, DUE}]
        if not self._is_editable(request, obj):
            return fields
        return [*fields, REASON, *([DUE] if obj else [])]

    def get_fieldsets(self, request: HttpRequest, obj: models.Model | None = None) -> list[Any]:
        """Return declared fieldsets with one more for the journal; without them, one of all fields."""
        fieldsets = list(super().get_fieldsets(request, obj))
        if self.fieldsets and self._is_editable(request, obj):
            names = (REASON, DUE) if obj else (REASON,)
            fieldsets.append((_("This change"), {"fields": names}))
        return fieldsets

    def _is_editable(self, request: HttpRequest, obj: models.Model | None) -> bool:
        """Say whether the form can be saved, so that it needs a reason."""
        if obj is None:
            is_addable: bool = super().has_add_permission(request)
            return is_addable
        return self.has_change_permission(request, obj)

    # Who may

    def refusal(self, request: HttpRequest, obj: models.Model | None = None) -> str:
        """Return why this person may not turn this row, or make rows of this kind; empty: they may."""
        # Django asks a dozen times a page.
        standing: rights.Standing | None = getattr(request, _STANDING, None)
        if standing is None:
            standing = rights.standing_of(request.user.pk)
            setattr(request, _STANDING, standing)
        return standing.refusal(rows.subject_of(obj) if obj else rows.prefix_of(self.model))

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        allowed: bool = super().has_change_permission(request, obj)
        return allowed and not (obj and self.refusal(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and not (obj and self.refusal(request, obj))

    # Writing

    def save_model(
        self,
        request: HttpRequest,
        obj: models.Model,
        form: Any,
        change: bool,  # noqa: FBT001 - Django's signature
    ) -> None:
        """Make the change now, or have it made at the time that was entered."""
        reason, due_at = form.cleaned_data.get(REASON, ""), form.cleaned_data.get(DUE)
        who: dict[str, Any] = {"author_id": request.user.pk, "reason": reason}
        if not change:
            services.create_row(instance=obj, **who)
        elif due_at:
            scheduled = scheduling.schedule(
                subject=rows.subject_of(obj), values=rows.edits_of(obj), due_at=due_at, **who
            )
            setattr(request, _SCHEDULED, scheduled)
        else:
            services.change_row(instance=obj, values=rows.editable_values(obj), **who)

    def delete_model(self, request: HttpRequest, obj: models.Model) -> None:
        services.delete_row(
            instance=obj, author_id=request.user.pk, reason=request.POST.get(REASON, "")
        )

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with journal.writing():
            for obj in queryset:
                self.delete_model(request, obj)

    # What is told

    def log_change(self, request: HttpRequest, obj: models.Model, message: Any) -> Any:
        """Leave a change that is still to come out of Django's own history."""
        if hasattr(request, _SCHEDULED):
            return None
        return super().log_change(request, obj, message)

    def response_change(self, request: HttpRequest, obj: models.Model) -> HttpResponse:
        """Say that a scheduled change is still to come."""
        scheduled: ScheduledChange | None = getattr(request, _SCHEDULED, None)
        if scheduled is None:
            response: HttpResponse = super().response_change(request, obj)
            return response
        said = _t(
            "Nothing is changed yet: it will be at %(at)s UTC. It is among the scheduled changes."
        )
        messages.success(request, said % {"at": f"{scheduled.due_at:%Y-%m-%d %H:%M}"})
        onward: HttpResponse = self.response_post_save_change(request, obj)
        return onward

    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        return self._told(request, super().changeform_view, *args, **options)

    def delete_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        return self._told(request, super().delete_view, *args, **options)

    def changelist_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        return self._told(request, super().changelist_view, *args, **options)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], **options: Any
    ) -> HttpResponse:
        """Show beside the form who changed the row last, what is still to come, and why it can't be changed."""
        obj = options.get("obj")
        context["journal_refusal"] = self.refusal(request, obj)
        if obj:
            subject = rows.subject_of(obj)
            history = Revision.objects.of(subject).select_related("author")
            context |= {
                "journal_subject": subject,
                "journal_last": history.exclude(action=Revision.Action.FOUND).first(),
                "journal_waiting": [
                    (one, presentation.planned(one))
                    for one in ScheduledChange.objects.waiting().filter(subject=subject)
                ],
            }
        response: HttpResponse = super().render_change_form(request, context, **options)
        return response

    def _told(
        self, request: HttpRequest, view: Callable[..., HttpResponse], *args: Any, **options: Any
    ) -> HttpResponse:
        """Run a view of Django's; what the journal refuses is told in words, and nothing is half done."""
        try:
            return view(request, *args, **options)
        except TuningError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(request.get_full_path())
