"""Values that pass between the steps of a reply."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from apps.accounts.access import Scope
from apps.billing.types import CallContext
from apps.llm.types import ChatMessage, Choice

# Attempt numbers of a reply's provider calls: all carry its request id, and (request id, attempt) is unique.
# Embeddings may take several calls, numbered on from theirs; how a call made again is numbered, llm's `attempts` says.
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
class AnswerKey:
    """The name of a kept answer: hashes of who may have it, of how it was made, and of the question."""

    scope: str
    context: str
    question: str

    def as_tuple(self) -> tuple[str, str, str]:
        """Return the parts in the order of the keyspace's fields."""
        return self.scope, self.context, self.question


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """A whole answer as it is kept for later askers, with what it took.

    `places` are those it cites, without their texts. `grounds` names the document and version of every passage the
    model was given: each must stand, and be readable, for the answer to be given again. `entry_id` is the entry's row;
    amounts are nanos, `made_at` is a moment in ISO format.
    """

    entry_id: str
    text: str
    places: Sequence[Place]
    grounds: Sequence[tuple[str, str]]
    model_name: str
    provider_name: str
    source_count: int
    amount_nanos: int
    total_ms: float
    made_at: str

    def to_json(self) -> dict[str, Any]:
        """Return the value as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the value of `to_json`'s data."""
        places = tuple(Place(**place) for place in data["places"])
        grounds = tuple((str(document), str(version)) for document, version in data["grounds"])
        return cls(**{**data, "places": places, "grounds": grounds})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kept answer to a question near this one, found but not given: `is_shadow` where it could have been."""

    entry_id: UUID
    key: AnswerKey
    answer: KeptAnswer
    similarity: float
    is_shadow: bool = False


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is needed to keep a reply's answer once it is whole: its key, and the scope read before its search.

    `vector` is the question's, of unit length, by the embedding model `llm_model_id`; None where a sign in the question
    forbids that answers like it be shared.
    """

    key: AnswerKey
    scope: Scope
    question: str
    vector: NDArray[np.float32] | None = None
    llm_model_id: UUID | None = None
    candidate: Candidate | None = None


@dataclass(frozen=True, slots=True)
class Basis:
    """What an answer was made from: enough to finish it in another process.

    `grounding` is the model's ("SENTENCES", "PASSAGES"), or empty where no documents were given. `keeping` stays in the
    process: an answer that another one has to finish is not kept.
    """

    reason: str
    grounding: str = ""
    model_name: str = ""
    provider_name: str = ""
    places: Sequence[Place] = ()
    keeping: Keeping | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the value as JSON holds it."""
        data = asdict(replace(self, keeping=None))
        del data["keeping"]
        return data

    def by(self, choice: Choice, *, is_other: bool) -> Self:
        """Return the basis of an answer by this model instead of the one it was prepared for.

        Another model's answer is not kept: its key names the one prepared for.
        """
        return replace(
            self,
            reason=choice.reason,
            grounding=self.grounding and choice.grounding,
            model_name=choice.model_name,
            provider_name=choice.provider_name,
            keeping=None if is_other else self.keeping,
        )

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
    """How the streaming of a reply ended. `first_token_ms` and `total_ms` count from the question's arrival.

    `refusal` is what a budget's refusal leaves on the receipt.
    """

    state: str
    text: str
    error_code: str = ""
    finish_reason: str = ""
    stages_ms: dict[str, float] | None = None
    first_token_ms: float | None = None
    total_ms: float | None = None
    refusal: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class PriceSample:
    """What one answered question took, in tokens, and how long it was; nothing of what was said.

    `is_searched`: documents were looked through, whether a model was asked after that or not.
    """

    is_follow_up: bool
    is_searched: bool
    question_characters: int
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    embedding_tokens: int
