"""HTML, by kreuzberg: the text a reader of the page would see."""

from kreuzberg import ExtractionConfig, KreuzbergError, extract_bytes_sync

from apps.documents.parsing.lines import clean
from apps.documents.parsing.office import describe
from apps.documents.parsing.plain import decode
from apps.documents.parsing.types import Parsed, ParsedPage, Refusal, RefusedError


def parse(content: bytes, _kind: str) -> Parsed:
    """Return the page's text without its scripts and styles."""
    try:
        result = extract_bytes_sync(
            decode(content).encode(errors="ignore"),
            "text/html",
            ExtractionConfig(use_cache=False, enable_quality_processing=False),
        )
    except KreuzbergError as error:
        raise RefusedError(Refusal.DAMAGED, str(error)) from error
    return Parsed([ParsedPage(1, clean(result.content))], describe(result.metadata))
