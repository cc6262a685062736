"""How a refusal is put: what is used up, when it refills, whom to ask."""

from django.utils import formats, timezone
from django.utils.translation import gettext as _

from apps.billing.budgets.approvers import approver_names
from apps.billing.calendar import zone
from apps.billing.models import Budget
from apps.billing.types import Refusal
from apps.core.money import format_nanos


def refusal_text(refusal: Refusal) -> str:
    """Return why a call was refused, in sentences for the person it was made for (three queries)."""
    budget = Budget.objects.select_related("department", "user", "api_key").get(
        pk=refusal.budget_id
    )
    parts = [_used_up(refusal, budget), _amounts(refusal)]
    if refusal.refills_at is not None:
        moment = timezone.localtime(refusal.refills_at, zone())
        parts.append(
            _("It refills on %(moment)s.")
            % {"moment": formats.date_format(moment, "DATETIME_FORMAT")}
        )
    names = approver_names([budget])[budget.pk]
    if names:
        parts.append(_("To get more, ask %(names)s.") % {"names": _(" or ").join(names)})
    return " ".join(parts)


def _used_up(refusal: Refusal, budget: Budget) -> str:
    whose = {
        "key": _("The budget of the key “%(name)s”") % {"name": budget.api_key},
        "person": _("Your own budget"),
        "department": _("The budget of %(name)s") % {"name": budget.department},
        "everybody": _("Everybody's budget"),
    }[refusal.subject]
    span = {
        Budget.Period.DAY: _("for today"),
        Budget.Period.MONTH: _("for this month"),
        Budget.Period.TOTAL: _("in all"),
    }[refusal.period]
    values = {"whose": whose, "span": span}
    if refusal.is_soft and refusal.at_limit == Budget.AtLimit.CACHED_ONLY:
        return (
            _(
                "%(whose)s %(span)s is nearly used up: until then only questions answered before are answered."
            )
            % values
        )
    return _("%(whose)s %(span)s has no room for this question.") % values


def _amounts(refusal: Refusal) -> str:
    if refusal.subject == "everybody":
        # What the whole organisation spends is for its operators.
        return _("It could cost up to %(most)s.") % {"most": format_nanos(refusal.max_nanos)}
    return _("It could cost up to %(most)s; %(spent)s of %(limit)s are spent%(held)s.") % {
        "most": format_nanos(refusal.max_nanos),
        "spent": format_nanos(refusal.spent_nanos),
        "limit": format_nanos(refusal.limit_nanos),
        "held": _(" and %(held)s held for questions being answered")
        % {"held": format_nanos(refusal.reserved_nanos)}
        if refusal.reserved_nanos
        else "",
    }
