"""Makes a day's organisation in the database, and its changes, by the services that make them; tells the oracle of each."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from django.db import transaction

from apps.accounts.models import Audience as AudienceRow
from apps.accounts.models import Department, Membership, User
from apps.accounts.services import (
    audience_of_department,
    audience_of_user,
    bump_generation,
    everyone,
    make_custom_audience,
)
from apps.billing.models import Purpose
from apps.billing.types import CallContext
from apps.core.ids import uuid7
from apps.documents import services
from apps.documents.models import Document, Passage, PassageEmbedding
from apps.documents.serving import serve_version
from apps.documents.types import Sharing, Visibility
from apps.llm import services as llm
from apps.llm.models import Route
from tests.factories.accounts import DepartmentFactory
from tests.factories.documents import served_version
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
)
from tests.load.oracle import Oracle, Span
from tests.load.topics import Topic

_OPENING = (
    "This paper is kept by the people named at its end and is binding for whoever it is about."
)
_BETWEEN = (
    "Questions about it go to the same people.",
    "It was agreed with the works council and is looked at again when needed.",
    "Whoever is new here is told about it in the first week.",
)


class World:
    """The day's rows, by the day's numbers. `is_shared` gives every paper to everyone, to see what scopes cost."""

    def __init__(self, day: Day, *, has_vectors: bool, is_shared: bool = False) -> None:
        self.oracle = Oracle()
        self._has_vectors = has_vectors
        self._is_shared = is_shared
        self._values: dict[int, dict[Topic, int]] = {}
        self.documents: dict[int, Document] = {}
        # It pays for all, and is nobody's audience: whoever leaves a department can still ask.
        self.payer = DepartmentFactory(code="payer")
        self._departments = [
            Department.objects.create(code=f"d{number}", name=f"Department {number}")
            for number in range(day.department_count)
        ]
        self.users: list[User] = []
        for person in day.people:
            user = User.objects.create(
                email=f"p{person.number}@example.org", default_department=self.payer
            )
            joined = [self.payer, *(self._departments[one] for one in person.departments)]
            Membership.objects.bulk_create(
                Membership(user=user, department=department) for department in joined
            )
            self.users.append(user)
            self.oracle.person(person, _NOW)
        for paper in day.papers:
            self._add(paper)

    def apply(self, event: Event) -> None:
        """Make a change happen."""
        changes: dict[type[Event], Callable[..., None]] = {
            Edit: self._edit,
            Share: self._share,
            Upload: self._upload,
            Remove: self._remove,
            Leave: self._leave,
            Join: self._join,
            Depart: self._depart,
        }
        changes[type(event)](event)

    def _readers(self, readers: Readers) -> Readers:
        return Readers(Audience.EVERYONE) if self._is_shared else readers

    def _add(self, paper: Paper) -> None:
        readers = self._readers(paper.readers)
        paper = Paper(paper.number, paper.owner, readers, paper.values)
        self._values[paper.number] = dict(paper.values)
        document = Document.objects.create(
            owner=self.users[paper.owner],
            audience=self._audience(readers),
            paying_department=self.payer,
            name=f"paper {paper.number}.pdf",
            content_type="application/pdf",
            size_bytes=100,
            sha256=hashlib.sha256(uuid7().bytes).hexdigest(),
            tags=[],
            status=Document.Status.READY,
        )
        self.documents[paper.number] = document
        with self._built(document, paper.number) as serve:
            change = _timed(serve)
        self.oracle.paper(paper, change)

    def _audience(self, readers: Readers) -> AudienceRow:
        if readers.audience == Audience.EVERYONE:
            return everyone()
        if readers.audience == Audience.DEPARTMENT:
            return audience_of_department(self._departments[readers.department])
        people = [self.users[number] for number in sorted(readers.people)]
        return audience_of_user(people[0]) if len(people) == 1 else make_custom_audience(people)

    @contextmanager
    def _built(self, document: Document, number: int) -> Iterator[Callable[[], None]]:
        """Give what serves a new version, built as ingestion does it: found by nobody until then."""
        with transaction.atomic():
            version = served_version(document, _pages(self._values[number]))
            passages = Passage.objects.filter(version=version)
            passages.update(is_serving=False)
        if self._has_vectors:
            self._embed(list(passages))

        @transaction.atomic
        def serve() -> None:
            locked = Document.objects.select_for_update(of=("self",)).get(pk=document.pk)
            serve_version(locked, version.pk)
            bump_generation(locked.audience)

        yield serve

    def _embed(self, passages: Sequence[Passage]) -> None:
        choice = llm.choose(Route.Use.EMBEDDING)
        context = CallContext(
            request_id=uuid7(),
            department_id=self.payer.pk,
            purpose=Purpose.DOCUMENT_EMBEDDING,
        )
        texts = [passage.text for passage in passages]
        vectors = llm.embed(texts=texts, context=context, choice=choice).vectors
        PassageEmbedding.objects.bulk_create(
            PassageEmbedding(
                passage=passage,
                llm_model_id=choice.llm_model_id,
                content_hash=bytes(passage.content_hash),
                vector=vector,
            )
            for passage, vector in zip(passages, vectors, strict=True)
        )

    def _edit(self, event: Edit) -> None:
        self._values[event.paper][event.topic] = event.value
        # Read anew: its readers may have changed.
        document = Document.objects.select_related("audience").get(
            pk=self.documents[event.paper].pk
        )
        with self._built(document, event.paper) as serve:
            change = _timed(serve)
        self.oracle.stated(event.paper, event.topic, event.value, change)

    def _share(self, event: Share) -> None:
        readers = self._readers(event.readers)
        document = Document.objects.get(pk=self.documents[event.paper].pk)
        visibility = Visibility(Sharing.EVERYONE)
        if readers.audience == Audience.DEPARTMENT:
            visibility = Visibility(Sharing.DEPARTMENT, self._departments[readers.department])
        change = _timed(
            lambda: services.change_visibility(
                document=document, by=document.owner, visibility=visibility
            )
        )
        self.oracle.shared(event.paper, readers, change)

    def _upload(self, event: Upload) -> None:
        self._add(event.paper)

    def _remove(self, event: Remove) -> None:
        document = Document.objects.get(pk=self.documents[event.paper].pk)
        self.oracle.removed(event.paper, _timed(lambda: services.delete(document=document)))

    def _leave(self, event: Leave) -> None:
        membership = Membership.objects.get(
            user=self.users[event.person], department=self._departments[event.department]
        )
        self.oracle.left(event.person, event.department, _timed(membership.delete))

    def _join(self, event: Join) -> None:
        user, department = self.users[event.person], self._departments[event.department]
        change = _timed(lambda: Membership.objects.create(user=user, department=department))
        self.oracle.joined(event.person, event.department, change)

    def _depart(self, event: Depart) -> None:
        user = User.objects.get(pk=self.users[event.person].pk)
        user.is_active = False
        self.oracle.departed(event.person, _timed(lambda: user.save(update_fields=["is_active"])))


def _timed(change: Callable[[], object]) -> Span:
    began = time.perf_counter()
    change()
    return began, time.perf_counter()


_NOW = (float("-inf"), float("-inf"))


def _pages(values: dict[Topic, int]) -> list[str]:
    """Return a paper's pages: its statements, with other sentences between them."""
    stated = [
        f"{topic.statement(value)} {_BETWEEN[place % len(_BETWEEN)]}"
        for place, (topic, value) in enumerate(values.items())
    ]
    half = len(stated) // 2
    return [" ".join([_OPENING, *stated[:half]]), " ".join(stated[half:])]
