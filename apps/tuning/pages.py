"""The pages of the journal that are no lists: all parameters on one page, and the way back to a revision."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django import forms
from django.apps import apps
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from apps.tuning import history, live, presentation, registry, rights, scheduling, services
from apps.tuning.forms import DUE, REASON, ParametersForm, ReasonForm, field_name
from apps.tuning.models import Revision, ScheduledChange
from apps.tuning.querysets import PARAMETERS
from apps.tuning.registry import Parameter, TuningError


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """One parameter on the page: its field, whether it differs from its default, and its last change."""

    parameter: Parameter
    field: forms.BoundField
    live: str
    default: str
    is_changed: bool
    last: Revision | None
    refusal: str

    @property
    def bounds(self) -> str:
        """Between what it may be, or which words it may be."""
        low, high = self.parameter.minimum, self.parameter.maximum
        if low is None or high is None:
            return ", ".join(self.parameter.choices)
        about = {"low": presentation.shown(low), "high": presentation.shown(high)}
        return _("from %(low)s to %(high)s") % about

    @property
    def words(self) -> str:
        """What the filter looks through."""
        parts = (self.parameter.name, _(self.parameter.help_text), _(self.parameter.moves))
        return " ".join(parts).lower()


def parameters(request: HttpRequest, site: admin.AdminSite) -> HttpResponse:
    """Show every parameter, and set those the person changed: now, or at a time."""
    standing = rights.standing_of(request.user.pk)
    refused = {one.name: standing.refusal(one.name) for one in registry.everything()}
    form = ParametersForm(request.POST if request.method == "POST" else None, refused=refused)
    if request.method == "POST" and form.is_valid():
        try:
            messages.success(request, _saved(form, request))
            return redirect("admin:tuning_parameters")
        except TuningError as error:
            form.add_error(None, str(error))
    rows = _rows(form)
    groups = [
        (apps.get_app_config(app).verbose_name, list(found))
        for app, found in groupby(rows, key=lambda row: row.parameter.name.partition(".")[0])
    ]
    waiting = ScheduledChange.objects.waiting().filter(subject=PARAMETERS)
    context = {
        **site.each_context(request),
        "form": form,
        "groups": groups,
        "changed_count": sum(row.is_changed for row in rows),
        "waiting": [(one, presentation.planned(one)) for one in waiting.select_related("author")],
        "title": _("Parameters"),
    }
    return TemplateResponse(request, "admin/tuning/parameters.html", context)


def rollback(request: HttpRequest, site: admin.AdminSite, revision: Revision) -> HttpResponse:
    """Show what going back to a revision would change, and do it when it is confirmed."""
    form = ReasonForm(request.POST if request.method == "POST" else None)
    who = request.user.pk
    try:
        if request.method == "POST" and form.is_valid():
            made = history.rollback(
                revision=revision, author_id=who, reason=form.cleaned_data[REASON]
            )
            said = _("Rolled back.") if made else _("Nothing was changed: it is so already.")
            messages.success(request, said)
            return redirect("admin:tuning_revision_changelist")
        changes, error = _preview(revision, who), ""
    except TuningError as refused:
        changes, error = [], str(refused)
    context = {
        **site.each_context(request),
        "form": form,
        "revision": revision,
        "what": presentation.naming(revision.subject, revision.label),
        "lines": changes,
        "error": error,
        "opts": Revision._meta,
        "title": _("Back to revision %s") % revision.pk,
    }
    return TemplateResponse(request, "admin/tuning/rollback.html", context)


def _saved(form: ParametersForm, request: HttpRequest) -> str:
    """Make or schedule the changes and return what to tell."""
    values, due_at = form.changes(), form.cleaned_data[DUE]
    who: dict[str, Any] = {"author_id": request.user.pk, "reason": form.cleaned_data[REASON]}
    if not values:
        return _("Nothing was changed.")
    if due_at:
        scheduling.schedule(values=values, due_at=due_at, **who)
        return _("Scheduled for %s UTC; until then nothing changes.") % f"{due_at:%Y-%m-%d %H:%M}"
    if services.change(values=values, **who) is None:
        return _("Nothing was changed.")
    return _("Saved: live in every process within a second.")


def _rows(form: ParametersForm) -> list[ParameterRow]:
    last = Revision.objects.last_of_each_parameter()
    return [
        ParameterRow(
            parameter=parameter,
            field=form[field_name(parameter)],
            live=presentation.shown(live.value(parameter.name), parameter.unit),
            default=presentation.shown(parameter.default, parameter.unit),
            is_changed=live.value(parameter.name) != parameter.default,
            last=last.get(parameter.name),
            refusal=form.refused.get(parameter.name, ""),
        )
        for parameter in registry.everything()
    ]


def _preview(revision: Revision, user_id: Any) -> list[presentation.Line]:
    would_be = history.preview(revision=revision, author_id=user_id)
    return presentation.lines(revision.subject, would_be.changed) if would_be else []
