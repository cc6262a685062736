"""A model of a replayed day over real HTTP: it answers from the sources it is given, and only from these."""

import json
import re
from collections.abc import Mapping
from typing import Self

from tests.fake_provider import FakeProvider, Receive, Recorded, Script, Send
from tests.load.events import Day
from tests.load.topics import Topic

NOT_SAID = "The documents do not say."
# A model words the same thing in more than one way, by the wording of the question: a share of its answers.
REWORDED = 0.1

_SOURCE = re.compile(r'<source number="(\d+)"[^>]*>\n(.*?)\n</source>', re.DOTALL)


class Model(FakeProvider):
    """A provider whose answers come from the prompts; `topics` says what each question of the day asks for."""

    def __init__(self, topics: Mapping[str, Topic]) -> None:
        super().__init__()
        self._topics = topics

    @classmethod
    def of(cls, day: Day) -> Self:
        """Return the model of a day."""
        asked = [question for visit in day.visits for question in (visit.question, visit.follow_up)]
        return cls({one.text: one.topic for one in asked if one is not None})

    async def _answer_unless_left(
        self, request: Recorded, script: Script, receive: Receive, send: Send
    ) -> None:
        text = self._answer(str(request.body["messages"][-1]["content"]))
        words = re.findall(r"\S+\s*", text)
        await super()._answer_unless_left(request, Script(steps=words), receive, send)

    def _answer(self, prompt: str) -> str:
        question = prompt.rpartition("Question: ")[2].strip()
        topic = self._topics[question]
        for number, text in _SOURCE.findall(prompt):
            value = topic.value_in(text)
            if value is not None:
                stated = topic.statement(value)[:-1]
                if _share(question) < REWORDED:
                    stated = (
                        f"According to the rules, it is {value} for {topic.entity}{topic.variant}"
                    )
                return f"{stated} [{number}]."
        return NOT_SAID


def _share(text: str) -> float:
    """Return a number from 0 to 1 that is always the same for a text."""
    return (sum(map(ord, json.dumps(text))) % 100) / 100
