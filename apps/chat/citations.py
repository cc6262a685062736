"""Which sources an answer rests on, by the numbers a model wrote or by shared words, and where each leads."""

import re
from collections.abc import Collection, Sequence

from django.urls import reverse
from django.utils.http import urlencode

from apps.chat.prompts import Source

MARK = re.compile(r"[ \t]*\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\](?!\()")
# In code, [0] is an index and stays.
_CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]*`)", re.DOTALL)
_WORD = re.compile(r"[^\W_]{2,}|\d+")
_COMMON = frozenset(
    [
        "the",
        "a",
        "an",
        "of",
        "to",
        "in",
        "on",
        "at",
        "by",
        "for",
        "and",
        "or",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "it",
        "its",
        "this",
        "that",
        "these",
        "those",
        "with",
        "from",
        "as",
        "you",
        "your",
        "they",
        "their",
        "we",
        "our",
        "may",
        "must",
        "can",
        "will",
        "not",
        "no",
        "do",
        "does",
        "has",
        "have",
        "had",
        "which",
        "who",
        "when",
        "what",
        "how",
        "if",
        "than",
    ]
)


def settle_marks(text: str, numbers: Collection[int]) -> tuple[str, list[int]]:
    """Return the text with one mark a number and those that name no source removed, and the numbers cited.

    "[1, 3]" becomes "[1][3]"; numbers come in the order of their first mention.
    """
    cited: list[int] = []

    def replace(match: re.Match[str]) -> str:
        found = [int(number) for number in re.split(r"\s*[,;]\s*", match.group(1))]
        known = [number for number in dict.fromkeys(found) if number in numbers]
        cited.extend(number for number in known if number not in cited)
        if not known:
            return ""
        return (" " if match.group(0)[0] in " \t" else "") + "".join(
            f"[{number}]" for number in known
        )

    pieces = _CODE.split(text)
    return "".join(
        piece if index % 2 else MARK.sub(replace, piece) for index, piece in enumerate(pieces)
    ), cited


def _words(text: str) -> set[str]:
    return {word for word in _WORD.findall(text.lower()) if word not in _COMMON}


def supporting_numbers(answer: str, sources: Sequence[Source]) -> list[int]:
    """Return the numbers of the sources whose words the answer shares: the best, and those half as good or better."""
    words = _words(answer)
    shares = {source.number: len(words & _words(source.text)) for source in sources}
    best = max(shares.values(), default=0)
    if best == 0:
        return [source.number for source in sources[:1]]
    return [source.number for source in sources if shares[source.number] * 2 > best]


def with_marks(answer: str, numbers: Sequence[int]) -> str:
    """Return the answer with the marks at its end."""
    marks = "".join(f"[{number}]" for number in numbers)
    return f"{answer.rstrip()} {marks}" if marks else answer


def place_url(document_id: str, version_id: str, start: int, end: int) -> str:
    """Return the address of a document's page with the place marked."""
    query = urlencode([("version", version_id), ("start", start), ("end", end)])
    return f"{reverse('documents:detail', args=[document_id])}?{query}#passage"
