"""Search on Cranfield with the embedded embedder must beat a plain run of the same parts. Run by `make bench`."""

import json
import os
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from apps.accounts.models import Department
from apps.llm.registration import register_embedded
from project.supervisor.data_folder import REPOSITORY
from tests.conftest import EmbeddedModels

pytestmark = [pytest.mark.benchmark, pytest.mark.django_db(transaction=True)]

CRANFIELD = Path(
    os.environ.get("PARLEY_CRANFIELD", REPOSITORY.parent / "shared" / "data" / "cranfield")
)
# BM25 and MiniLM fused by standardised scores (0.6 vectors), measured outside PostgreSQL.
PLAIN_RUN = {"ndcg_at_10": 0.413, "recall_at_100": 0.797, "average_precision": 0.354}


@pytest.mark.skipif(
    not CRANFIELD.is_dir(),
    reason=f"the Cranfield collection is not at {CRANFIELD} (PARLEY_CRANFIELD)",
)
def test_search_beats_the_plain_run_on_cranfield(
    department: Department, embedded_models: EmbeddedModels, capsys: pytest.CaptureFixture[str]
) -> None:
    register_embedded(
        chat_url=embedded_models.chat_url,
        embedding_url=embedded_models.embedding_url,
        key=embedded_models.api_key,
    )
    output = StringIO()
    call_command("documents_evaluate", collection=CRANFIELD, json=True, stdout=output)
    figures = json.loads(output.getvalue())
    with capsys.disabled():
        print("\n" + json.dumps(figures, indent=1))  # noqa: T201 - a benchmark reports
    for name, value in PLAIN_RUN.items():
        assert figures["shipped"][name] > value
