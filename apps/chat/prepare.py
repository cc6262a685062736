"""The first step of a reply: claims it and decides how it is answered. Synchronous, run as one thread hop."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _

from apps.billing.models import Purpose
from apps.billing.types import CallContext, Thrift
from apps.chat import history, intent, prompts
from apps.chat.answers import earlier
from apps.chat.models import Conversation, Message
from apps.chat.types import (
    ANSWER_ATTEMPT,
    QUESTION_ATTEMPT,
    SENTENCES_ATTEMPT,
    Ask,
    Basis,
    Keeping,
    Place,
    Prepared,
)
from apps.core.stages import stage
from apps.documents import retrieval, sentences
from apps.documents.models import Document
from apps.documents.types import FoundPassage, FoundSentence, Retrieval
from apps.llm import services as llm
from apps.llm.models import LLMModel, Route
from apps.llm.types import ChatMessage, Choice
from apps.tuning import live as tuning

# Sentences below the best one distract a weak model more than they help it: with two others beside the right one it
# answered 28 of 40 demo questions, with none 37 (2026-11-22). Only near ties go along.
SENTENCE_SHARE = 0.95
# An answer from a sentence is a sentence; a weak model that goes on makes things up.
SENTENCES_OUTPUT_TOKENS = 80


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for in the documents, and what is needed to keep the answer (None: it is not to be kept)."""

    text: str
    embedded: retrieval.EmbeddedQuestion
    keeping: Keeping | None


def prepare(reply_id: UUID) -> Prepared | None:
    """Claim a waiting reply and return how to answer it; None when it is no longer waiting, or answered already.

    A first question may be answered from an earlier one that means the same; else the documents are searched. Both call
    the embedding model.

    Raises:
        NoModelError: no model serves answers.
        BudgetExceededError: a budget has no room for the search.
    """
    with stage("claim"):
        reply = _claim(reply_id)
    if reply is None or reply.parent is None:
        return None
    question = reply.parent.content
    choice = llm.choose(Route.Use.ANSWER)
    talk = intent.small_talk(question)
    if talk is not None and choice.grounding == LLMModel.Grounding.SENTENCES:
        return Prepared(
            reply_id,
            Basis(reason=_("Small talk: answered without a model.")),
            text=small_talk_text(talk),
        )
    turns = history.before(reply)
    if talk is not None or reply.conversation.sources == Conversation.Sources.NONE:
        messages = prompts.without_documents(
            question=question, history=history.fitting(turns, choice)
        )
        return Prepared(reply_id, _basis(choice), _ask(reply, choice, messages))
    return _from_documents(reply, choice, turns)


def _claim(reply_id: UUID) -> Message | None:
    now = timezone.now()
    lease = timedelta(seconds=tuning.number("chat.reply_lease_seconds"))
    claimed = Message.objects.filter(
        pk=reply_id, state=Message.State.PENDING, cancel_requested_at__isnull=True
    ).update(state=Message.State.RUNNING, started_at=now, lease_expires_at=now + lease)
    if claimed != 1:
        return None
    return Message.objects.select_related("parent", "conversation__user").get(pk=reply_id)


def _context(reply: Message, purpose: Purpose, attempt: int) -> CallContext:
    assert reply.request_id is not None  # noqa: S101 - every reply has one
    return CallContext(
        request_id=reply.request_id,
        department_id=reply.conversation.paying_department_id,
        purpose=purpose,
        user_id=reply.conversation.user_id,
        attempt=attempt,
        conversation_id=reply.conversation_id,
        tags=tuple(reply.conversation.cost_tags),
    )


def _ask(reply: Message, choice: Choice, messages: Sequence[ChatMessage]) -> Ask:
    return Ask(choice, messages, _context(reply, Purpose.ANSWER, ANSWER_ATTEMPT))


def _basis(
    choice: Choice,
    *,
    grounding: str = "",
    places: Sequence[Place] = (),
    keeping: Keeping | None = None,
) -> Basis:
    return Basis(
        choice.reason,
        grounding,
        choice.model_name,
        choice.provider_name,
        tuple(places),
        keeping=keeping,
    )


def _from_documents(
    reply: Message, choice: Choice, turns: Sequence[prompts.Turn]
) -> Prepared | None:
    """Prepare from what a search finds; None where an earlier question that means the same has answered it."""
    keeping = earlier.begun(reply, choice)
    is_sought = keeping is not None and earlier.is_sought(reply, keeping)
    text = _search_text(reply, turns)
    with stage("retrieval"):
        embedded = retrieval.embed_question(
            question=text,
            context=_context(reply, Purpose.QUERY_EMBEDDING, QUESTION_ATTEMPT),
            thrift=Thrift.SEARCH if is_sought else Thrift.CHEAPEST_MODEL,
        )
    if keeping is not None:
        with stage("earlier"):
            keeping, is_answered = earlier.answered(reply, keeping, embedded, is_sought=is_sought)
        if is_answered:
            return None
    search = Search(text, embedded, keeping)
    if choice.grounding == LLMModel.Grounding.SENTENCES:
        return _from_sentences(reply, choice, search)
    return _from_passages(reply, choice, search, turns)


