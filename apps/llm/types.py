"""Values that cross llm's border."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from apps.billing.types import Settled


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a prompt."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A model chosen for a purpose, with all a call needs, and why it was chosen (shown on the receipt)."""

    llm_model_id: UUID
    provider_code: str
    provider_name: str
    base_url: str
    secret: str
    connect_timeout_seconds: float
    read_timeout_seconds: float
    model_code: str
    model_name: str
    grounding: str
    context_tokens: int
    max_output_tokens: int
    dimensions: int | None
    reason: str

    def __repr__(self) -> str:
        return f"Choice({self.provider_code}/{self.model_code})"


@dataclass(frozen=True, slots=True)
class RoutedModel:
    """The model that serves a use now; whether a route before its own is off."""

    choice: Choice
    is_first: bool


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a streamed answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Instead:
    """That another model answers than the one chosen, or the same for another reason; comes before any token."""

    choice: Choice


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a streamed answer; always last, also when it was cut at the output cap (`finish_reason` "length")."""

    finish_reason: str
    settled: Settled


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer."""

    text: str
    finish_reason: str
    settled: Settled


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors of some texts, in their order: float32, shape (text count, dimensions), unit length."""

    vectors: NDArray[np.float32]
    settled: Sequence[Settled]
