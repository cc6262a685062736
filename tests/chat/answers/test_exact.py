"""The same question is answered from before, to those who read the same documents, as long as these stand."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts import access
from apps.accounts.models import Membership, User
from apps.accounts.services import audience_of_department, bump_generation
from apps.billing.models import UsageRecord
from apps.caching import policies, store
from apps.caching.models import CachePolicy
from apps.chat import services
from apps.chat.answers import exact
from apps.chat.cache import ANSWER
from apps.chat.finish import finish
from apps.chat.models import CachedAnswer, Citation, Conversation, Message
from apps.chat.prepare import prepare
from apps.chat.services import Draft
from apps.chat.types import Basis, Outcome
from apps.core.ids import uuid7
from apps.documents import services as documents
from apps.documents.models import Document
from apps.documents.serving import serve_version
from apps.documents.types import Sharing, Visibility
from apps.tuning import services as tuning
from tests.chat.answers.asking import ANSWER as TEXT
from tests.chat.answers.asking import QUESTION, ask, ask_afresh, ended, layer
from tests.factories.accounts import MembershipFactory
from tests.factories.chat import conversation_of
from tests.factories.documents import served, served_version
from tests.fake_provider import FakeProvider

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("provider", "policy"),
]


def test_the_same_question_is_answered_from_before(
    owner: User, colleague: User, policy: Document, provider: FakeProvider
) -> None:
    first = ask(owner)
    calls = len(provider.requests)
    again = ask(colleague, "how many days of annual leave are there")

    assert (layer(first), layer(again)) == ("none", "exact")
    assert (again.state, again.content) == (Message.State.DONE, TEXT)
    assert len(provider.requests) == calls
    assert not UsageRecord.objects.filter(request_id=again.request_id).exists()
    [citation] = Citation.objects.filter(message=again)
    assert (citation.document_id, citation.number) == (policy.pk, 1)
    assert citation.version_id == policy.active_version_id
    receipt = again.receipt
    assert receipt is not None
    assert receipt["total_nanos"] == 0
    assert receipt["saved_nanos"] == first.receipt["total_nanos"]  # type: ignore[index]
    assert receipt["saved_ms"] > 0
    assert receipt["answered_at"] == first.finished_at.isoformat()  # type: ignore[union-attr]
    assert again.conversation.active_leaf_id == again.pk
    assert again.conversation.user == colleague


def test_a_hit_asks_postgresql_for_nothing_but_its_own_transaction(
    owner: User, colleague: User
) -> None:
    ask(owner)
    ask(colleague)
    draft = Draft(content=QUESTION, idempotency_key=uuid7(), sources="ALL")
    with CaptureQueriesContext(connection) as captured:
        posted = services.post_message(user=colleague, draft=draft)

    assert layer(posted.reply) == "exact"
    statements = [query["sql"] for query in captured]
    begin = next(i for i, statement in enumerate(statements) if statement.startswith("BEGIN"))
    assert statements[:begin] == []
    assert statements[-1] == "COMMIT"
    # Of money it notes what was saved, and reads nothing.
    notes = [one for one in statements if one.startswith('INSERT INTO "billing_saving"')]
    assert len(notes) == 1
    text = " ".join(one for one in statements[begin:] if one not in notes)
    for table in ("billing_", "llm_", "documents_passage", "chat_answerlabel"):
        assert table not in text
    assert len(statements[begin:]) <= 17, "\n".join(statements)


@pytest.mark.parametrize(
    ("question", "fields"),
    [
        ("Hello!", {}),
        (QUESTION, {"sources": Conversation.Sources.NONE}),
    ],
)
def test_small_talk_and_questions_about_no_documents_are_not_kept(
    owner: User, question: str, fields: dict[str, str]
) -> None:
    ask(owner, question, **fields)
    assert layer(ask(owner, question, **fields)) == "none"
    assert not CachedAnswer.objects.exists()


def test_only_first_questions_are_kept_and_looked_for(owner: User) -> None:
    conversation = conversation_of(owner, turns=1)
    assert layer(ask(owner, conversation=conversation)) == "none"
    assert not CachedAnswer.objects.exists()
    ask(owner)
    assert layer(ask(owner, conversation=conversation)) == "none"
    edited = ask(owner, conversation=conversation, parent=services.ROOT)
    assert layer(edited) == "exact"


@pytest.mark.parametrize(
    "outcome",
    [
        {"state": Message.State.STOPPED, "finish_reason": ""},
        {"state": Message.State.FAILED, "error_code": "unreachable"},
        {"finish_reason": "length"},
        {"finish_reason": "content_filter"},
        {"text": "The documents do not say."},
    ],
)
def test_what_is_cut_failed_or_rests_on_nothing_is_not_kept(
    owner: User, outcome: dict[str, str]
) -> None:
    draft = Draft(content=QUESTION, idempotency_key=uuid7(), sources="ALL")
    ended(services.post_message(user=owner, draft=draft), **outcome)
    assert not CachedAnswer.objects.exists()
    assert layer(ask(owner)) == "none"


def test_an_outsider_of_another_scope_gets_their_own_answer(
    owner: User, colleague: User, outsider: User
) -> None:
    assert owner.memberships.first() is not None
    served(
        owner,
        "Annual leave in Support is 30 days.",
        audience=audience_of_department(owner.memberships.first().department),  # type: ignore[union-attr]
    )
    ask(owner)
    assert layer(ask(outsider)) == "none"
    assert layer(ask(colleague)) == "exact"


def test_the_chosen_documents_are_part_of_the_scope(
    owner: User, policy: Document, colleague: User
) -> None:
    other = served(owner, "Annual leave in Bristol is 28 days.", audience=policy.audience)
    chosen = {"sources": Conversation.Sources.CHOSEN, "document_ids": [policy.pk]}
    ask(owner, **chosen)
    assert layer(ask(colleague)) == "none"
    assert layer(ask(colleague, **{**chosen, "document_ids": [other.pk]})) == "none"
    assert layer(ask(colleague, **chosen)) == "exact"


def test_asking_afresh_computes_and_replaces(owner: User, colleague: User) -> None:
    ask(owner)
    given = ask(colleague)
    fresh = ask_afresh(colleague, given, answer="You get 28 days [1].")
    assert (layer(given), layer(fresh)) == ("exact", "none")
    assert ask(owner).content == "You get 28 days [1]."
    assert CachedAnswer.objects.count() == 1


def test_the_same_question_again_in_a_conversation_wants_another_answer(owner: User) -> None:
    given = ask(owner)
    again = ask(owner, conversation=given.conversation, parent=services.ROOT)
    assert layer(again) == "none"


def test_a_repeated_key_stores_nothing_twice(owner: User, colleague: User) -> None:
    ask(owner)
    draft = Draft(content=QUESTION, idempotency_key=uuid7(), sources="ALL")
    first = services.post_message(user=colleague, draft=draft)
    second = services.post_message(user=colleague, draft=draft)
    assert (first.is_new, second.is_new) == (True, False)
    assert first.reply == second.reply
    assert Message.objects.filter(conversation__user=colleague).count() == 2


def test_a_thumbs_down_removes_the_answer_at_once(owner: User, colleague: User) -> None:
    first = ask(owner)
    given = ask(colleague)
    services.give_feedback(reply=given, is_positive=False)
    assert CachedAnswer.objects.get().quarantined_at is not None
    # The same bad answer is not kept again; another is.
    assert layer(ask(owner)) == "none"
    assert layer(ask(owner)) == "none"
    ask(owner, answer="It is 28 days a year for all [1].")
    assert layer(ask(colleague)) == "exact"
    assert first.content != ask(colleague).content


def test_a_thumbs_down_on_the_first_reply_removes_it_too(owner: User, colleague: User) -> None:
    services.give_feedback(reply=ask(owner), is_positive=False)
    assert layer(ask(colleague)) == "none"


def test_an_answer_withdrawn_while_it_is_put_does_not_stay(owner: User) -> None:
    reply = ask(owner)
    key = tuple(reply.receipt["answer_key"])  # type: ignore[index]
    CachedAnswer.objects.update(quarantined_at=timezone.now())
    # Valkey holds it still: neither the relay nor the writer came to it. The transaction finds out.
    assert not isinstance(store.peek(ANSWER, key), store.Missing)
    assert layer(ask(owner)) == "none"


def test_a_stale_cached_scope_gives_nothing_to_whom_it_is_no_longer_for(
    owner: User, colleague: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    support = Membership.objects.get(user=colleague)
    served(
        owner,
        "Annual leave in Support is 30 days.",
        audience=audience_of_department(support.department),
    )
    ask(owner)
    # As a cache holds it that no invalidation has reached.
    stale = access.cached_scope_of(colleague)
    monkeypatch.setattr(exact, "cached_scope_of", lambda _user: stale)
    assert layer(ask(colleague)) == "exact"
    MembershipFactory(user=colleague)
    support.delete()
    assert layer(ask(colleague)) == "none"


def test_a_document_that_changed_while_the_answer_was_computed_keeps_it_out(
    owner: User, policy: Document
) -> None:
    draft = Draft(content=QUESTION, idempotency_key=uuid7(), sources="ALL")
    posted = services.post_message(user=owner, draft=draft)
    prepared = prepare(posted.reply.pk)
    assert prepared is not None
    with transaction.atomic():
        serve_version(policy, served_version(policy, ["Annual leave is 30 days."]).pk)
        bump_generation(policy.audience)
    finish(posted.reply.pk, prepared.basis, Outcome(Message.State.DONE, TEXT, finish_reason="stop"))
    assert not CachedAnswer.objects.exists()
    assert Message.objects.get(pk=posted.reply.pk).content == TEXT


def test_a_renamed_document_is_cited_by_its_name_now(
    owner: User, colleague: User, policy: Document
) -> None:
    ask(owner)
    documents.rename(document=policy, name="Leave 2026.pdf")
    given = ask(colleague)
    assert Citation.objects.get(message=given).document_name == "Leave 2026.pdf"


def test_the_policy_acts_at_once(owner: User, colleague: User) -> None:
    row = CachePolicy.objects.create(keyspace=ANSWER.name)
    ask(owner)
    tuning.change_row(instance=row, values={"is_enabled": False}, author_id=None)
    policies.forget()
    assert layer(ask(colleague)) == "none"
    tuning.change_row(instance=row, values={"is_enabled": True}, author_id=None)
    policies.forget()
    assert layer(ask(colleague)) == "exact"


@pytest.mark.parametrize("name", ["chat.retrieval_passage_count", "chat.sentence_count"])
def test_a_turned_parameter_makes_another_answer(owner: User, name: str) -> None:
    ask(owner)
    tuning.change(values={name: 3}, author_id=None)
    assert layer(ask(owner)) == "none"


def test_a_document_deleted_past_the_services_is_noticed(
    owner: User, colleague: User, policy: Document
) -> None:
    """Even where nobody moved a generation, the transaction compares the versions themselves."""
    ask(owner)
    Document.objects.filter(pk=policy.pk).update(active_version=None)
    assert layer(ask(colleague)) == "none"


def test_visibility_taken_away_ends_it(owner: User, colleague: User, policy: Document) -> None:
    ask(owner)
    documents.change_visibility(document=policy, by=owner, visibility=Visibility(Sharing.ME))
    given = ask(colleague)
    assert given.content.startswith("There are no documents")


def test_the_entry_names_what_it_rests_on(owner: User, policy: Document) -> None:
    reply = ask(owner)
    entry = CachedAnswer.objects.get()
    assert entry.document_ids == [policy.pk]
    assert entry.version_ids == [policy.active_version_id]
    assert str(entry.pk) == reply.receipt["entry_id"]  # type: ignore[index]
    assert UUID(reply.receipt["entry_id"]) == entry.pk  # type: ignore[index]
    assert "annual" not in str(entry)


def test_two_who_ask_at_once_are_both_answered_and_one_entry_stays(
    owner: User, colleague: User
) -> None:
    both = []
    for user in (owner, colleague):
        draft = Draft(content=QUESTION, idempotency_key=uuid7(), sources="ALL")
        posted = services.post_message(user=user, draft=draft)
        prepared = prepare(posted.reply.pk)
        assert prepared is not None
        both.append((posted.reply.pk, prepared))
    outcome = Outcome(Message.State.DONE, TEXT, finish_reason="stop")
    with ThreadPoolExecutor(2) as threads:
        finished = list(threads.map(lambda one: _finished(one[0], one[1].basis, outcome), both))
    assert finished == [True, True]
    assert CachedAnswer.objects.count() == 1
    assert layer(ask(owner)) == "exact"


def _finished(reply_id: UUID, basis: Basis, outcome: Outcome) -> bool:
    try:
        return finish(reply_id, basis, outcome)
    finally:
        connections.close_all()
