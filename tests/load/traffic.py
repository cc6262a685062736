"""Makes a day of an organisation's traffic from a seed alone: no clock, no other chance; see `events` for what is in it.

Questions follow Zipf's law, in each department in an order of its own, so that repeats gather within departments.
About half are asked in the usual words, the others in one of three dozen wordings, popular ones more often. Documents
are edited, readers come and go, and around each change some who are touched by it ask.
"""

from collections.abc import Sequence

import numpy as np

from tests.load.events import (
    Audience,
    Day,
    Depart,
    Edit,
    Event,
    Join,
    Leave,
    Paper,
    Question,
    Readers,
    Remove,
    Share,
    Upload,
    Visit,
)
from tests.load.organisation import Organisation, Sizes
from tests.load.topics import Topic

HOUR = 3600.0
# Visits by hour of the day: an office's, with its two humps.
CURVE = {6: 1, 7: 4, 8: 9, 9: 13, 10: 14, 11: 11, 12: 6, 13: 9, 14: 12, 15: 10, 16: 7, 17: 3, 18: 1}
BEGINS, ENDS = 6 * HOUR, 19 * HOUR
ZIPF = 1.0
USUAL_WORDS = 0.5
TIMELY = 0.03
FOLLOW_UPS = 0.12
OPENS_DOCUMENT = 0.15
COMES_BACK = 0.15
# Whose papers a question is about: everyone's, a department's own, those of named people, and those of others, who
# would not be told.
POOLS = {"everyone": 0.45, "own": 0.43, "named": 0.08, "others": 0.04}
POOL_NAMES = list(POOLS)
# Seconds before and after a change at which somebody asks about it.
BEFORE, AFTER = 60.0, 1.0


def zipf_weights(size: int, exponent: float = ZIPF) -> np.ndarray:
    """Return the probabilities of the ranks 1 … size."""
    weights = 1.0 / np.arange(1, size + 1) ** exponent
    return np.asarray(weights / weights.sum())


def make_day(sizes: Sizes, seed: int) -> Day:
    """Return a day; the same for the same sizes and seed."""
    draw = np.random.default_rng(seed)
    organisation = Organisation(sizes, draw)
    people, papers = tuple(organisation.people), tuple(organisation.papers.values())
    events = _Maker(organisation, draw).events()
    return Day(sizes.departments, people, papers, tuple(events))


