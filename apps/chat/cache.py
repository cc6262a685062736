"""The keyspaces of chat."""

from dataclasses import astuple
from typing import Any
from uuid import UUID

from apps.caching import store
from apps.caching.keyspaces import Keyspace, Sharing, register
from apps.chat.listing import ConversationPage
from apps.chat.prompts import Turn
from apps.chat.tree import Tree
from apps.chat.types import KeptAnswer, PriceSample


def _saved_nanos(answer: KeptAnswer) -> int:
    return answer.amount_nanos


ANSWER: Keyspace[KeptAnswer] = register(
    Keyspace(
        name="chat:answer:1",
        key_fields=("scope_hash", "context_hash", "question_hash"),
        help_text="Whole answers to first questions, for the same question of somebody who reads the same documents.",
        fresh_by="The key names every audience's generation, which PostgreSQL confirms in the transaction that stores the "
        "answer; a thumbs-down removes it at once, and triggers on the entries repeat that.",
        shared_by=Sharing.AUDIENCES,
        ttl_seconds=1800,
        dump=KeptAnswer.to_json,
        load=KeptAnswer.from_json,
        cost_nanos=_saved_nanos,
    )
)
# Its values are rows of PostgreSQL, where one query compares the vectors and the versions of the passages behind each
# answer. The keyspace holds its policy (on, lifetime, purge) and its log. A day, not half an hour: what is old is found
# out by those versions, not by age, and what an entry may answer is learned from labels that take hours to gather.
ANSWER_SEMANTIC: Keyspace[KeptAnswer] = register(
    Keyspace(
        name="chat:answer-semantic:1",
        key_fields=("scope_hash", "context_hash", "question_hash"),
        help_text="Whole answers to first questions, for questions that mean the same; kept in PostgreSQL.",
        fresh_by="Each read compares the scope and the versions of all passages behind the answer in PostgreSQL.",
        shared_by=Sharing.AUDIENCES,
        ttl_seconds=86_400,
        has_l2=False,
        dump=KeptAnswer.to_json,
        load=KeptAnswer.from_json,
        cost_nanos=_saved_nanos,
    )
)
# What all entries have taught together: 256 numbers.
ANSWER_PRIOR: Keyspace[tuple[float, ...]] = register(
    Keyspace(
        name="chat:answer-prior:1",
        key_fields=("llm_model_id",),
        help_text="How near questions must be for one's answer to be right for the other, as learned from all entries.",
        fresh_by="By its lifetime: it moves with thousands of labels, and each entry's own labels are read afresh.",
        shared_by=Sharing.EVERYONE,
        ttl_seconds=60,
        l1_ttl_seconds=30,
        l1_share_ratio=0.01,
        dump=list,
        load=tuple,
    )
)


def _dump_samples(samples: tuple[PriceSample, ...]) -> list[Any]:
    return [astuple(sample) for sample in samples]


def _load_samples(data: list[Any]) -> tuple[PriceSample, ...]:
    return tuple(PriceSample(*sample) for sample in data)


PRICE_SAMPLES: Keyspace[tuple[PriceSample, ...]] = register(
    Keyspace(
        name="chat:price-samples:1",
        key_fields=("provider_name", "model_name"),
        help_text="How many tokens recent answers took, for the price the composer expects. Numbers only, of everybody.",
        fresh_by="Its lifetime alone: what answers take moves with hundreds of them.",
        shared_by=Sharing.EVERYONE,
        ttl_seconds=300,
        l1_ttl_seconds=60,
        l1_share_ratio=0.01,
        dump=_dump_samples,
        load=_load_samples,
    )
)


def _dump_tree(tree: Tree | None) -> Any:
    return None if tree is None else tree.to_json()


# Larger than most values: a long conversation is read whole for each of its pages, and dear to read.
CONVERSATION: Keyspace[Tree | None] = register(
    Keyspace(
        name="chat:conversation:1",
        key_fields=("conversation_id",),
        help_text="A conversation with its messages, citations and feedback. Whose it is, is asked at each read.",
        fresh_by="Invalidated by each change; triggers on conversations, messages, citations, feedback and sources.",
        shared_by=Sharing.USER,
        ttl_seconds=3600,
        max_value_bytes=1024 * 1024,
        dump=_dump_tree,
        load=Tree.from_json,
    )
)
CONVERSATION_LIST: Keyspace[ConversationPage] = register(
    Keyspace(
        name="chat:conversation-list:1",
        key_fields=("user_id", "is_archived"),
        help_text="The first page of a person's conversations, or of the archived ones.",
        fresh_by="Invalidated by each change; a trigger on conversations.",
        shared_by=Sharing.USER,
        ttl_seconds=3600,
        dump=ConversationPage.to_json,
        load=ConversationPage.from_json,
    )
)


def _dump_turns(turns: tuple[Turn, ...]) -> list[Any]:
    return [[turn.role, turn.content] for turn in turns]


def _load_turns(data: list[Any]) -> tuple[Turn, ...]:
    return tuple(Turn(role, content) for role, content in data)


CONTEXT: Keyspace[tuple[Turn, ...]] = register(
    Keyspace(
        name="chat:context:1",
        key_fields=("last_reply_id", "history_tokens"),
        help_text="The turns up to a finished reply, as far back as a prompt goes.",
        fresh_by="Nothing changes it: finished turns stay as they are, and an edited question is another one.",
        shared_by=Sharing.USER,
        ttl_seconds=600,
        dump=_dump_turns,
        load=_load_turns,
    )
)


def changed(conversation_id: UUID, user_id: UUID | None = None) -> None:
    """Have a conversation and, where their owner is named, the lists it stands in read anew after the transaction.

    Triggers repeat it; this is for whoever made the change and looks at once.
    """
    store.invalidate(CONVERSATION, (conversation_id,))
    if user_id is not None:
        for is_archived in (0, 1):
            store.invalidate(CONVERSATION_LIST, (user_id, is_archived))
