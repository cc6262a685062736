"""`manage.py documents_evaluate`: measure search on a judged collection, and keep the figures for the admin."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from numpy.typing import NDArray

from apps.accounts.models import Department
from apps.billing.models import Purpose
from apps.billing.types import CallContext
from apps.core.ids import uuid7
from apps.documents.evaluation import ARMS, evaluate
from apps.documents.judged import UnreadableCollectionError, read_collection
from apps.documents.measures import MEASURES
from apps.documents.models import EvaluationRun
from apps.documents.retrieval import Ranking
from apps.llm import services as llm
from apps.llm.models import Route
from apps.llm.types import Choice


class Command(BaseCommand):
    help = (
        "Measure search by text, by vectors and by both on a judged collection. "
        "Nobody's documents take part, and nothing of the collection stays."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--collection",
            type=Path,
            required=True,
            help="folder with Cranfield's files, or with documents.jsonl, questions.jsonl and judgements.jsonl",
        )
        parser.add_argument(
            "--department", help="code of the department that pays; the first by code if left out"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            collection = read_collection(options["collection"])
        except UnreadableCollectionError as error:
            raise CommandError(str(error)) from error
        choice = llm.choose(Route.Use.EMBEDDING)
        department_id = _payer(options["department"])
        run = evaluate(
            collection,
            choice=choice,
            embed=partial(_embed, choice=choice, department_id=department_id),
            ranking=Ranking.live(),
        )
        if options["json"]:
            self.stdout.write(
                json.dumps({"id": run.pk, "collection": run.collection, **run.figures})
            )
        else:
            self.stdout.write(_table(run))


def _payer(code: str | None) -> UUID:
    departments = Department.objects.order_by("code")
    department = (departments.filter(code=code) if code else departments).first()
    if department is None:
        raise CommandError(_("There is no such department to pay for the calls."))
    return department.pk


def _embed(texts: Sequence[str], *, choice: Choice, department_id: UUID) -> NDArray[np.float32]:
    context = CallContext(
        request_id=uuid7(),
        department_id=department_id,
        purpose=Purpose.EVALUATION,
        product="evaluation",
    )
    return llm.embed(texts=texts, context=context, choice=choice).vectors


def _table(run: EvaluationRun) -> str:
    head = _(
        "%(collection)s: %(documents)d documents, %(passages)d passages, %(questions)d questions"
    ) % {
        "collection": run.collection,
        "documents": run.document_count,
        "passages": run.passage_count,
        "questions": run.question_count,
    }
    columns = "".join(f"{name:>19}" for name in MEASURES)
    rows = [
        f"{arm:<10}" + "".join(f"{run.figures[arm][name]:>19.3f}" for name in MEASURES)
        for arm in ARMS
    ]
    time = _("a search as shipped: p50 %(p50).1f ms, p95 %(p95).1f ms") % {
        "p50": run.figures["shipped"]["p50_ms"],
        "p95": run.figures["shipped"]["p95_ms"],
    }
    return "\n".join([head, " " * 10 + columns, *rows, time])
