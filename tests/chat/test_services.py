"""Questions are stored once, by those who may, where they belong."""

import pytest

from apps.accounts.models import Membership, User
from apps.accounts.services import NoDepartmentError
from apps.chat import services
from apps.chat.models import Conversation, Feedback, Message
from apps.chat.questions import (
    ChatError,
    Draft,
    KeyUsedError,
    NotPayerError,
    ReplyRunningError,
    title_of,
)
from apps.core.ids import uuid7
from tests.factories.accounts import DepartmentFactory, MembershipFactory, UserFactory
from tests.factories.chat import conversation_of, waiting_reply
from tests.factories.documents import served

pytestmark = pytest.mark.django_db


def draft(content: str = "How many days?", **fields: object) -> Draft:
    """Return a question from the page."""
    return Draft(content=content, **{"idempotency_key": uuid7(), **fields})  # type: ignore[arg-type]


def test_the_first_question_makes_a_conversation_with_its_title(owner: User) -> None:
    posted = services.post_message(user=owner, draft=draft("How many days of leave?\nPlease."))

    conversation = Conversation.objects.get()
    assert conversation.title == "How many days of leave?"
    assert conversation.active_leaf == posted.reply
    assert posted.question.parent is None
    assert posted.reply.parent == posted.question
    assert posted.reply.state == Message.State.PENDING


def test_a_repeated_key_returns_the_same_pair(owner: User) -> None:
    question = draft()
    first = services.post_message(user=owner, draft=question)
    second = services.post_message(user=owner, draft=question)

    assert (second.question, second.reply) == (first.question, first.reply)
    assert second.is_new is False
    assert Conversation.objects.count() == 1
    assert Message.objects.count() == 2


def test_a_key_of_somebody_else_is_refused(owner: User, outsider: User) -> None:
    question = draft()
    services.post_message(user=owner, draft=question)
    with pytest.raises(KeyUsedError):
        services.post_message(user=outsider, draft=question)
    assert not Conversation.objects.visible_to(outsider).exists()


def test_a_question_follows_the_branch_shown(owner: User) -> None:
    conversation = conversation_of(owner, turns=2)
    posted = services.post_message(user=owner, draft=draft(conversation=conversation))
    assert (
        posted.question.parent
        == conversation.messages.filter(role="ASSISTANT").order_by("created_at")[1]
    )


def test_an_edited_question_begins_a_branch(owner: User) -> None:
    conversation = conversation_of(owner, turns=2)
    first_reply = conversation.messages.filter(role="ASSISTANT").earliest("created_at")
    posted = services.post_message(
        user=owner, draft=draft(conversation=conversation, parent=str(first_reply.pk))
    )
    again = services.post_message(
        user=owner, draft=draft(conversation=conversation, parent=services.ROOT)
    )

    assert posted.question.parent == first_reply
    assert first_reply.children.count() == 2
    assert again.question.parent is None


def test_a_parent_of_another_conversation_is_not_found(owner: User) -> None:
    here, there = conversation_of(owner), conversation_of(owner)
    with pytest.raises(Message.DoesNotExist):
        services.post_message(
            user=owner, draft=draft(conversation=here, parent=str(there.active_leaf_id))
        )


def test_a_branch_waits_for_its_answer(owner: User) -> None:
    conversation = conversation_of(owner)
    reply = waiting_reply(conversation)
    with pytest.raises(ReplyRunningError):
        services.post_message(
            user=owner, draft=draft(conversation=conversation, parent=str(reply.pk))
        )
    with pytest.raises(ReplyRunningError):
        services.regenerate(user=owner, reply=reply, idempotency_key=uuid7())


def test_another_answer_stands_beside_the_first(owner: User) -> None:
    conversation = conversation_of(owner)
    reply = Message.objects.select_related("conversation", "parent").get(
        pk=conversation.active_leaf_id
    )
    key = uuid7()
    first = services.regenerate(user=owner, reply=reply, idempotency_key=key)
    second = services.regenerate(user=owner, reply=reply, idempotency_key=key)

    assert first.reply == second.reply
    assert first.reply.parent == reply.parent
    assert first.reply.request_id != reply.request_id
    assert Conversation.objects.get().active_leaf == first.reply


def test_only_the_persons_own_departments_pay(owner: User) -> None:
    other = DepartmentFactory()
    with pytest.raises(NotPayerError):
        services.post_message(user=owner, draft=draft(department_id=other.pk))
    MembershipFactory(user=owner, department=other)
    posted = services.post_message(user=owner, draft=draft(department_id=other.pk))
    assert posted.conversation.paying_department == other


def test_who_left_the_paying_department_starts_anew(owner: User) -> None:
    conversation = conversation_of(owner)
    Membership.objects.filter(user=owner).delete()
    with pytest.raises(NotPayerError):
        services.post_message(user=owner, draft=draft(conversation=conversation))
    reply = Message.objects.select_related("conversation", "parent").get(
        pk=conversation.active_leaf_id
    )
    with pytest.raises(NotPayerError):
        services.regenerate(user=owner, reply=reply, idempotency_key=uuid7())


def test_somebody_without_a_department_cannot_ask(db: None) -> None:
    with pytest.raises(NoDepartmentError):
        services.post_message(user=UserFactory(department=None), draft=draft())


def test_chosen_documents_are_those_the_person_can_read(owner: User, outsider: User) -> None:
    mine, theirs = served(owner), served(outsider)
    chosen = draft(sources="CHOSEN", document_ids=[mine.pk, theirs.pk])
    posted = services.post_message(user=owner, draft=chosen)
    assert list(posted.conversation.chosen_documents.all()) == [mine]
    with pytest.raises(ChatError):
        services.post_message(user=owner, draft=draft(sources="CHOSEN", document_ids=[theirs.pk]))


def test_a_stop_is_noted_once_and_wakes_the_writer(
    owner: User, django_capture_on_commit_callbacks: object
) -> None:
    reply = waiting_reply(conversation_of(owner))
    with django_capture_on_commit_callbacks() as callbacks:  # type: ignore[operator]
        services.stop(reply=reply)
        services.stop(reply=reply)
    assert len(callbacks) == 1
    reply.refresh_from_db()
    assert reply.cancel_requested_at is not None


def test_feedback_is_set_changed_and_taken_back(owner: User) -> None:
    reply = Message.objects.get(pk=conversation_of(owner).active_leaf_id)
    services.give_feedback(reply=reply, is_positive=True)
    services.give_feedback(reply=reply, is_positive=False, reason="WRONG", comment="It is 28.")
    assert Feedback.objects.get().reason == "WRONG"
    services.give_feedback(reply=reply, is_positive=None)
    assert not Feedback.objects.exists()


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("  Short one  ", "Short one"),
        ("First\nSecond", "First"),
        ("word " * 30, "word word word word word word word word word word word word…"),
        ("x" * 100, "x" * 60 + "…"),
    ],
)
def test_a_title_is_the_first_line_cut_at_a_word(content: str, title: str) -> None:
    assert title_of(content) == title
