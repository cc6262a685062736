"""What a parser returns, and how it says no."""

from dataclasses import dataclass, field
from enum import StrEnum


class Refusal(StrEnum):
    """Why a file is not taken; `apps.documents.reasons` has the words for people."""

    ENCRYPTED = "encrypted"
    DAMAGED = "damaged"
    EMPTY = "empty"
    NO_TEXT = "no_text"
    TOO_LARGE = "too_large"
    TOO_MUCH_TEXT = "too_much_text"
    WRONG_TYPE = "wrong_type"
    UNSUPPORTED = "unsupported"
    BOMB = "bomb"
    BAD_NAME = "bad_name"
    TOO_SLOW = "too_slow"


class RefusedError(Exception):
    """The file cannot be taken, for the reason `code`; trying again would not help."""

    def __init__(self, code: Refusal, detail: str = "") -> None:
        super().__init__(code.value)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class ParsedPage:
    """The text of one page, slide or sheet; numbers count from 1 and may skip empty ones."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """All pages with text, in order, and what the file says of itself (title, author …)."""

    pages: list[ParsedPage]
    metadata: dict[str, str] = field(default_factory=dict)
