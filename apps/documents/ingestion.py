"""The work of an ingestion run: extract, split, embed, index. Every step may be cut off anywhere and done again.

1. EXTRACT  read the file in a child process; its pages replace whatever pages the version had.
2. SPLIT    passages from the pages; they replace whatever passages the version had.
3. EMBED    vectors for passages that have none: copied where equal text has one, else asked for, batch by batch.
4. INDEX    the lexical index; then, in one transaction, the new version serves and the old one's passages go.

Each result is committed together with the step's end or its progress, by the worker that holds the run.
"""

import hashlib
import logging
from collections.abc import Callable
from typing import Final
from uuid import UUID

from django.db import transaction

from apps.accounts.services import bump_generation
from apps.billing.errors import BudgetExceededError
from apps.core.context import request_context
from apps.core.stages import stage
from apps.documents import lexical, reasons, runs
from apps.documents.embedding import embed_version
from apps.documents.extraction import extract
from apps.documents.models import Document, DocumentVersion, IngestRun, Page, Passage
from apps.documents.parsing.kinds import kind_of_content_type
from apps.documents.parsing.types import RefusedError
from apps.documents.serving import serve_version
from apps.documents.splitting import PAGE_SEPARATOR, PageText, join_pages, split_passages
from apps.documents.storage import open_original
from apps.llm.errors import (
    CallRepeatedError,
    LLMError,
    NoModelError,
    OverloadedError,
    RetryableError,
)
from apps.llm.tokens import count_embedding_tokens

logger = logging.getLogger(__name__)

ROWS_A_STATEMENT: Final = 500

Step = IngestRun.Step
Watch = Callable[[str], None]


def run(run_id: UUID, *, on_step: Watch = lambda _label: None) -> None:
    """Work on a run to its end, from the step it stands at; nothing if another worker has it.

    `on_step` is told where the work is, for whoever wants to watch it or cut it off there.
    """
    claimed = runs.claim(run_id)
    if claimed is None:
        return
    with request_context(claimed.pk):
        try:
            _work(claimed, on_step)
        except runs.LostRunError:
            logger.info("An ingestion run was taken over or deleted", extra={"run_id": str(run_id)})
        except RefusedError as refused:
            runs.fail(claimed, refused.code, refused.detail)
        except FileNotFoundError as error:
            runs.fail(claimed, reasons.MISSING_FILE, str(error))
        except BudgetExceededError as error:
            runs.wait_for_budget(claimed, refills_at=error.refusal.refills_at)
        except NoModelError as error:
            runs.fail(claimed, reasons.NO_EMBEDDING_MODEL, str(error))
        except (RetryableError, CallRepeatedError) as error:
            # Repeated: made before a budget stopped this attempt, whose number came again; the next one has its own.
            wait = error.retry_after_seconds if isinstance(error, OverloadedError) else None
            runs.put_back(claimed, reasons.EMBEDDING_FAILED, str(error), after_seconds=wait)
        except LLMError as error:
            runs.fail(claimed, reasons.EMBEDDING_FAILED, str(error))
        except Exception as error:
            # The next attempt may meet a database that is back; the trace tells operators in any case.
            logger.exception("An ingestion run failed", extra={"run_id": str(run_id)})
            runs.put_back(claimed, reasons.INTERNAL, repr(error))


def _work(claimed: IngestRun, on_step: Watch) -> None:
    steps: dict[str, Callable[[IngestRun, Watch], None]] = {
        Step.EXTRACT: _extract,
        Step.SPLIT: _split,
        Step.EMBED: _embed,
        Step.INDEX: _index,
    }
    for name in list(steps)[list(steps).index(claimed.step) :]:
        on_step(f"{name} begins")
        with stage(f"ingest_{name.lower()}"):
            steps[name](claimed, on_step)
        on_step(f"{name} done")


def _extract(claimed: IngestRun, _on_step: Watch) -> None:
    document = claimed.document
    kind = kind_of_content_type(document.content_type)
    with open_original(document.sha256) as file:
        parsed = extract(file, kind.code, on_beat=lambda: runs.keep(claimed))
    pages = join_pages([(page.number, page.text) for page in parsed.pages])
    with transaction.atomic():
        runs.enter(claimed, Step.SPLIT)
        version = DocumentVersion.objects.filter(pk=claimed.version_id)
        Page.objects.filter(version_id=claimed.version_id).delete()
        Page.objects.bulk_create(
            [
                Page(
                    version_id=claimed.version_id,
                    number=page.number,
                    start_offset=page.start_offset,
                    text=page.text,
                )
                for page in pages
            ],
            batch_size=ROWS_A_STATEMENT,
        )
        version.update(
            page_count=len(pages), character_count=pages[-1].start_offset + len(pages[-1].text)
        )
        Document.objects.filter(pk=document.pk).update(metadata=parsed.metadata)


def _split(claimed: IngestRun, _on_step: Watch) -> None:
    pages = [
        PageText(page.number, page.start_offset, page.text)
        for page in Page.objects.filter(version_id=claimed.version_id).order_by("number")
    ]
    spans = split_passages(pages, count_tokens=count_embedding_tokens)
    text = PAGE_SEPARATOR.join(page.text for page in pages)
    with transaction.atomic():
        runs.enter(claimed, Step.EMBED, total_count=len(spans), done_count=0, step_start_count=0)
        # Locked, for a change of visibility would miss passages not yet committed.
        document = Document.objects.select_for_update().get(pk=claimed.document_id)
        Passage.objects.filter(version_id=claimed.version_id).delete()
        Passage.objects.bulk_create(
            [
                Passage(
                    version_id=claimed.version_id,
                    audience_id=document.audience_id,
                    ordinal=ordinal,
                    page_number=span.page_number,
                    start_offset=span.start_offset,
                    end_offset=span.end_offset,
                    text=text[span.start_offset : span.end_offset],
                    content_hash=hashlib.sha256(
                        text[span.start_offset : span.end_offset].encode()
                    ).digest(),
                )
                for ordinal, span in enumerate(spans)
            ],
            batch_size=ROWS_A_STATEMENT,
        )


def _embed(claimed: IngestRun, on_step: Watch) -> None:
    embed_version(claimed, on_batch=lambda: on_step("EMBED batch"))
    runs.enter(claimed, Step.INDEX)


def _index(claimed: IngestRun, on_step: Watch) -> None:
    lexical.index_version(claimed.version_id)
    on_step("INDEX written")
    with transaction.atomic():
        runs.finish(claimed)
        # Locked against a change of visibility, which must find all passages or none of the switch.
        document = (
            Document.objects.select_for_update(of=("self",))
            .select_related("audience")
            .get(pk=claimed.document_id)
        )
        serve_version(document, claimed.version_id)
        bump_generation(document.audience)