def _search(reply: Message, search: Search) -> Retrieval:
    conversation = reply.conversation
    chosen: list[UUID] | None = None
    if conversation.sources == Conversation.Sources.CHOSEN:
        chosen = list(conversation.chosen_documents.values_list("pk", flat=True))
    with stage("retrieval"):
        return retrieval.search(
            user=conversation.user,
            question=search.text,
            context=_context(reply, Purpose.QUERY_EMBEDDING, QUESTION_ATTEMPT),
            document_ids=chosen,
            embedded=search.embedded,
            passage_count=tuning.integer("chat.retrieval_passage_count"),
        )


def _search_text(reply: Message, turns: Sequence[prompts.Turn]) -> str:
    assert reply.parent is not None  # noqa: S101 - `prepare` tested it
    questions = [turn.content for turn in turns if turn.role == Message.Role.USER]
    return intent.search_text(reply.parent.content, questions[-1] if questions else None)


def _from_sentences(reply: Message, choice: Choice, search: Search) -> Prepared:
    """Prepare for a weak model: the best sentences, or no model at all below the threshold."""
    assert reply.parent is not None  # noqa: S101 - `prepare` tested it
    found = _search(reply, search)
    best: Sequence[FoundSentence] = ()
    if found.passages:
        with stage("sentences"):
            best = sentences.best_sentences(
                retrieval=found,
                question=search.text,
                context=_context(reply, Purpose.QUERY_EMBEDDING, SENTENCES_ATTEMPT),
                count=tuning.integer("chat.sentence_count"),
            )
    if not best or best[0].similarity < tuning.number("chat.answer_similarity_threshold"):
        return _not_in_documents(reply, search)
    close = [one for one in best if one.similarity >= best[0].similarity * SENTENCE_SHARE]
    places = [
        _place(number, one.passage, one.start_offset, one.end_offset, one.text)
        for number, one in enumerate(close, start=1)
    ]
    messages = prompts.with_sentences(question=reply.parent.content, sources=_sources(places))
    return Prepared(
        reply.pk,
        _basis(choice, grounding=choice.grounding, places=places, keeping=search.keeping),
        replace(
            _ask(reply, choice, messages),
            # Strong models know their own best temperature, and some refuse to be told one.
            temperature=0.0,
            max_output_tokens=SENTENCES_OUTPUT_TOKENS,
        ),
    )


def _from_passages(
    reply: Message, choice: Choice, search: Search, turns: Sequence[prompts.Turn]
) -> Prepared:
    """Prepare for a strong model: whole passages, from which it may say that they don't answer."""
    assert reply.parent is not None  # noqa: S101 - `prepare` tested it
    found = _search(reply, search)
    if not found.passages:
        return _not_in_documents(reply, search)
    places = [
        _place(number, one, one.start_offset, one.end_offset, one.text)
        for number, one in enumerate(found.passages, start=1)
    ]
    messages = prompts.with_passages(
        question=reply.parent.content,
        sources=_sources(places),
        history=history.fitting(turns, choice),
    )
    return Prepared(
        reply.pk,
        _basis(choice, grounding=choice.grounding, places=places, keeping=search.keeping),
        _ask(reply, choice, messages),
    )


def _place(number: int, passage: FoundPassage, start: int, end: int, text: str) -> Place:
    return Place(
        number=number,
        document_id=str(passage.document_id),
        version_id=str(passage.version_id),
        document_name=passage.document_name,
        page_number=passage.page_number,
        start_offset=start,
        end_offset=end,
        text=text,
    )


def _sources(places: Sequence[Place]) -> list[prompts.Source]:
    return [
        prompts.Source(one.number, one.document_name, one.page_number, one.text) for one in places
    ]


def _not_in_documents(reply: Message, search: Search) -> Prepared:
    """Answer that the documents don't say, with what the person can do about it."""
    conversation = reply.conversation
    readable = Document.objects.visible_to(conversation.user).filter(active_version__isnull=False)
    if conversation.sources == Conversation.Sources.CHOSEN:
        text = _(
            "The documents you chose don't say. Ask all your documents, or choose others, under “Sources” below."
        )
    elif readable.exists():
        text = _(
            "Your documents don't say. Try the words a document would use, or upload one that has the answer."
        )
    else:
        text = _("There are no documents you could ask yet. Upload one, then ask again.")
    return Prepared(
        reply.pk,
        Basis(
            reason=_("Nothing in the documents was close enough: no model was asked."),
            keeping=search.keeping,
        ),
        text=text,
    )


def small_talk_text(talk: intent.SmallTalk) -> str:
    """Return the answer to small talk that is given where the model is too weak for it."""
    texts = {
        intent.SmallTalk.GREETING: _("Hello. What would you like to know from your documents?"),
        intent.SmallTalk.HOW_ARE_YOU: _("I'm well, thank you. What can I look up for you?"),
        intent.SmallTalk.THANKS: _("You're welcome. Ask me anything else when you need it."),
        intent.SmallTalk.FAREWELL: _(
            "Goodbye. This conversation stays here for when you come back."
        ),
        intent.SmallTalk.ABOUT: _(
            "I'm Parley. I answer questions from the documents you and your colleagues have shared, show the exact "
            "passage behind each answer, and say what it cost. Ask me, for example, how many days of leave you have."
        ),
        intent.SmallTalk.PRAISE: _(
            "Thank you, that is good to hear. What would you like to know next?"
        ),
        intent.SmallTalk.ACKNOWLEDGED: _(
            "All right. Ask me when you need something from your documents."
        ),
        intent.SmallTalk.JOKE: _(
            "Why did the document feel calm? Everything in it was on the record. Now, what can I look up for you?"
        ),
    }
    return texts[talk]
