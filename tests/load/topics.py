"""What the people of a replayed day ask about: facts in near-miss families, the sentences that state them, the ways to ask."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# In each pair the meaning is near and the answer another; neither word is one that the signs of a question know.
THINGS: Final = {
    "travel allowance": "euros", "meal allowance": "euros", "notice period": "hours", "probation period": "hours",
    "parking fee": "euros", "locker fee": "euros", "response time": "minutes", "repair time": "minutes",
    "training budget": "euros", "equipment budget": "euros", "storage quota": "megabytes",
    "mailbox quota": "megabytes", "retention time": "hours", "archiving time": "hours", "deposit": "euros",
    "surcharge": "euros", "order limit": "euros", "credit limit": "euros", "room capacity": "people",
    "canteen capacity": "people", "audit interval": "hours", "inspection interval": "hours",
    "relocation bonus": "euros", "referral bonus": "euros",
}  # fmt: skip
ENTITIES: Final = (
    "contractors", "trainees", "the Bristol office", "the Leeds office", "field engineers", "sales partners",
    "laptop model A", "laptop model B", "night shifts", "weekend shifts", "the Alpha project", "the Delta project",
    "shared rooms", "single rooms", "urgent orders", "regular orders",
)  # fmt: skip
VARIANTS: Final = (
    "", " in 2024", " in 2025", " with a permit", " without a permit", " under plan A", " under plan B",
)  # fmt: skip

# The first is how most people ask: it is what the page suggests and what is copied from a mail.
_TEMPLATES: Final = (
    "What is the {thing} for {entity}{variant}?",
    "what's the {thing} for {entity}{variant}",
    "Tell me the {thing} for {entity}{variant}.",
    "Which {thing} applies to {entity}{variant}?",
    "What {thing} is set for {entity}{variant}?",
    "I need to know the {thing} for {entity}{variant}.",
    "Could you look up the {thing} for {entity}{variant}?",
    "How high is the {thing} for {entity}{variant}?",
    "Do you know the {thing} for {entity}{variant}?",
    "Give me the {thing} for {entity}{variant}, please.",
    "The {thing} for {entity}{variant}?",
    "What do our documents say about the {thing} for {entity}{variant}?",
)
_OPENINGS: Final = ("", "Hello, ", "A question: ")
_TIMELY: Final = "What is the current {thing} for {entity}{variant}?"
_FOLLOW_UP: Final = "And the {thing} for {entity}{variant}?"


@dataclass(frozen=True, slots=True)
class Topic:
    """What can be asked: one thing of one entity, in one variant."""

    thing: str
    entity: str
    variant: str

    def statement(self, value: int) -> str:
        """Return the sentence by which a document states a value."""
        return f"The {self.thing} for {self.entity}{self.variant} is {value} {THINGS[self.thing]}."

    def value_in(self, text: str) -> int | None:
        """Return the value a text states, None where it states none."""
        stated = (
            rf"The {self.thing} for {self.entity}{self.variant} is (\d{{5}}) {THINGS[self.thing]}\."
        )
        found = re.search(stated, text)
        return int(found.group(1)) if found else None

    def wordings(self) -> Sequence[str]:
        """Return the ways to ask for it as a first question, the usual one first."""
        asked = [self._worded(template) for template in _TEMPLATES]
        return [asked[0]] + [
            f"{opening}{text[0].lower()}{text[1:]}" if opening else text
            for text in asked[1:]
            for opening in _OPENINGS
        ]

    def timely(self) -> str:
        """Return a question whose answer depends on when it is asked, by its words."""
        return self._worded(_TIMELY)

    def follow_up(self) -> str:
        """Return a question that leans on the one before it."""
        return self._worded(_FOLLOW_UP)

    def _worded(self, template: str) -> str:
        return template.format(thing=self.thing, entity=self.entity, variant=self.variant)


def families() -> list[list[Topic]]:
    """Return all topics by their pair of things and pair of entities: within a family all are near misses of each other."""
    things, entities = list(THINGS), list(ENTITIES)
    return [
        [
            Topic(thing, entity, variant)
            for thing in things[first : first + 2]
            for entity in entities[second : second + 2]
            for variant in VARIANTS
        ]
        for first in range(0, len(things), 2)
        for second in range(0, len(entities), 2)
    ]
