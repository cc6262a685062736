"""A question that means the same is answered from before once labels allow it, and every doubt computes."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.billing.models import UsageRecord
from apps.caching import access, policies
from apps.caching.models import CachePolicy
from apps.caching.outcomes import Level
from apps.chat import services
from apps.chat.answers import earlier, keep, labels, posterior
from apps.chat.cache import ANSWER, ANSWER_SEMANTIC
from apps.chat.models import AnswerLabel, CachedAnswer, Citation, Message
from apps.documents.models import Document
from apps.llm.models import Route
from apps.llm.services import choose
from apps.tuning import live
from apps.tuning import services as tuning
from tests.chat.answers.asking import ANSWER as TEXT
from tests.chat.answers.asking import QUESTION, ask, ask_afresh, layer, near
from tests.factories.documents import served
from tests.fake_provider import FakeProvider

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("provider", "policy"),
]

PARAPHRASE = "What is the annual leave entitlement?"
OTHER_YEAR = "How many days of annual leave were there in 2024?"


@pytest.fixture(autouse=True)
def _near(provider: FakeProvider) -> None:
    """Have the questions of these tests near each other, and no hit checked by chance."""
    for number in range(30):
        provider.vectors[f"{PARAPHRASE} {'x' * number}".strip()] = near(0.97)
    provider.vectors[QUESTION] = near(1.0)
    provider.vectors[OTHER_YEAR] = near(0.99)
    turn(**{"chat.semantic_shadow_ratio": 0.0})


def turn(**values: float) -> None:
    """Turn parameters."""
    tuning.change(values=values, author_id=None)


def taught(
    entry: CachedAnswer, *, right: int = 20, wrong: int = 0, similarity: float = 0.95
) -> None:
    """Give an entry, and a number of others, labels: enough for a prior that trusts."""
    assert entry.llm_model_id is not None
    others = [Message().pk for _number in range(60)]
    AnswerLabel.objects.bulk_create(
        AnswerLabel(
            entry_id=entry_id,
            llm_model_id=entry.llm_model_id,
            similarity=similarity,
            is_correct=number < right,
            source=AnswerLabel.Source.MISS,
        )
        for entry_id in (entry.pk, *others)
        for number in range(right + (wrong if entry_id == entry.pk else 0))
    )


def asked_and_taught(user: User) -> CachedAnswer:
    """Ask the question and teach its entry."""
    ask(user)
    entry = CachedAnswer.objects.get()
    taught(entry)
    return entry


def test_a_paraphrase_is_answered_from_before(
    owner: User, colleague: User, policy: Document, provider: FakeProvider
) -> None:
    entry = asked_and_taught(owner)
    calls = len([one for one in provider.requests if "chat" in one.path])
    given = ask(colleague, PARAPHRASE)

    assert (layer(given), given.content, given.state) == ("semantic", TEXT, "DONE")
    assert len([one for one in provider.requests if "chat" in one.path]) == calls
    [record] = UsageRecord.objects.filter(request_id=given.request_id)
    assert given.receipt is not None
    assert given.receipt["total_nanos"] == record.amount_nanos
    assert given.receipt["similarity"] == pytest.approx(0.97, abs=0.002)
    assert Citation.objects.get(message=given).document_id == policy.pk
    entry.refresh_from_db()
    assert entry.hit_count == 1
    assert 0 < entry.expected_errors <= 0.02
    assert entry.last_hit_at is not None


def test_nothing_is_given_without_labels_and_each_miss_brings_one(
    owner: User, colleague: User
) -> None:
    ask(owner)
    entry = CachedAnswer.objects.get()
    assert layer(ask(colleague, PARAPHRASE)) == "none"
    label = AnswerLabel.objects.get()
    assert (label.entry_id, label.is_correct, label.source) == (entry.pk, True, "MISS")
    assert label.similarity == pytest.approx(0.97, abs=0.002)


def test_the_same_answer_to_a_paraphrase_makes_no_entry_that_hides_the_first(
    owner: User, colleague: User
) -> None:
    ask(owner)
    ask(colleague, PARAPHRASE)
    [found] = CachedAnswer.objects.filter(vector__isnull=False)
    assert found.question == "how many days of annual leave are there"
    assert layer(ask(owner, PARAPHRASE)) == "exact"


def test_another_answer_is_a_bad_label(owner: User, colleague: User) -> None:
    ask(owner)
    ask(colleague, PARAPHRASE, answer="There are 30 days of annual leave [1].")
    assert AnswerLabel.objects.get().is_correct is False


def test_a_refusal_of_the_documents_is_a_bad_label(owner: User, colleague: User) -> None:
    ask(owner)
    ask(colleague, PARAPHRASE, answer="The documents do not say.")
    assert AnswerLabel.objects.get().is_correct is False
    assert CachedAnswer.objects.count() == 1


def test_four_labels_of_its_own_are_needed(owner: User, colleague: User) -> None:
    entry = asked_and_taught(owner)
    own = AnswerLabel.objects.filter(entry_id=entry.pk)
    own.filter(pk__in=own.values("pk")[3:]).delete()
    assert layer(ask(colleague, PARAPHRASE)) == "none"
    # The miss brought the fourth; a question as near as that one may be served now.
    assert own.count() == 4
    assert layer(ask(colleague, f"{PARAPHRASE} xxxxx")) == "semantic"


def test_bad_labels_end_it(owner: User, colleague: User) -> None:
    ask(owner)
    taught(CachedAnswer.objects.get(), right=5, wrong=3, similarity=0.97)
    assert layer(ask(colleague, PARAPHRASE)) == "none"


def test_the_bound_acts_live(owner: User, colleague: User) -> None:
    asked_and_taught(owner)
    turn(**{"chat.semantic_error_bound": 0.0})
    assert layer(ask(colleague, PARAPHRASE)) == "none"
    turn(**{"chat.semantic_error_bound": 0.02})
    assert layer(ask(colleague, f"{PARAPHRASE} xxxxx")) == "semantic"
    turn(**{"chat.semantic_minimum_labels": 100})
    assert layer(ask(colleague, f"{PARAPHRASE} xx")) == "none"
    turn(**{"chat.semantic_minimum_labels": 4, "chat.semantic_similarity_floor": 0.99})
    assert layer(ask(colleague, f"{PARAPHRASE} xxx")) == "none"


def test_a_differing_sign_forbids_it_however_near(owner: User, colleague: User) -> None:
    asked_and_taught(owner)
    before = AnswerLabel.objects.count()
    assert layer(ask(colleague, OTHER_YEAR)) == "none"
    assert AnswerLabel.objects.count() == before


def test_a_question_of_the_moment_is_neither_given_nor_kept_by_meaning(
    owner: User, colleague: User, provider: FakeProvider
) -> None:
    question = "How many days of annual leave are there this year?"
    provider.vectors[question] = near(0.99)
    asked_and_taught(owner)
    assert layer(ask(colleague, question)) == "none"
    kept = CachedAnswer.objects.get(vector=None)
    assert kept.llm_model_id is None
    assert layer(ask(colleague, question)) == "exact"


def test_a_share_of_hits_is_checked(owner: User, colleague: User) -> None:
    entry = asked_and_taught(owner)
    turn(**{"chat.semantic_shadow_ratio": 1.0})
    assert layer(ask(colleague, PARAPHRASE)) == "none"
    label = AnswerLabel.objects.get(source="SHADOW")
    assert (label.entry_id, label.is_correct) == (entry.pk, True)


def test_a_thumbs_down_withdraws_the_entry_for_everybody(owner: User, colleague: User) -> None:
    entry = asked_and_taught(owner)
    given = ask(colleague, PARAPHRASE)
    services.give_feedback(reply=given, is_positive=False)
    services.give_feedback(reply=given, is_positive=False)

    entry.refresh_from_db()
    assert entry.quarantined_at is not None
    thumb = AnswerLabel.objects.get(source="THUMB")
    assert (thumb.entry_id, thumb.is_correct) == (entry.pk, False)
    assert thumb.similarity == pytest.approx(0.97, abs=0.002)
    assert layer(ask(owner)) == "none"
    assert layer(ask(colleague, f"{PARAPHRASE} xxxxx")) == "none"


def test_a_thumbs_up_withdraws_nothing(owner: User, colleague: User) -> None:
    entry = asked_and_taught(owner)
    services.give_feedback(reply=ask(colleague, PARAPHRASE), is_positive=True)
    entry.refresh_from_db()
    assert entry.quarantined_at is None


def test_asking_afresh_computes(owner: User, colleague: User) -> None:
    asked_and_taught(owner)
    given = ask(colleague, PARAPHRASE)
    assert layer(ask_afresh(colleague, given)) == "none"


def test_another_scope_finds_nothing(owner: User, outsider: User) -> None:
    asked_and_taught(owner)
    served(outsider, "Annual leave of outsiders is 1 day.")
    assert layer(ask(outsider, PARAPHRASE)) == "none"
    assert not AnswerLabel.objects.filter(source="SHADOW").exists()


def test_a_scope_that_moves_between_finding_and_storing_computes(
    owner: User, colleague: User, policy: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_and_taught(owner)
    look_up = earlier.semantic.look_up

    def moving(*args: object) -> object:
        found = look_up(*args)  # type: ignore[arg-type]
        assert found is not None
        assert found.serves
        Document.objects.filter(pk=policy.pk).update(active_version=None)
        return found

    monkeypatch.setattr(earlier.semantic, "look_up", moving)
    assert layer(ask(colleague, PARAPHRASE)) == "none"


def test_a_replaced_answer_begins_without_labels(owner: User) -> None:
    entry = asked_and_taught(owner)
    ask_afresh(owner, ask(owner), answer="It is 28 days a year [1].")
    replaced = CachedAnswer.objects.get()
    assert replaced.pk != entry.pk
    assert labels.of_entry(replaced.pk)[1] == 0
    ask_afresh(owner, ask(owner), answer="It is 28 days a year [1].")
    assert CachedAnswer.objects.get().pk == replaced.pk


def test_switch_lifetime_and_purge_act_live(owner: User, colleague: User) -> None:
    row = CachePolicy.objects.create(keyspace=ANSWER_SEMANTIC.name)
    entry = asked_and_taught(owner)

    def set_policy(**values: object) -> None:
        tuning.change_row(instance=row, values=values, author_id=None)
        live.forget()
        policies.forget()

    set_policy(is_enabled=False)
    assert layer(ask(colleague, PARAPHRASE)) == "none"
    set_policy(is_enabled=True, ttl_seconds=60)
    CachedAnswer.objects.filter(pk=entry.pk).update(
        created_at=timezone.now() - timedelta(seconds=61)
    )
    assert layer(ask(colleague, f"{PARAPHRASE} xxxxx")) == "none"
    set_policy(ttl_seconds=120.0)
    CachedAnswer.objects.exclude(pk=entry.pk).delete()
    assert layer(ask(colleague, f"{PARAPHRASE} xx")) == "semantic"
    CachePolicy.objects.filter(pk=row.pk).update(epoch=1)
    policies.forget()
    assert layer(ask(colleague, f"{PARAPHRASE} xxx")) == "none"


def test_the_access_log_has_the_hit_and_the_miss(owner: User, colleague: User) -> None:
    asked_and_taught(owner)
    access._accesses.clear()
    ask(colleague, PARAPHRASE)
    ask(colleague, OTHER_YEAR)
    noted = [one for one in access._accesses if one[0] == ANSWER_SEMANTIC.name]
    assert [one[2] for one in noted] == [Level.L2, Level.MISS]
    assert noted[0][5] == pytest.approx(900_000)
    assert {one[0] for one in access._accesses} >= {ANSWER.name}


def test_the_prior_is_pooled_over_entries(owner: User) -> None:
    entry = asked_and_taught(owner)
    assert entry.llm_model_id is not None
    trusting = posterior.expected_error(
        labels.prior(entry.llm_model_id), posterior.evidence([], []), 0.97
    )
    doubting = posterior.expected_error(posterior.flat(), posterior.evidence([], []), 0.97)
    assert trusting < doubting / 2
    assert entry.llm_model_id == choose(Route.Use.EMBEDDING).llm_model_id


def test_old_entries_and_labels_go(owner: User) -> None:
    entry = asked_and_taught(owner)
    assert keep.remove_old() == 0
    longest = timedelta(seconds=ANSWER_SEMANTIC.ttl_seconds + 1)
    CachedAnswer.objects.update(created_at=timezone.now() - longest)
    own = AnswerLabel.objects.filter(entry_id=entry.pk)
    own.update(created_at=timezone.now() - labels.KEPT_FOR - timedelta(days=1))
    assert keep.remove_old() == 1
    assert not own.exists()
    assert AnswerLabel.objects.exists()
