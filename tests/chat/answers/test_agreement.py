"""Two answers say the same when their text does, but for words of style."""

import pytest

from apps.chat.answers.agreement import say_the_same
from apps.chat.types import KeptAnswer, Place

PLACE = Place(1, "d", "v", "policy.pdf", 1, 0, 24, "")


def answer(text: str) -> KeptAnswer:
    """Return an answer of this text."""
    return KeptAnswer("", text, (PLACE,), (("d", "v"),), "", "", 1, 0, 0.0, "")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Annual leave is 28 days [1].", "annual leave is  28 days"),
        ("Employees get 28 days of annual leave [1].", "You get 28 days of annual leave."),
        ("The expenses are approved by Anna [2].", "Your expenses are approved by Anna."),
    ],
)
def test_the_same_facts_in_other_words(one: str, other: str) -> None:
    assert say_the_same(answer(one), answer(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Annual leave is 28 days [1].", "Annual leave is 30 days [1]."),
        ("Smoking is allowed on the terrace.", "Smoking is not allowed on the terrace."),
        ("Anna approves the expenses of Support.", "Ben approves the expenses of Support."),
        ("The documents do not say.", "Annual leave is 28 days [1]."),
        ("Tell HR before the trip begins.", "Tell HR after the trip begins."),
        ("You may tell HR.", "You must tell HR."),
        ("Anna signs and Ben pays.", "Ben signs and Anna pays."),
        ("It is 10 % more.", "It is 10 more."),
        ("It is 3.5 hours.", "It is 35 hours."),
    ],
)
def test_other_facts_in_nearly_the_same_words(one: str, other: str) -> None:
    assert not say_the_same(answer(one), answer(other))


def test_answers_without_facts_say_nothing() -> None:
    assert not say_the_same(answer(""), answer(""))
    assert not say_the_same(answer("There it is."), answer("It is."))
