"""Values that pass between the steps of a reply."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self
from uuid import UUID

from apps.billing.types import CallContext
from apps.llm.types import ChatMessage, Choice

# Attempt numbers of a reply's provider calls: all carry its request id, and (request id, attempt) is unique.
# Embeddings may take several calls, numbered on from theirs.
ANSWER_ATTEMPT = 1
QUESTION_ATTEMPT = 100
SENTENCES_ATTEMPT = 200


@dataclass(frozen=True, slots=True)
class Place:
    """A numbered place in a document version that an answer may rest on; `text` is what the model was given."""

    number: int
    document_id: str
    version_id: str
    document_name: str
    page_number: int
    start_offset: int
    end_offset: int
    text: str


@dataclass(frozen=True, slots=True)
class Basis:
    """What an answer was made from: enough to finish it in another process.

    `grounding` is the model's ("SENTENCES", "PASSAGES"), or empty where no documents were given.
    """

    reason: str
    grounding: str = ""
    model_name: str = ""
    provider_name: str = ""
    places: Sequence[Place] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the value as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the value of `to_json`'s data; an empty dict gives an empty basis."""
        places = tuple(Place(**place) for place in data.get("places", ()))
        return cls(**{"reason": "", **data, "places": places})


@dataclass(frozen=True, slots=True)
class Ask:
    """A model call ready to be made."""

    choice: Choice
    messages: Sequence[ChatMessage]
    context: CallContext
    temperature: float | None = None
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A claimed reply and how to answer it: by asking a model, or with a text that stands already."""

    reply_id: UUID
    basis: Basis
    ask: Ask | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the streaming of a reply ended. `first_token_ms` and `total_ms` count from the question's arrival."""

    state: str
    text: str
    error_code: str = ""
    finish_reason: str = ""
    stages_ms: dict[str, float] | None = None
    first_token_ms: float | None = None
    total_ms: float | None = None
