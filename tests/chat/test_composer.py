"""What the composer tells before a question is sent: the expected price, the budget left, and to whom."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import User
from apps.billing.models import Budget, BudgetPeriod, Meter
from apps.chat import price_range
from apps.chat.models import Message
from apps.chat.price_range import Asked, expected, middle
from apps.llm.models import LLMModel, Route
from apps.llm.types import Choice
from tests.factories.accounts import DepartmentFactory
from tests.factories.billing import PriceFactory
from tests.factories.chat import conversation_of
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider

pytestmark = pytest.mark.django_db

NANO_A_TOKEN = 1_000_000
ASKED = Asked(characters=40, is_follow_up=False, is_searched=False)


@pytest.fixture
def choice(fake_provider: FakeProvider) -> Choice:
    return priced(route_to(fake_provider), {Meter.INPUT: 1, Meter.OUTPUT: 10})


def priced(choice: Choice, nanos_by_meter: dict[Meter, int]) -> Choice:
    for meter, nanos in nanos_by_meter.items():
        PriceFactory(
            provider_code=choice.provider_code,
            model_code=choice.model_code,
            meter=meter,
            nanos_per_million_tokens=nanos * NANO_A_TOKEN,
        )
    return choice


def answered(
    owner: User, choice: Choice, *, count: int = 1, turns: int = 1, **receipt: Any
) -> None:
    """Have questions of 40 characters answered by a model, with these on their receipts."""
    for _number in range(count):
        conversation = conversation_of(owner, turns=turns)
        taken = {"input_tokens": 100, "cached_input_tokens": 0, "output_tokens": 10} | receipt
        named = {"model_name": choice.model_name, "provider_name": choice.provider_name}
        made = {"embedding_tokens": 0, "cache_layer": "none", "stages": {}}
        replies = Message.objects.filter(conversation=conversation, role=Message.Role.ASSISTANT)
        replies.update(receipt=named | made | taken)
        questions = Message.objects.filter(conversation=conversation, role=Message.Role.USER)
        questions.update(content="q" * 40)


def told(user: User, content: str = "How many days of leave?", **fields: Any) -> dict[str, Any]:
    client = Client()
    client.force_login(user)
    response = client.post(reverse("chat:price"), {"content": content, **fields})
    assert response.status_code == 200, response.content
    assert "no-store" in response.headers["Cache-Control"]
    answer: dict[str, Any] = response.json()
    return answer


class TestRange:
    def test_between_the_order_statistics_that_hold_nineteen_of_twenty(self) -> None:
        assert middle(list(range(1, 200))) == (5, 195)
        assert middle(list(range(1, 20))) == (1, 19)

    def test_before_there_are_samples_it_is_all_that_is_possible(self, choice: Choice) -> None:
        most = expected(ASKED, choice=choice, embedding=None)
        assert (most.low_nanos, most.is_learned) == (0, False)
        assert most.high_nanos >= choice.max_output_tokens * 10

    def test_it_is_learned_from_answers_of_its_kind(self, owner: User, choice: Choice) -> None:
        answered(owner, choice, count=price_range.MIN_SAMPLES)
        answered(owner, choice, output_tokens=900, stages={"retrieval": 5.0})
        answered(owner, choice, output_tokens=900, model_name="Another")
        answered(owner, choice, output_tokens=900, cache_layer="exact")
        answered(owner, choice, output_tokens=900, embedding_tokens=None)
        found = expected(ASKED, choice=choice, embedding=None)
        assert (found.low_nanos, found.high_nanos, found.is_learned) == (200, 200, True)

    def test_follow_ups_are_a_kind_of_their_own(self, owner: User, choice: Choice) -> None:
        answered(owner, choice, count=price_range.MIN_SAMPLES, turns=2)
        samples = price_range.read_samples(choice.provider_name, choice.model_name)
        assert sorted({sample.is_follow_up for sample in samples}) == [False, True]

    def test_a_longer_question_costs_more_by_its_tokens(self, owner: User, choice: Choice) -> None:
        answered(owner, choice, count=price_range.MIN_SAMPLES)
        longer = Asked(characters=840, is_follow_up=False, is_searched=False)
        assert expected(longer, choice=choice, embedding=None).low_nanos == 200 + 200

    def test_prices_in_force_count_not_those_of_then(self, owner: User, choice: Choice) -> None:
        answered(owner, choice, count=price_range.MIN_SAMPLES)
        cheaper = priced(
            route_to(FakeAddress(), name=choice.model_name), {Meter.INPUT: 0, Meter.OUTPUT: 1}
        )
        assert expected(ASKED, choice=cheaper, embedding=None).high_nanos == 10

    def test_the_search_is_part_of_it(self, owner: User, choice: Choice) -> None:
        embedding = priced(route_to(FakeAddress(), Route.Use.EMBEDDING), {Meter.EMBEDDING: 2})
        answered(
            owner,
            choice,
            count=price_range.MIN_SAMPLES,
            embedding_tokens=50,
            stages={"retrieval": 5.0},
        )
        searched = Asked(characters=40, is_follow_up=False, is_searched=True)
        assert expected(searched, choice=choice, embedding=embedding).low_nanos == 200 + 100


class FakeAddress:
    """Where nothing is asked."""

    base_url = "http://127.0.0.1:9/v1"


class TestComposer:
    def test_the_words(self, owner: User, choice: Choice) -> None:
        answered(owner, choice, count=price_range.MIN_SAMPLES)
        Budget.objects.create(user=owner, limit_nanos=2_500_000_000, period="TOTAL")
        found = told(owner, sources="NONE")
        assert found["budget"] == "2.50 $ left"
        assert found["price"] == "About 0.00000020 $"
        assert found["level"] == ""

    def test_nothing_typed_has_no_price(self, owner: User, choice: Choice) -> None:
        assert told(owner, "")["price"] == ""

    def test_small_talk_of_a_weak_model_is_free(
        self, owner: User, fake_provider: FakeProvider
    ) -> None:
        route_to(fake_provider, grounding=LLMModel.Grounding.SENTENCES)
        assert told(owner, "Hello")["price"] == "Costs nothing"

    def test_without_a_model_or_a_budget_nothing_is_claimed(self, owner: User) -> None:
        assert told(owner) == {
            "price": "",
            "low_nanos": None,
            "high_nanos": None,
            "budget": "",
            "left_nanos": None,
            "level": "",
        }

    def test_the_budget_with_the_least_left_is_told(self, owner: User, choice: Choice) -> None:
        [membership] = owner.memberships.all()
        Budget.objects.create(department=membership.department, limit_nanos=9_000_000_000)
        Budget.objects.create(user=owner, limit_nanos=1_000_000_000, period="DAY")
        assert told(owner)["budget"] == "1.00 $ left until tomorrow"

    @pytest.mark.parametrize(
        ("at_limit", "spent", "level", "words"),
        [
            ("REFUSE", 4, "", "6.00 $ left"),
            ("REFUSE", 5, "soft", "5.00 $ left"),
            ("CACHED_ONLY", 5, "soft", "Only earlier answers"),
            ("CHEAPER_MODEL", 5, "soft", "5.00 $ left"),
            ("REFUSE", 10, "over", "Budget used up"),
        ],
    )
    def test_near_a_limit_it_warns(
        self, owner: User, choice: Choice, at_limit: str, spent: int, level: str, words: str
    ) -> None:
        Budget.objects.create(
            user=owner,
            limit_nanos=10 * 10**9,
            soft_limit_nanos=5 * 10**9,
            period="TOTAL",
            at_limit=at_limit,
        )
        BudgetPeriod.objects.update(spent_nanos=spent * 10**9)
        found = told(owner)
        assert (found["level"], found["budget"]) == (level, words)

    def test_where_the_cheapest_model_answers_its_price_is_told(
        self, owner: User, choice: Choice, fake_provider: FakeProvider
    ) -> None:
        dear = told(owner)["high_nanos"]
        priced(route_to(fake_provider, name="Cheap"), {Meter.OUTPUT: 1})
        Budget.objects.create(
            user=owner, limit_nanos=10**9, soft_limit_nanos=0, at_limit="CHEAPER_MODEL"
        )
        assert told(owner)["high_nanos"] < dear / 2

    @pytest.mark.django_db(transaction=True)
    def test_it_takes_six_queries_and_asks_no_model(
        self, owner: User, choice: Choice, fake_provider: FakeProvider
    ) -> None:
        Budget.objects.create(user=owner, limit_nanos=10**9)
        conversation = conversation_of(owner)
        client = Client()
        client.force_login(owner)
        values = {"content": "How many?", "conversation": str(conversation.pk), "parent": ""}
        client.post(reverse("chat:price"), values)
        with CaptureQueriesContext(connection) as queries:
            client.post(reverse("chat:price"), values)
        ours = [one["sql"] for one in queries if "session" not in one["sql"]]
        assert len(ours) <= 6, ours
        assert not fake_provider.requests


class TestOthers:
    def test_budgets_and_payers_of_others_are_not_told(
        self, owner: User, outsider: User, choice: Choice
    ) -> None:
        Budget.objects.create(user=owner, limit_nanos=1)
        [membership] = owner.memberships.all()
        Budget.objects.create(department=membership.department, limit_nanos=1)
        assert told(outsider)["budget"] == ""
        client = Client()
        client.force_login(outsider)
        values = {"content": "How many?", "department": str(membership.department_id)}
        assert client.post(reverse("chat:price"), values).status_code == 404
        conversation = conversation_of(owner)
        values = {"content": "How many?", "conversation": str(conversation.pk)}
        assert client.post(reverse("chat:price"), values).status_code == 404

    def test_of_everybodys_budget_only_the_share_is_told(
        self, owner: User, outsider: User, choice: Choice
    ) -> None:
        Budget.objects.create(limit_nanos=8 * 10**9, period="TOTAL")
        BudgetPeriod.objects.update(spent_nanos=3 * 10**9)
        for user in (owner, outsider):
            found = told(user)
            assert (found["budget"], found["left_nanos"]) == ("62 % left", None)

    def test_the_department_chosen_pays(self, owner: User, choice: Choice) -> None:
        other = DepartmentFactory(name="Zoo")
        owner.memberships.create(department=other)
        Budget.objects.create(department=other, limit_nanos=3 * 10**9, period="TOTAL")
        assert told(owner)["budget"] == ""
        assert told(owner, department=str(other.pk))["budget"] == "3.00 $ left"

    def test_somebody_without_a_department_is_told_nothing(self, outsider: User) -> None:
        outsider.memberships.all().delete()
        assert told(outsider)["budget"] == ""

    def test_who_has_left_the_department_that_pays_is_not_told_what_it_has_left(
        self, owner: User, choice: Choice
    ) -> None:
        [membership] = owner.memberships.all()
        Budget.objects.create(department=membership.department, limit_nanos=3 * 10**9)
        conversation = conversation_of(owner)
        assert told(owner, conversation=str(conversation.pk))["left_nanos"] == 3 * 10**9
        owner.memberships.create(department=DepartmentFactory())
        membership.delete()
        found = told(owner, conversation=str(conversation.pk))
        assert found == {"price": "", "budget": "", "level": ""}

    def test_a_visitor_is_sent_to_the_sign_in(self, client: Client, db: None) -> None:
        assert client.post(reverse("chat:price"), {"content": "x"}).status_code == 302
