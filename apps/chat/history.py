"""What was said before a question: the branch above it, cut to what the live budget and the model allow."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from django.db.models.functions import Length

from apps.caching import store
from apps.chat import prompts
from apps.chat.cache import CONTEXT
from apps.chat.models import Message
from apps.core.stages import stage
from apps.llm.types import ChatMessage, Choice
from apps.tuning import live as tuning


def before(reply: Message) -> Sequence[prompts.Turn]:
    """Return the branch before the question, oldest first, as much as the live budget allows."""
    last_id = reply.parent.parent_id if reply.parent else None
    if last_id is None:
        return ()
    budget = tuning.integer("chat.history_tokens")
    with stage("history"):
        # All of it is finished: nobody can ask on below an answer that is still being written.
        return store.get_or_compute(
            CONTEXT,
            (last_id, budget),
            partial(_read, reply.conversation_id, last_id, budget),
        )


def _read(conversation_id: UUID, last_id: UUID, budget_tokens: int) -> tuple[prompts.Turn, ...]:
    rows = {
        pk: (parent_id, length)
        for pk, parent_id, length in Message.objects.filter(conversation_id=conversation_id)
        .annotate(length=Length("content"))
        .values_list("pk", "parent_id", "length")
    }
    branch: list[UUID] = []
    step: UUID | None = last_id
    while step is not None:
        branch.append(step)
        step = rows[step][0]
    branch.reverse()
    lengths = [rows[pk][1] for pk in branch]
    kept = branch[prompts.window_start(lengths, budget_tokens=budget_tokens) :]
    # The question before this one is kept for the search, whatever the budget.
    wanted = {*kept, *branch[-2:]}
    texts = {
        pk: prompts.Turn(role, content)
        for pk, role, content in Message.objects.filter(pk__in=wanted).values_list(
            "pk", "role", "content"
        )
    }
    return tuple(texts[pk] for pk in branch if pk in texts)


def fitting(turns: Sequence[prompts.Turn], choice: Choice) -> list[ChatMessage]:
    """Return the history that fits beside sources and answer: at most a third of the model's context."""
    budget = min(tuning.integer("chat.history_tokens"), choice.context_tokens // 3)
    start = prompts.window_start([len(turn.content) for turn in turns], budget_tokens=budget)
    return prompts.history_messages(turns[start:])
