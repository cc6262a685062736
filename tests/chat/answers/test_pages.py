"""The page says that an answer was given from an earlier one; the admin shows figures, never texts."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import User
from apps.caching.access_models import AccessMinute
from apps.caching.outcomes import Level
from apps.chat import pages
from apps.chat.answers.report import report
from apps.chat.cache import ANSWER, ANSWER_SEMANTIC
from apps.chat.models import AnswerLabel, CachedAnswer
from apps.core.ids import uuid7
from tests.chat.answers.asking import QUESTION, ask, layer
from tests.factories.chat import conversation_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("provider", "policy"),
]


def page_of(client: Client, user: User, conversation_id: object) -> str:
    """Return the conversation's page as text."""
    client.force_login(user)
    return client.get(f"/chat/{conversation_id}/").content.decode()


def test_a_given_answer_says_so_and_offers_to_ask_afresh(
    client: Client, owner: User, colleague: User
) -> None:
    first = ask(owner)
    given = ask(colleague)
    page = page_of(client, colleague, given.conversation_id)
    assert "Answered from an earlier, identical question" in page
    assert "just now" in page
    assert "Ask afresh" in page
    assert "The answer to the same question" in page
    assert "Ask afresh" not in page_of(client, owner, first.conversation_id)


def test_one_given_by_meaning_says_that(owner: User) -> None:
    conversation = conversation_of(owner)
    reply = conversation.messages.get(role="ASSISTANT")
    made_at = (timezone.now() - timedelta(minutes=2)).isoformat()
    reply.receipt = {"cache_layer": "semantic", "answered_at": made_at, "total_nanos": 5}
    earlier = pages.message_view(user=owner, message=reply).earlier
    assert earlier is not None
    assert earlier.words == "Answered from an earlier question that means the same"
    assert "2 minutes ago" in earlier.ago
    assert earlier.total_nanos == 5


def test_the_admin_shows_no_word_of_question_or_answer(
    client: Client, owner: User, admin_user: User
) -> None:
    ask(owner)
    entry = CachedAnswer.objects.get()
    client.force_login(admin_user)
    listed = client.get(reverse("admin:chat_cachedanswer_changelist")).content.decode()
    single = client.get(reverse("admin:chat_cachedanswer_change", args=[entry.pk]))
    for page in (listed, single.content.decode()):
        assert str(entry.pk) in page
        assert "28 days" not in page
        assert "annual leave" not in page.lower()
    assert "chat__semantic_error_bound" in listed
    assert client.get(reverse("admin:chat_answerlabel_changelist")).status_code == 200


def test_only_operators_see_it(client: Client, owner: User) -> None:
    client.force_login(owner)
    for name in ("cachedanswer", "answerlabel"):
        assert client.get(reverse(f"admin:chat_{name}_changelist")).status_code == 302


def test_an_operator_withdraws_answers(
    client: Client, owner: User, colleague: User, admin_user: User
) -> None:
    ask(owner)
    assert layer(ask(colleague)) == "exact"
    client.force_login(admin_user)
    response = client.post(
        reverse("admin:chat_cachedanswer_changelist"),
        {"action": "withdraw", "_selected_action": [CachedAnswer.objects.get().pk]},
        follow=True,
    )
    assert "1 answer withdrawn." in response.content.decode()
    assert layer(ask(colleague)) == "none"


def test_the_report_tells_errors_with_their_interval(owner: User) -> None:
    entry_id, model = uuid7(), uuid7()
    AnswerLabel.objects.bulk_create(
        AnswerLabel(
            entry_id=entry_id,
            llm_model_id=model,
            similarity=0.95,
            is_correct=number > 0,
            source=AnswerLabel.Source.SHADOW,
        )
        for number in range(200)
    )
    ask(owner)
    CachedAnswer.objects.update(hit_count=10, expected_errors=0.05)
    now = timezone.now()
    for level, count in ((Level.L2, 3), (Level.MISS, 1)):
        AccessMinute.objects.create(
            keyspace=ANSWER.name,
            minute=now.replace(second=0, microsecond=0),
            level=level,
            bucket=10,
            read_count=count,
            elapsed_us=10,
            saved_us=0,
            saved_nanos=0,
        )
    told = report(now=now)
    assert (told.shadow_count, told.shadow_wrong_count, told.label_count) == (200, 1, 200)
    assert told.measured_error == pytest.approx(0.005)
    assert told.interval == pytest.approx((0.00013, 0.02754), abs=1e-4)
    assert told.is_within_bound is None
    assert told.expected_error == pytest.approx(0.005)
    assert (told.exact.hit_count, told.exact.hit_ratio) == (3, 0.75)
    assert told.semantic.hit_ratio is None
    AnswerLabel.objects.update(is_correct=True)
    assert report(now=now).is_within_bound is True
    AnswerLabel.objects.update(is_correct=False)
    assert report(now=now).is_within_bound is False
    assert ANSWER_SEMANTIC.name != ANSWER.name
    assert QUESTION
