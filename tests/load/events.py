"""What happens on a replayed day: visits with their questions, and changes of documents and of who reads them."""

from dataclasses import dataclass, field
from enum import StrEnum

from tests.load.topics import Topic


class Audience(StrEnum):
    """Who may read a paper."""

    EVERYONE = "EVERYONE"
    DEPARTMENT = "DEPARTMENT"
    PEOPLE = "PEOPLE"


@dataclass(frozen=True, slots=True)
class Readers:
    """The readers of a paper; `people` are the named ones, and one of them alone is a private paper's owner."""

    audience: Audience
    department: int = -1
    people: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, by number, and the departments they begin the day in."""

    number: int
    departments: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Paper:
    """A document: its readers and the values it states as the day begins, or as it is uploaded."""

    number: int
    owner: int
    readers: Readers
    values: tuple[tuple[Topic, int], ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A question in its words, and what it asks for."""

    text: str
    topic: Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happens; `at` in seconds since midnight."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit(Event):
    """A person asks, perhaps asks on, perhaps opens the document behind the answer, perhaps comes back to it."""

    person: int
    question: Question
    follow_up: Question | None = None
    opens_document: bool = False
    comes_back: bool = False
    # The process that serves each request of the visit is drawn from this.
    draw: int = 0
    # Made by the day's own curve; false for the questions somebody asks because something has changed.
    is_usual: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit(Event):
    """A paper states another value from now on."""

    paper: int
    topic: Topic
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Share(Event):
    """A paper gets other readers."""

    paper: int
    readers: Readers


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload(Event):
    """A new paper."""

    paper: Paper


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove(Event):
    """A paper is deleted."""

    paper: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave(Event):
    """A person leaves a department, and with it what only it reads."""

    person: int
    department: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Join(Event):
    """A person joins a department."""

    person: int
    department: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Depart(Event):
    """A person is deactivated: from now on they read nothing."""

    person: int


@dataclass(frozen=True, slots=True)
class Day:
    """All of it: who and what there is as it begins, and what happens, in order."""

    department_count: int
    people: tuple[Person, ...]
    papers: tuple[Paper, ...]
    events: tuple[Event, ...] = field(repr=False)

    @property
    def visits(self) -> list[Visit]:
        """Return the visits alone."""
        return [event for event in self.events if isinstance(event, Visit)]
