"""Evaluation measures what the books say, and leaves nothing behind."""

import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Department, User
from apps.billing.models import UsageRecord
from apps.documents.judged import UnreadableCollectionError, read_collection
from apps.documents.measures import chance_of_difference, measure
from apps.documents.models import Document, EvaluationRun, Passage, Posting, Term
from apps.llm.models import Route
from tests.factories.documents import served
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider


def test_measures_of_a_ranking_worked_by_hand() -> None:
    ndcg, recall_10, recall_100, average_precision = measure(
        ["x", "a", "y", "b"], {"a": 3, "b": 1, "c": 2}
    )
    assert ndcg == pytest.approx((3 / 1.58496 + 1 / 2.32193) / (3 + 2 / 1.58496 + 1 / 2), abs=1e-4)
    assert recall_10 == recall_100 == pytest.approx(2 / 3)
    assert average_precision == pytest.approx((1 / 2 + 2 / 4) / 3)


def test_a_perfect_ranking_measures_one() -> None:
    assert measure(["a", "b"], {"a": 2, "b": 1}) == (1, 1, 1, 1)


def test_chance_explains_no_constant_difference_and_every_absent_one() -> None:
    values = np.linspace(0, 1, 20)
    assert chance_of_difference(values + 0.1, values) < 0.001
    assert chance_of_difference(values, values) == 1


def test_cranfield_is_read_with_its_grades_turned_into_gains(tmp_path: Path) -> None:
    (tmp_path / "cran.all.1400").write_text(
        ".I 1\n.T\nwings in\na slipstream .\n.A\nbrenckman,m.\n.W\nwings in\na slipstream .\n lift .\n.I 2\n.T\n.W\n"
    )
    (tmp_path / "cran.qry").write_text(
        ".I 001\n.W\nwhat lift\nis there .\n.I 004\n.W\nand drag .\n"
    )
    (tmp_path / "cranqrel").write_text("1 1 1\n1 2 4\n\n2 1 -1\n2 2 2 \n")
    collection = read_collection(tmp_path)
    assert collection.documents["1"] == "wings in a slipstream .\n\nwings in a slipstream . lift ."
    assert collection.questions == {"1": "what lift is there .", "2": "and drag ."}
    assert collection.gains == {"1": {"1": 4, "2": 1}, "2": {"2": 3}}


def test_a_folder_without_a_collection_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableCollectionError, match=r"judgements\.jsonl"):
        read_collection(tmp_path)


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Three documents, two questions."""
    texts = {
        "leave": "Annual leave is 28 days.",
        "travel": "A hotel may cost 185 pounds.",
        "pump": "The compressor of the pump is quiet.",
    }
    write(tmp_path / "documents.jsonl", [{"id": key, "text": text} for key, text in texts.items()])
    write(
        tmp_path / "questions.jsonl",
        [{"id": 1, "text": "annual leave"}, {"id": 2, "text": "quiet compressor"}],
    )
    write(
        tmp_path / "judgements.jsonl",
        [
            {"question": 1, "document": "leave", "gain": 2},
            {"question": 2, "document": "pump", "gain": 1},
            {"question": 2, "document": "travel", "gain": 0},
        ],
    )
    return tmp_path


def write(path: Path, rows: Sequence[dict[str, object]]) -> None:
    path.write_text("\n".join(json.dumps(row) for row in rows))


@pytest.mark.django_db(transaction=True)
def test_an_evaluation_keeps_its_figures_and_nothing_else(
    owner: User,
    admin_user: User,
    department: Department,
    collection: Path,
    fake_provider: FakeProvider,
) -> None:
    route_to(fake_provider, Route.Use.EMBEDDING)
    served(owner, "Annual leave is 28 days and may be carried over.")
    before = [
        list(model.objects.order_by("pk").values_list()) for model in (Document, Passage, Term)
    ]
    postings = Posting.objects.count()
    output = StringIO()

    call_command("documents_evaluate", collection=collection, json=True, stdout=output)

    run = EvaluationRun.objects.get()
    assert (run.document_count, run.question_count) == (3, 2)
    assert run.figures["text"]["ndcg_at_10"] == run.figures["text"]["average_precision"] == 1
    assert json.loads(output.getvalue())["text"]["recall_at_10"] == 1
    after = [
        list(model.objects.order_by("pk").values_list()) for model in (Document, Passage, Term)
    ]
    assert after == before
    assert Posting.objects.count() == postings
    assert set(UsageRecord.objects.values_list("purpose", "department_id")) == {
        ("EVALUATION", department.pk)
    }

    client = Client()
    client.force_login(admin_user)
    page = client.get(reverse("admin:documents_evaluationrun_changelist"))
    assert page.status_code == 200
    assert collection.name in page.content.decode()


@pytest.mark.django_db
def test_an_evaluation_needs_a_collection(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"cran\.all\.1400"):
        call_command("documents_evaluate", collection=tmp_path)
