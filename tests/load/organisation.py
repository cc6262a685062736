"""Makes an organisation from a seed: people, departments and papers, and keeps who reads what while a day is made."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from tests.load.events import Audience, Paper, Person, Readers
from tests.load.topics import Topic, families

# Standard deviation, in logarithms of ranks, of a department's order of what it asks about.
LOCAL_TASTE = 0.8


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is of everything; what happens is counted over the whole day."""

    departments: int = 12
    people_each: int = 15
    two_departments: int = 18
    everyone_papers: int = 20
    department_papers: int = 5
    named_papers: int = 6
    private_papers: int = 20
    topics_each: int = 8
    visits: int = 2000
    everyone_edits: int = 2
    edits_each: int = 2
    shares: int = 4
    uploads: int = 2
    removals: int = 2
    leavers: int = 6
    joiners: int = 4
    departures: int = 2
    asked_around: int = 3


class Organisation:
    """Who is where and what is readable, at one moment of the day that is being made."""

    def __init__(self, sizes: Sizes, draw: np.random.Generator) -> None:
        self.sizes = sizes
        self.draw = draw
        # No value is stated twice, ever: a value in an answer tells where it is from.
        self.fresh_values = iter(draw.permutation(np.arange(10_000, 100_000)).tolist())
        self._numbers = count()
        all_families = families()
        self._families = [all_families[index] for index in draw.permutation(len(all_families))]
        self._next_family = count()
        self._taste = draw.normal(0, LOCAL_TASTE, (sizes.departments, 10_000))
        self.people = self._make_people()
        self.papers = {paper.number: paper for paper in self._make_papers()}
        self.departments = {one.number: set(one.departments) for one in self.people}
        self.values = {number: dict(paper.values) for number, paper in self.papers.items()}

    def _make_people(self) -> list[Person]:
        sizes = self.sizes
        amount = sizes.departments * sizes.people_each
        in_two = set(self.draw.choice(amount, sizes.two_departments, replace=False).tolist())
        people = []
        for number in range(amount):
            home = number // sizes.people_each
            second = ((home + 1) % sizes.departments,) if number in in_two else ()
            people.append(Person(number, (home, *second)))
        return people

    def _make_papers(self) -> list[Paper]:
        sizes = self.sizes
        papers = [
            self.paper(int(self.draw.integers(len(self.people))), Readers(Audience.EVERYONE))
            for _one in range(sizes.everyone_papers)
        ]
        # The same questions in each department, and other answers: the rules of the house.
        rules = self._topics()
        for department in range(sizes.departments):
            owner = department * sizes.people_each
            readers = Readers(Audience.DEPARTMENT, department)
            papers.append(self.paper(owner, readers, rules))
            papers += [self.paper(owner, readers) for _one in range(sizes.department_papers - 1)]
        for size, amount in ((5, sizes.named_papers), (1, sizes.private_papers)):
            for _one in range(amount):
                named = self.draw.choice(len(self.people), size, replace=False).tolist()
                papers.append(
                    self.paper(named[0], Readers(Audience.PEOPLE, people=frozenset(named)))
                )
        return papers

    def _topics(self) -> list[Topic]:
        family = self._families[next(self._next_family) % len(self._families)]
        chosen = self.draw.choice(len(family), self.sizes.topics_each, replace=False)
        return [family[index] for index in sorted(chosen.tolist())]

    def paper(self, owner: int, readers: Readers, topics: Sequence[Topic] = ()) -> Paper:
        """Return a new paper about these topics, or about some of one family."""
        values = tuple((topic, next(self.fresh_values)) for topic in topics or self._topics())
        return Paper(next(self._numbers), owner, readers, values)

    def readers_of(self, paper: Paper) -> list[int]:
        """Return the people who may read a paper now."""
        readers = paper.readers
        if readers.audience == Audience.EVERYONE:
            return list(self.departments)
        if readers.audience == Audience.PEOPLE:
            return [one for one in self.departments if one in readers.people]
        return [one for one, own in self.departments.items() if readers.department in own]

    def some_paper(self, audience: Audience) -> Paper:
        """Return one of the papers of this kind of audience."""
        found = [one for one in self.papers.values() if one.readers.audience == audience]
        return found[int(self.draw.integers(len(found)))]

    def some_member(self) -> int:
        """Return somebody who owns no papers and has not left anything yet."""
        owners = {paper.owner for paper in self.papers.values()}
        staying = [
            one.number
            for one in self.people
            if one.number not in owners
            and one.departments[0] in self.departments.get(one.number, ())
        ]
        return int(staying[int(self.draw.integers(len(staying)))])

    def asked_about(self, person: int, pool: str) -> list[Topic]:
        """Return what a person asks about of a pool (see `traffic.POOLS`), the likeliest first."""
        departments = self.departments.get(person, set())
        found: list[Topic] = []
        for paper in self.papers.values():
            readers = paper.readers
            is_own = readers.department in departments
            belongs = {
                "everyone": readers.audience == Audience.EVERYONE,
                "own": is_own,
                "named": person in readers.people,
                "others": readers.audience == Audience.DEPARTMENT and not is_own,
            }
            if belongs[pool]:
                found += self.values[paper.number]
        topics = list(dict.fromkeys(found))
        # One order for all, shifted by the department's taste.
        home = self.people[person].departments[0]
        liking = np.log(np.arange(1, len(topics) + 1)) + self._taste[home, : len(topics)]
        return [topics[index] for index in np.argsort(liking, kind="stable")]
