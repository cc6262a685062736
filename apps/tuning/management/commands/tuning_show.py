"""`manage.py tuning_show`: the parameters with their live values, or all about some of them."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.tuning import live, presentation, registry
from apps.tuning.models import Revision
from apps.tuning.registry import Parameter


class Command(BaseCommand):
    help = "Show the parameters: what they are now, their default, bounds and last change."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "name",
            nargs="?",
            default="*",
            help="a parameter, or a pattern like 'documents.*' in quotes; without it, all",
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        found = registry.matching(options["name"])
        if not found:
            raise CommandError(
                f"No parameter is called {options['name']}. `manage.py tuning_show` without a name lists all; "
                "a pattern needs quotes: 'documents.*'."
            )
        live.forget()
        last = Revision.objects.last_of_each_parameter()
        if options["json"]:
            facts = [_facts(parameter, last.get(parameter.name)) for parameter in found]
            self.stdout.write(json.dumps(facts, ensure_ascii=False))
        elif len(found) == 1:
            self.stdout.write(_about(found[0], last.get(found[0].name)))
        else:
            self.stdout.write("\n".join(_line(parameter) for parameter in found))


def _facts(parameter: Parameter, last: Revision | None) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "value": live.value(parameter.name),
        "default": parameter.default,
        "minimum": parameter.minimum,
        "maximum": parameter.maximum,
        "choices": list(parameter.choices),
        "unit": parameter.unit,
        "help": parameter.help_text,
        "moves": parameter.moves,
        "last_change": last
        and {
            "revision": last.pk,
            "at": last.created_at.isoformat(),
            "author": last.author and str(last.author),
            "reason": last.reason,
        },
    }


def _line(parameter: Parameter) -> str:
    value = live.value(parameter.name)
    mark = "*" if value != parameter.default else " "
    return f"{mark} {parameter.name:<44}{presentation.shown(value, parameter.unit)}"


def _about(parameter: Parameter, last: Revision | None) -> str:
    bounds = ", ".join(parameter.choices) or "-"
    if parameter.minimum is not None:
        low, high = presentation.shown(parameter.minimum), presentation.shown(parameter.maximum)
        bounds = f"{low} to {high}"
    changed = "never"
    if last:
        who = last.author or "a command"
        changed = f"{last.created_at:%Y-%m-%d %H:%M} UTC by {who}, revision {last.pk}"
        changed += f": {last.reason}" if last.reason else ""
    facts = {
        "now": presentation.shown(live.value(parameter.name), parameter.unit),
        "default": presentation.shown(parameter.default, parameter.unit),
        "bounds": bounds,
        "moves": parameter.moves,
        "changed": changed,
    }
    lines = [f"  {name:<9}{fact}" for name, fact in facts.items()]
    return "\n".join([parameter.name, f"  {parameter.help_text}", *lines])
