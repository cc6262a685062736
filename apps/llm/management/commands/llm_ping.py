"""`manage.py llm_ping`: ask each model that is on for a word, and say what it took and cost."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from apps.accounts.models import Department
from apps.core.money import format_nanos
from apps.llm.ping import PingResult, ping


class Command(BaseCommand):
    help = "Call every model that is on and show latency, first token, usage, cost and error kind; fails if one fails."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("provider", nargs="?", help="code of the one provider to check")
        parser.add_argument(
            "--department", help="code of the department that pays; the first by code if left out"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        results = ping(
            provider_code=options["provider"], department_id=_payer(options["department"]).pk
        )
        if not results:
            raise CommandError(_("No model is on."))
        if options["json"]:
            self.stdout.write(json.dumps([asdict(result) for result in results]))
        else:
            for result in results:
                self.stdout.write(_line(result))
        failed_count = sum(not result.is_ok for result in results)
        if failed_count:
            raise CommandError(
                _("Models that did not answer: %(count)d.") % {"count": failed_count}
            )


def _payer(code: str | None) -> Department:
    departments = Department.objects.order_by("code")
    department = (departments.filter(code=code) if code else departments).first()
    if department is None:
        raise CommandError(_("There is no such department to pay for the calls."))
    return department


def _line(result: PingResult) -> str:
    name = f"{result.provider_code}/{result.model_code}"
    if not result.is_ok:
        return f"{name:<48} {result.error_code}: {result.error}"
    first = "-" if result.first_token_ms is None else f"{result.first_token_ms:.0f} ms"
    return f"{name:<48} {result.latency_ms:>6.0f} ms  " + _(
        "first token %(first)s  in %(input)d  out %(output)d  %(cost)s"
    ) % {
        "first": first,
        "input": result.input_tokens,
        "output": result.output_tokens,
        "cost": format_nanos(result.amount_nanos),
    }
