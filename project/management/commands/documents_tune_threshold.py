"""`manage.py documents_tune_threshold`: what each threshold of refusal does to the gold questions."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from project.demo import loader
from project.demo.threshold import Asked, Outcome, ask_all, best, outcomes


class Command(BaseCommand):
    help = (
        "Ask the gold questions of the demo documents, and show for each chat.answer_similarity_threshold how many are "
        "given their answer and how many without one are refused: on the half to tune on, and on the half held out."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        missing = loader.missing()
        if missing.person_count or missing.document_count:
            raise CommandError(
                "The demo is not loaded: run `manage.py demo` and let the worker read it."
            )
        asked = ask_all()
        tuned = outcomes([one for one in asked if not one.question.is_held_out])
        held_out = outcomes([one for one in asked if one.question.is_held_out])
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        "best": best(tuned),
                        "passage_found_ratio": _found_ratio(asked),
                        "tuned": [asdict(result) for result in tuned],
                        "held_out": [asdict(result) for result in held_out],
                    }
                )
            )
        else:
            self.stdout.write(_table(asked, tuned, held_out))


def _found_ratio(asked: Sequence[Asked]) -> float:
    answerable = [one for one in asked if one.question.answer_sentence]
    return sum(one.is_passage_found for one in answerable) / len(answerable)


def _table(asked: Sequence[Asked], tuned: Sequence[Outcome], held_out: Sequence[Outcome]) -> str:
    lines = [
        f"{len(asked)} questions; the passage with the answer was found for {_found_ratio(asked):.1%} of those that have one",
        "threshold   tuned: answered  refused  mean   held out: answered  refused  mean",
    ]
    lines += [
        f"{one.threshold:>9.2f}{one.answered_ratio:>18.3f}{one.refused_ratio:>9.3f}{one.score:>6.3f}"
        f"{other.answered_ratio:>21.3f}{other.refused_ratio:>9.3f}{other.score:>6.3f}"
        for one, other in zip(tuned, held_out, strict=True)
    ]
    lines.append(f"best on the tuned half: {best(tuned):.2f}")
    return "\n".join(lines)
