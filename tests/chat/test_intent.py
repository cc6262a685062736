"""Small talk is told from questions, follow-ups from questions that stand alone."""

import tomllib
from pathlib import Path

import pytest

import project.demo
from apps.chat.intent import SmallTalk, is_follow_up, search_text, small_talk


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Hi", SmallTalk.GREETING),
        ("hello there!", SmallTalk.GREETING),
        ("Hey Parley 👋", SmallTalk.GREETING),
        ("Good morning, everyone", SmallTalk.GREETING),
        ("👋", SmallTalk.GREETING),
        ("Hi, how are you?", SmallTalk.HOW_ARE_YOU),
        ("How's it going?", SmallTalk.HOW_ARE_YOU),
        ("How’s your day going?", SmallTalk.HOW_ARE_YOU),
        ("Nice to meet you", SmallTalk.HOW_ARE_YOU),
        ("Thanks a lot!", SmallTalk.THANKS),
        ("ok thank you so much for your help", SmallTalk.THANKS),
        ("Great, thanks", SmallTalk.THANKS),
        ("Bye", SmallTalk.FAREWELL),
        ("Thanks, bye", SmallTalk.FAREWELL),
        ("See you tomorrow", SmallTalk.FAREWELL),
        ("Who are you?", SmallTalk.ABOUT),
        ("What can you do for me?", SmallTalk.ABOUT),
        ("Are you a robot?", SmallTalk.ABOUT),
        ("That is really helpful", SmallTalk.PRAISE),
        ("Can you help me?", SmallTalk.ABOUT),
        ("ok", SmallTalk.ACKNOWLEDGED),
        ("Tell me a joke", SmallTalk.JOKE),
    ],
)
def test_small_talk_is_known(text: str, kind: SmallTalk) -> None:
    assert small_talk(text) == kind


@pytest.mark.parametrize(
    "text",
    [
        "Hi, how many days of leave do I have?",
        "Thanks. And who approves it?",
        "What can you tell me about sick leave?",
        "Who is the head of operations?",
        "Can you help me file an expense claim?",
        "Is there a good hotel in Hull?",
        "What time is good for the morning meeting?",
        "later deliveries",
        "hi-vis jacket price",
        "How does this work contract end?",
        "test procedure for the pump",
        "",
    ],
)
def test_a_question_is_no_small_talk(text: str) -> None:
    assert small_talk(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("And in Bristol?", True),
        ("Who approves it?", True),
        ("What about part-time employees?", True),
        ("How many days of annual leave does a full-time employee have?", False),
    ],
)
def test_follow_ups_lean_on_the_question_before(text: str, expected: bool) -> None:
    assert is_follow_up(text) is expected


def test_the_search_of_a_follow_up_names_what_it_follows() -> None:
    first = "How many days of annual leave do I have?"
    assert search_text("And in Bristol?", first) == f"{first}\nAnd in Bristol?"
    assert search_text("And in Bristol?", None) == "And in Bristol?"
    assert search_text("And in Bristol?", "Thanks!") == "And in Bristol?"


def demo_questions(kind: str) -> list[str]:
    """Return the demo's gold questions of a kind."""
    path = Path(project.demo.__file__).parent / "questions.toml"
    return [one["text"] for one in tomllib.loads(path.read_text(encoding="utf-8"))[kind]]


def test_the_demos_small_talk_is_known() -> None:
    missed = [text for text in demo_questions("small_talk") if small_talk(text) is None]
    assert missed == []


@pytest.mark.parametrize("kind", ["answered", "unanswerable"])
def test_no_question_of_the_demo_is_taken_for_small_talk(kind: str) -> None:
    assert [text for text in demo_questions(kind) if small_talk(text)] == []
