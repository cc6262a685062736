"""Template tags of the design system: icons, form fields, amounts and moments. The markup lives in `templates/`."""

from datetime import datetime, timedelta
from functools import cache
from math import ceil
from typing import Any

from django import template
from django.forms import BoundField
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.core.context import current_request_id
from apps.core.money import format_nanos

ICON_SPRITE = "vendor/lucide-static@1.62.0/icons.svg"
MINUTE_SECONDS = 60
HOUR_SECONDS = 60 * MINUTE_SECONDS
DAY_SECONDS = 24 * HOUR_SECONDS
WEEK_SECONDS = 7 * DAY_SECONDS
MINUTES_SHOWN = 90

register = template.Library()


@cache
def _sprite_address() -> str:
    # Found once a process: a long conversation has a thousand icons.
    return static(ICON_SPRITE)


@register.simple_tag
def icon_sprite() -> str:
    """Return the address of the sprite, for scripts that build icons."""
    return _sprite_address()


@register.simple_tag
def icon(name: str, *, size: int = 16, label: str = "") -> SafeString:
    """Return one Lucide icon: an ornament beside its text, or named by `label` where it stands alone."""
    naming = (
        format_html('role="img" aria-label="{}"', label)
        if label
        else SafeString('aria-hidden="true"')
    )
    return format_html(
        '<svg class="icon" width="{0}" height="{0}" {1}><use href="{2}#{3}"></use></svg>',
        size,
        naming,
        _sprite_address(),
        name,
    )


@register.inclusion_tag("_field.html")
def field(
    bound: BoundField, *, label: str = "", hint: str = "", **attributes: Any
) -> dict[str, Any]:
    """Render a form field with its label, hint and errors; `attributes` go to the input, `_` standing for `-`."""
    widget = bound.field.widget
    kind = getattr(widget, "input_type", "")
    attrs = {name.replace("_", "-"): value for name, value in attributes.items() if value != ""}
    described_by = bound.aria_describedby or ""
    if hint and not bound.help_text:
        described_by = f"{bound.auto_id}_helptext {described_by}".strip()
    if described_by and not bound.use_fieldset:
        attrs["aria-describedby"] = described_by
    if kind not in {"checkbox", "radio"}:
        attrs = {"class": "input", "placeholder": "", **attrs}
    return {
        "field": bound,
        "label": label or bound.label,
        "widget": bound.as_widget(attrs=attrs),
        "hint": hint or bound.help_text,
        "is_check": kind == "checkbox" and not bound.use_fieldset,
        "is_group": bound.use_fieldset,
    }


@register.filter
def money(nanos: int | None) -> str:
    """Return an amount of nanos as people read it; a dash where there is none."""
    return "–" if nanos is None else format_nanos(nanos)


@register.filter
def span(length: timedelta) -> str:
    """Return a length of time in whole minutes or hours, rounded up: what is promised has then passed."""
    minutes = max(1, ceil(length.total_seconds() / MINUTE_SECONDS))
    if minutes < MINUTES_SHOWN:
        return ngettext("%(count)d minute", "%(count)d minutes", minutes) % {"count": minutes}
    hours = ceil(minutes * MINUTE_SECONDS / HOUR_SECONDS)
    return ngettext("%(count)d hour", "%(count)d hours", hours) % {"count": hours}


def _spoken(moment: datetime, *, now: datetime) -> str:
    """Return the moment relative to now within a week, its date otherwise."""
    seconds = (now - moment).total_seconds()
    if not 0 <= seconds < WEEK_SECONDS:
        local = timezone.localtime(moment)
        is_this_year = local.year == timezone.localtime(now).year
        return date_format(local, "j M" if is_this_year else "j M Y")
    if seconds < MINUTE_SECONDS:
        return _("just now")
    if seconds < HOUR_SECONDS:
        count = int(seconds // MINUTE_SECONDS)
        return ngettext("%(count)d minute ago", "%(count)d minutes ago", count) % {"count": count}
    if seconds < DAY_SECONDS:
        count = int(seconds // HOUR_SECONDS)
        return ngettext("%(count)d hour ago", "%(count)d hours ago", count) % {"count": count}
    count = int(seconds // DAY_SECONDS)
    return ngettext("%(count)d day ago", "%(count)d days ago", count) % {"count": count}


@register.filter
def when(moment: datetime | None) -> str | SafeString:
    """Return a `<time>`: relative within a week, with the absolute time and zone on hover."""
    if moment is None:
        return "–"
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{} {}">{}</time>',
        moment.isoformat(),
        date_format(local, "j F Y, H:i"),
        local.tzname(),
        _spoken(moment, now=timezone.now()),
    )


@register.simple_tag
def request_id() -> str:
    """Return the id under which the log knows this request; empty outside of any."""
    return str(current_request_id() or "")
