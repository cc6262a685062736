"""Knows what was right at each moment of a replay: the intervals in which who could read what, and what it stated.

A change is not a moment here but the time its commit may lie in: the old state may be seen until its end, the new one
from its beginning. What is seen outside of that is wrong, however short the time.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

from tests.load.events import Audience, Paper, Person, Readers
from tests.load.topics import Topic

Span = tuple[float, float]
Spans = Sequence[Span]


class Verdict(StrEnum):
    """What is to be said of an answer."""

    RIGHT = "RIGHT"
    # It states no value, and there was none the person could read.
    RIGHTLY_REFUSED = "RIGHTLY REFUSED"
    # It states no value although there was one: the search has missed it.
    MISSED = "MISSED"
    # A value of a document the person can read, which the document no longer states.
    STALE = "STALE"
    # A value of a document the person could not read when the question came, nor since.
    ACROSS = "ACROSS"
    # A value that answers another question.
    WRONG = "WRONG"


@dataclass(slots=True)
class Kept:
    """A value that changes, as the pairs of what it was and when it could be seen so."""

    states: list[tuple[object, float, float]] = field(default_factory=list)

    def become(self, value: object, change: Span) -> None:
        """Have another value, from a change that began and ended then; None: nothing."""
        if self.states:
            old, since, _until = self.states[-1]
            self.states[-1] = (old, since, change[1])
        if value is not None:
            self.states.append((value, change[0], inf))

    def when(self, *values: object) -> list[Span]:
        """Return when it could be seen as one of these."""
        return [(since, until) for value, since, until in self.states if value in values]


def common(one: Spans, other: Spans) -> list[Span]:
    """Return when both hold."""
    return [(max(a, c), min(b, d)) for a, b in one for c, d in other if max(a, c) <= min(b, d)]


class Oracle:
    """What was so, when; told of each change by whoever makes it."""

    def __init__(self) -> None:
        self._active: defaultdict[int, Kept] = defaultdict(Kept)
        self._member: defaultdict[tuple[int, int], Kept] = defaultdict(Kept)
        self._readers: defaultdict[int, Kept] = defaultdict(Kept)
        self._values: defaultdict[tuple[int, Topic], Kept] = defaultdict(Kept)
        self._source: dict[int, tuple[int, Topic]] = {}
        self._papers_on: defaultdict[Topic, set[int]] = defaultdict(set)

    def person(self, person: Person, change: Span) -> None:
        """Be told of somebody new."""
        self._active[person.number].become(True, change)
        for department in person.departments:
            self.joined(person.number, department, change)

    def departed(self, person: int, change: Span) -> None:
        """Be told that somebody reads nothing any more."""
        self._active[person].become(None, change)

    def joined(self, person: int, department: int, change: Span) -> None:
        """Be told of a membership."""
        self._member[person, department].become(True, change)

    def left(self, person: int, department: int, change: Span) -> None:
        """Be told of a membership's end."""
        self._member[person, department].become(None, change)

    def paper(self, paper: Paper, change: Span) -> None:
        """Be told of a new paper."""
        self.shared(paper.number, paper.readers, change)
        for topic, value in paper.values:
            self.stated(paper.number, topic, value, change)

    def shared(self, paper: int, readers: Readers, change: Span) -> None:
        """Be told of a paper's new readers."""
        self._readers[paper].become(readers, change)

    def removed(self, paper: int, change: Span) -> None:
        """Be told that a paper is gone."""
        self._readers[paper].become(None, change)

    def stated(self, paper: int, topic: Topic, value: int, change: Span) -> None:
        """Be told what a paper states now."""
        self._values[paper, topic].become(value, change)
        self._source[value] = (paper, topic)
        self._papers_on[topic].add(paper)

    def readable(self, person: int, paper: int) -> list[Span]:
        """Return when a person could read a paper."""
        spans: list[Span] = []
        for readers, since, until in self._readers[paper].states:
            assert isinstance(readers, Readers)
            spans += common([(since, until)], self._admits(readers, person))
        return common(spans, self._active[person].when(True))

    def is_active(self, person: int, asked: Span) -> bool:
        """Say whether somebody was there to be answered, all the time."""
        active = self._active[person].when(True)
        return any(since <= asked[0] and asked[1] <= until for since, until in active)

    def _admits(self, readers: Readers, person: int) -> Spans:
        if readers.audience == Audience.EVERYONE:
            return [(-inf, inf)]
        if readers.audience == Audience.PEOPLE:
            return [(-inf, inf)] if person in readers.people else []
        return self._member[person, readers.department].when(True)

    def seen(self, person: int, value: int) -> list[Span]:
        """Return when a person could read a value."""
        paper, topic = self._source[value]
        return common(self.readable(person, paper), self._values[paper, topic].when(value))

    def judge(
        self, person: int, topic: Topic, values: Iterable[int], asked: Span
    ) -> tuple[Verdict, float]:
        """Return what is to be said of an answer with these values to a question asked and answered then, and its age.

        The age is how long, in seconds, before the question a value could have been read for the last time; 0 where it
        could be read, infinite where it never could.
        """
        worst = (Verdict.RIGHT, 0.0)
        values = list(values)
        if not values:
            return (
                Verdict.MISSED if self._knows(person, topic, asked) else Verdict.RIGHTLY_REFUSED
            ), 0.0
        order = list(Verdict)
        for value in values:
            worst = max(
                worst, self._judge(person, topic, value, asked), key=lambda one: order.index(one[0])
            )
        return worst

    def _judge(self, person: int, topic: Topic, value: int, asked: Span) -> tuple[Verdict, float]:
        paper, about = self._source[value]
        age = age_of(self.seen(person, value), asked)
        if not common(self.readable(person, paper), [asked]):
            return Verdict.ACROSS, age
        if age:
            return Verdict.STALE, age
        return (Verdict.RIGHT if about == topic else Verdict.WRONG), 0.0

    def _knows(self, person: int, topic: Topic, asked: Span) -> bool:
        """Say whether some value was there to be read all the time."""
        return any(
            since <= asked[0] and asked[1] <= until
            for paper in self._papers_on[topic]
            for since, until in common(
                self.readable(person, paper),
                [(a, b) for _value, a, b in self._values[paper, topic].states],
            )
        )


def age_of(seen: Spans, asked: Span) -> float:
    """Return how long before `asked` something was seen for the last time; 0: within it; infinite: never before it."""
    if common(seen, [asked]):
        return 0.0
    ends = [until for _since, until in seen if until < asked[0]]
    return asked[0] - max(ends) if ends else inf
