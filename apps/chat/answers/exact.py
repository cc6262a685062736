"""The exact answer cache: the same first question, asked by somebody of the same scope."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.accounts.access import Scope, cached_scope_of
from apps.accounts.models import User
from apps.caching import policies, store
from apps.chat import intent
from apps.chat.answers.key import answer_key, context_hash, normalised
from apps.chat.cache import ANSWER
from apps.chat.models import Conversation, Message
from apps.chat.types import AnswerKey, KeptAnswer
from apps.llm import services as llm
from apps.llm.errors import NoModelError
from apps.llm.models import Route


@dataclass(frozen=True, slots=True)
class Hit:
    """A kept answer that may serve a question; whether it does is decided in the transaction that stores it."""

    key: AnswerKey
    scope: Scope
    answer: KeptAnswer


def find(
    *, user: User, question: str, sources: str, document_ids: Sequence[UUID] = ()
) -> Hit | None:
    """Return the kept answer to a first question; no query where the caches are warm. Not inside a transaction.

    Questions that ask no documents are not looked for: the model's own words are not worth sharing, and no scope
    would say with whom.
    """
    if sources == Conversation.Sources.NONE or intent.small_talk(question) is not None:
        return None
    if not policies.of(ANSWER).is_enabled:
        return None
    try:
        context = context_hash(llm.choose(Route.Use.ANSWER))
    except NoModelError:
        return None
    scope = cached_scope_of(user)
    chosen = document_ids if sources == Conversation.Sources.CHOSEN else None
    key = answer_key(pairs=scope.pairs, document_ids=chosen, question=question, context=context)
    answer = store.peek(ANSWER, key.as_tuple())
    return None if isinstance(answer, store.Missing) else Hit(key, scope, answer)


def asks_again(conversation: Conversation, question: str, *, but: UUID | None = None) -> bool:
    """Say whether a first question stands in the conversation already: whoever asks it again wants another answer."""
    asked = Message.objects.filter(
        conversation=conversation, parent__isnull=True, role=Message.Role.USER
    )
    if but is not None:
        asked = asked.exclude(pk=but)
    return normalised(question) in {
        normalised(text) for text in asked.values_list("content", flat=True)
    }