class _Maker:
    """Goes through the day in order, and keeps the organisation in step with what it has made happen."""

    def __init__(self, organisation: Organisation, draw: np.random.Generator) -> None:
        self.now = organisation
        self.draw = draw

    def events(self) -> list[Event]:
        sizes = self.now.sizes
        makers = [
            (self._visit, sizes.visits),
            (self._everyone_edit, sizes.everyone_edits),
            (self._department_edit, sizes.edits_each * sizes.departments),
            (self._share, sizes.shares),
            (self._upload, sizes.uploads),
            (self._remove, sizes.removals),
            (self._leave, sizes.leavers),
            (self._join, sizes.joiners),
            (self._depart, sizes.departures),
        ]
        plan = [(at, make) for make, amount in makers for at in self._times(amount)]
        plan.sort(key=lambda planned: planned[0])
        events = [event for at, make in plan for event in make(at)]
        return sorted(events, key=lambda event: event.at)

    def _times(self, amount: int) -> list[float]:
        hours, weights = list(CURVE), np.array(list(CURVE.values()), dtype=float)
        drawn = self.draw.choice(hours, size=amount, p=weights / weights.sum())
        moments: list[float] = ((drawn + self.draw.random(amount)) * HOUR).tolist()
        return moments

    def _one_of(self, things: Sequence[int]) -> int:
        return things[int(self.draw.integers(len(things)))]

    # Questions.

    def _visit(self, at: float) -> list[Event]:
        person = self._one_of(list(self.now.departments))
        pool = POOL_NAMES[int(self.draw.choice(len(POOLS), p=list(POOLS.values())))]
        topics = self.now.asked_about(person, pool) or self.now.asked_about(person, "everyone")
        topic = topics[int(self.draw.choice(len(topics), p=zipf_weights(len(topics))))]
        return [self._visit_of(at, person, self._worded(topic), is_usual=True)]

    def _visit_of(self, at: float, person: int, question: Question, *, is_usual: bool) -> Visit:
        chances = self.draw.random(3)
        follow_up = None
        if chances[0] < FOLLOW_UPS:
            topics = self.now.asked_about(person, "everyone")[:8]
            topic = topics[int(self.draw.integers(len(topics)))]
            follow_up = Question(topic.follow_up(), topic)
        return Visit(
            at=at,
            person=person,
            question=question,
            follow_up=follow_up,
            opens_document=bool(chances[1] < OPENS_DOCUMENT),
            comes_back=bool(chances[2] < COMES_BACK),
            draw=int(self.draw.integers(2**31)),
            is_usual=is_usual,
        )

    def _worded(self, topic: Topic) -> Question:
        usual, *others = topic.wordings()
        if self.draw.random() < TIMELY:
            return Question(topic.timely(), topic)
        if self.draw.random() < USUAL_WORDS:
            return Question(usual, topic)
        place = int(self.draw.choice(len(others), p=zipf_weights(len(others))))
        return Question(others[place], topic)

    def _asked_around(self, at: float, people: Sequence[int], topic: Topic) -> list[Event]:
        """Have some ask just before and just after a change: what is kept from before must not serve after it."""
        question = Question(topic.wordings()[0], topic)
        return [
            self._visit_of(at + offset * (1 + place), person, question, is_usual=False)
            for place in range(self.now.sizes.asked_around)
            for person in [self._one_of(people)]
            for offset in (-BEFORE, AFTER)
        ]

    # Changes.

    def _everyone_edit(self, at: float) -> list[Event]:
        return self._edit(at, self.now.some_paper(Audience.EVERYONE))

    def _department_edit(self, at: float) -> list[Event]:
        return self._edit(at, self.now.some_paper(Audience.DEPARTMENT))

    def _edit(self, at: float, paper: Paper) -> list[Event]:
        stated = self.now.values[paper.number]
        topic = list(stated)[int(self.draw.integers(len(stated)))]
        stated[topic] = next(self.now.fresh_values)
        edit = Edit(at=at, paper=paper.number, topic=topic, value=stated[topic])
        return [*self._asked_around(at, self.now.readers_of(paper), topic), edit]

    def _share(self, at: float) -> list[Event]:
        """Give a department's paper to everyone, or one of everyone's to its owner's department."""
        kind = (Audience.EVERYONE, Audience.DEPARTMENT)[int(self.draw.integers(2))]
        paper = self.now.some_paper(kind)
        home = self.now.people[paper.owner].departments[0]
        readers = Readers(Audience.EVERYONE)
        if kind == Audience.EVERYONE:
            readers = Readers(Audience.DEPARTMENT, home)
        asked = self._asked_around(at, list(self.now.departments), paper.values[0][0])
        self.now.papers[paper.number] = Paper(paper.number, paper.owner, readers, paper.values)
        return [*asked, Share(at=at, paper=paper.number, readers=readers)]

    def _upload(self, at: float) -> list[Event]:
        paper = self.now.paper(self.now.some_member(), Readers(Audience.EVERYONE))
        self.now.papers[paper.number] = paper
        self.now.values[paper.number] = dict(paper.values)
        asked = self._asked_around(at, list(self.now.departments), paper.values[0][0])
        return [*asked, Upload(at=at, paper=paper)]

    def _remove(self, at: float) -> list[Event]:
        paper = self.now.some_paper(Audience.DEPARTMENT)
        asked = self._asked_around(at, self.now.readers_of(paper), paper.values[0][0])
        del self.now.papers[paper.number], self.now.values[paper.number]
        return [*asked, Remove(at=at, paper=paper.number)]

    def _leave(self, at: float) -> list[Event]:
        person = self.now.some_member()
        department = self.now.people[person].departments[0]
        asked = self._asked_around(at, [person], self.now.asked_about(person, "own")[0])
        self.now.departments[person].discard(department)
        return [*asked, Leave(at=at, person=person, department=department)]

    def _join(self, at: float) -> list[Event]:
        person = self.now.some_member()
        department = (self.now.people[person].departments[0] + 2) % self.now.sizes.departments
        self.now.departments[person].add(department)
        asked = self._asked_around(at, [person], self.now.asked_about(person, "own")[0])
        return [*asked, Join(at=at, person=person, department=department)]

    def _depart(self, at: float) -> list[Event]:
        person = self.now.some_member()
        asked = self._asked_around(at, [person], self.now.asked_about(person, "own")[0])
        del self.now.departments[person]
        return [*asked, Depart(at=at, person=person)]
