"""A kept answer over real HTTP: in the question's own response, from any process, and stopped by nobody's revocation."""

import pytest
from asgiref.sync import sync_to_async

from apps.accounts.models import User
from apps.accounts.services import everyone
from apps.chat.models import CachedAnswer, Message
from apps.documents.models import Document
from tests.chat.answers.asking import QUESTION, near
from tests.chat.answers.test_semantic import PARAPHRASE, taught, turn
from tests.chat.serving import Browser, Server, text_of
from tests.factories.documents import served
from tests.fake_provider import FakeProvider

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("connections_returned", "policy"),
]
WORDS = ("There are", " 28 days", " [1].")


def will_embed_then_answer(provider: FakeProvider) -> None:
    """Have the question embedded, which takes a script of its own, and answered."""
    provider.will_answer()
    provider.will_answer(*WORDS)


async def layer_of(reply_id: str) -> str:
    """Return where a reply came from."""
    reply = await Message.objects.aget(pk=reply_id)
    assert reply.receipt is not None
    return str(reply.receipt["cache_layer"])


async def test_a_kept_answer_comes_whole_on_the_question_s_own_response(
    server: Server, other_server: Server, provider: FakeProvider, owner: User, colleague: User
) -> None:
    will_embed_then_answer(provider)
    async with Browser(server, owner) as browser:
        computed = await browser.answer(QUESTION, sources="ALL")
    async with Browser(other_server, colleague) as browser:
        given = await browser.answer("how many days of annual leave are there", sources="ALL")

    assert text_of(computed) == "There are 28 days [1]."
    assert [name for name, _data in given] == ["accepted", "done"]
    assert "28 days" in given[1][1]["html"]
    assert "Answered from an earlier, identical question" in given[1][1]["html"]
    assert given[1][1]["state"] == "DONE"
    assert await layer_of(given[0][1]["reply"]) == "exact"
    assert len([one for one in provider.requests if "chat" in one.path]) == 1


async def test_an_answer_by_meaning_ends_the_reply_that_waited(
    server: Server, provider: FakeProvider, owner: User, colleague: User
) -> None:
    provider.vectors |= {QUESTION: near(1.0), PARAPHRASE: near(0.97)}
    will_embed_then_answer(provider)
    await sync_to_async(turn)(**{"chat.semantic_shadow_ratio": 0.0})
    async with Browser(server, owner) as browser:
        await browser.answer(QUESTION, sources="ALL")
    await sync_to_async(taught)(await CachedAnswer.objects.aget())
    async with Browser(server, colleague) as browser:
        given = await browser.answer(PARAPHRASE, sources="ALL")

    assert given[-1][0] == "done"
    assert "28 days" in given[-1][1]["html"]
    assert await layer_of(given[0][1]["reply"]) == "semantic"


@pytest.fixture
def policy(owner: User) -> Document:
    """A document that everyone may read."""
    return served(owner, "Annual leave is 28 days.", audience=everyone())
