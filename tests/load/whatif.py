"""What the exact answer cache would give on a day under other keys, by arithmetic alone: what the scope costs.

A stand-in for the cache, not the cache: no near questions, no early end of an entry, answers take no time.
"""

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum
from math import inf

from tests.load.events import (
    Audience,
    Day,
    Depart,
    Edit,
    Event,
    Join,
    Leave,
    Paper,
    Readers,
    Remove,
    Share,
    Upload,
    Visit,
)
from tests.load.topics import Topic


class Keys(StrEnum):
    """What a kept answer is found by, besides its question."""

    # As shipped: the asker's audiences, each with its generation.
    SCOPE = "scope"
    # The audiences alone, if the paper behind the entry can be read and still states its value.
    AUDIENCES = "audiences"
    # Nothing: whoever can read the paper behind the entry. The asker may read more, and would be answered otherwise.
    PASSAGE = "passage"
    # Nothing, and given to everybody: unsafe, and the most that could be had.
    NOTHING = "nothing"


@dataclass(slots=True)
class Tally:
    """First questions, those that hit, and the hits whose paper the asker could not read."""

    questions: int = 0
    hits: int = 0
    leaks: int = 0

    @property
    def hit_ratio(self) -> float:
        """Return the share of hits."""
        return self.hits / max(self.questions, 1)


def tally(day: Day, keys: Keys, *, ttl_seconds: float = inf) -> Tally:
    """Return what a cache under these keys would have done on a day."""
    cache = _Cache(day, keys, ttl_seconds)
    for event in day.events:
        if isinstance(event, Visit):
            cache.ask(event)
        else:
            cache.change(event)
    return cache.tally


class _Cache:
    def __init__(self, day: Day, keys: Keys, ttl_seconds: float) -> None:
        self.tally = Tally()
        self._keys = keys
        self._ttl = ttl_seconds
        self._kept: dict[Hashable, tuple[float, int, Topic, int]] = {}
        self._departments = {one.number: set(one.departments) for one in day.people}
        self._readers: dict[int, Readers] = {}
        self._values: dict[int, dict[Topic, int]] = {}
        self._papers_on: defaultdict[Topic, list[int]] = defaultdict(list)
        self._generations: defaultdict[Readers, int] = defaultdict(int)
        for paper in day.papers:
            self._add(paper)

    def ask(self, visit: Visit) -> None:
        person, question = visit.person, visit.question
        if person not in self._departments:
            return
        self.tally.questions += 1
        key = (question.text, self._scope(person))
        kept = self._kept.get(key)
        if kept is not None and self._serves(kept, person, visit.at):
            self.tally.hits += 1
            self.tally.leaks += not self._reads(person, kept[1])
            return
        for paper in self._papers_on[question.topic]:
            if self._reads(person, paper):
                value = self._values[paper][question.topic]
                self._kept[key] = (visit.at, paper, question.topic, value)
                return

    def _serves(self, kept: tuple[float, int, Topic, int], person: int, now: float) -> bool:
        made_at, paper, topic, value = kept
        is_standing = paper in self._readers and self._values[paper][topic] == value
        may = self._keys == Keys.NOTHING or self._reads(person, paper)
        return now - made_at < self._ttl and is_standing and may

    def _scope(self, person: int) -> Hashable:
        if self._keys in {Keys.NOTHING, Keys.PASSAGE}:
            return None
        audiences = {one for one in self._generations if self._admits(one, person)}
        if self._keys == Keys.AUDIENCES:
            return frozenset(audiences)
        return frozenset((one, self._generations[one]) for one in audiences)

    def _reads(self, person: int, paper: int) -> bool:
        return paper in self._readers and self._admits(self._readers[paper], person)

    def _admits(self, readers: Readers, person: int) -> bool:
        if readers.audience == Audience.EVERYONE:
            return True
        if readers.audience == Audience.PEOPLE:
            return person in readers.people
        return readers.department in self._departments[person]

    def _add(self, paper: Paper) -> None:
        self._readers[paper.number] = paper.readers
        self._values[paper.number] = dict(paper.values)
        for topic, _value in paper.values:
            self._papers_on[topic].append(paper.number)
        self._generations[paper.readers] += 1

    def change(self, event: Event) -> None:
        match event:
            case Edit():
                self._values[event.paper][event.topic] = event.value
                self._generations[self._readers[event.paper]] += 1
            case Share():
                self._generations[self._readers[event.paper]] += 1
                self._readers[event.paper] = event.readers
                self._generations[event.readers] += 1
            case Upload():
                self._add(event.paper)
            case Remove():
                self._generations[self._readers.pop(event.paper)] += 1
            case Leave():
                self._departments[event.person].discard(event.department)
            case Join():
                self._departments[event.person].add(event.department)
            case Depart():
                del self._departments[event.person]
