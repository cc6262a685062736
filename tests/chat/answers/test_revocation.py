"""Whatever happens to people and documents between two questions, nobody is given what they could not read now.

Random sequences of changes on real PostgreSQL and Valkey, with caches that are never told in time: the cached scope of
a person is whatever was read once, however long ago.
"""

from collections import Counter

import numpy as np
import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from apps.accounts.access import Scope, cached_scope_of
from apps.accounts.models import Audience, Department, Membership, User
from apps.accounts.services import (
    audience_of_department,
    audience_of_user,
    bump_generation,
    everyone,
)
from apps.chat import services as chat
from apps.chat.answers import exact
from apps.chat.models import AnswerLabel, CachedAnswer, Conversation, Message
from apps.documents import services as documents
from apps.documents.models import Document, Passage
from apps.documents.serving import serve_version
from apps.documents.types import Sharing, Visibility
from apps.llm.models import Route
from apps.llm.services import choose
from apps.tuning import services as tuning
from tests.chat.answers.asking import QUESTION, ask, ask_afresh, near, routes
from tests.factories.accounts import DepartmentFactory, MembershipFactory, UserFactory
from tests.factories.documents import served, served_version
from tests.fake_provider import FakeProvider

pytestmark = pytest.mark.django_db(transaction=True)

EXAMPLES = 15
STEPS = 10


# How often something was given, by cache: a test in which nothing is proves nothing.
given: Counter[str] = Counter()
vectors: dict[str, np.ndarray] = {}


def said(texts: dict[object, str]) -> str:
    """Return what the model says, who was given these."""
    return f"{next(iter(texts.values()), '')} [1]"


class Changes(RuleBasedStateMachine):
    """Three people of two departments, documents of every visibility, and a question in many words.

    Each document holds a number nobody else's does, and so does each version: an answer repeats the first passage it
    was given, so a given answer tells which version of which document it was made of.
    """

    documents = Bundle("documents")

    @initialize()
    def begin(self) -> None:
        """Make the people; nothing is left of the example before."""
        for leftover in (Conversation, Document, CachedAnswer, AnswerLabel):
            leftover.objects.all().delete()  # type: ignore[attr-defined]
        self.number = 100
        self.departments: list[Department] = [DepartmentFactory(), DepartmentFactory()]
        # A third department pays, and is never left.
        payer = DepartmentFactory()
        self.people: list[User] = [UserFactory(department=payer) for _person in range(3)]
        for person, department in zip(
            self.people, [self.departments[0], *self.departments], strict=True
        ):
            MembershipFactory(user=person, department=department)
        self.stale: dict[object, Scope] = {}
        for readers in (0, 1):
            self.add(owner=0, audience=readers)

    def text(self) -> str:
        """Return the text of a new version."""
        self.number += 1
        return f"Annual leave is {self.number} days."

    def readable(self, user: User) -> dict[object, str]:
        """Return what the person can read now, by version."""
        found = Passage.objects.filter(
            is_serving=True, version__document__in=Document.objects.visible_to(user)
        )
        return dict(found.order_by("pk").values_list("version_id", "text"))

    def audience(self, which: int) -> Audience:
        """Return one of the audiences."""
        if which == 0:
            return everyone()
        if which < 3:
            return audience_of_department(self.departments[which - 1])
        return audience_of_user(self.people[which - 3])

    @rule(target=documents, owner=st.integers(0, 2), audience=st.integers(0, 5))
    def add(self, owner: int, audience: int) -> Document:
        """Share a document."""
        with transaction.atomic():
            readers = self.audience(audience)
            document = served(self.people[owner], self.text(), audience=readers)
            bump_generation(readers)
        return document

    @rule(document=documents)
    def replace(self, document: Document) -> None:
        """Serve a new version."""
        with transaction.atomic():
            found = Document.objects.select_related("audience").filter(pk=document.pk).first()
            if found is not None:
                serve_version(found, served_version(found, [self.text()]).pk)
                bump_generation(found.audience)

    @rule(document=documents, by=st.integers(0, 2), sharing=st.sampled_from(Sharing))
    def share(self, document: Document, by: int, sharing: Sharing) -> None:
        """Change who reads a document."""
        found = Document.objects.filter(pk=document.pk).first()
        department = self.people[by].memberships.select_related("department").first()
        assert department is not None
        if found is not None:
            visibility = Visibility(
                sharing,
                department=department.department if sharing is Sharing.DEPARTMENT else None,
                people=[self.people[by]] if sharing is Sharing.PEOPLE else (),
            )
            documents.change_visibility(document=found, by=self.people[by], visibility=visibility)

    @rule(document=documents)
    def delete(self, document: Document) -> None:
        """Delete a document."""
        found = Document.objects.filter(pk=document.pk).first()
        if found is not None:
            documents.delete(document=found)

    @rule(document=documents)
    def unserve_in_raw_sql(self, document: Document) -> None:
        """Take a version away past all services: no generation moves."""
        Document.objects.filter(pk=document.pk).update(active_version=None)
        Passage.objects.filter(version__document_id=document.pk).update(is_serving=False)

    @rule(person=st.integers(0, 2), department=st.integers(0, 1))
    def join_or_leave(self, person: int, department: int) -> None:
        """Make somebody a member, or no longer; processes hear of it late, or never."""
        self.remember(person=person)
        membership = Membership.objects.filter(
            user=self.people[person], department=self.departments[department]
        )
        if not membership.delete()[0]:
            MembershipFactory(user=self.people[person], department=self.departments[department])

    def teach(self) -> None:
        """Make every entry trusted, so that questions that mean the same are served."""
        model = choose(Route.Use.EMBEDDING).llm_model_id
        AnswerLabel.objects.bulk_create(
            AnswerLabel(
                entry_id=entry_id,
                llm_model_id=model,
                similarity=0.95,
                is_correct=True,
                source=AnswerLabel.Source.MISS,
            )
            for entry_id in [
                *CachedAnswer.objects.values_list("pk", flat=True),
                *(Message().pk for _other in range(40)),
            ]
            for _label in range(15)
        )

    @rule(person=st.integers(0, 2))
    def remember(self, person: int) -> None:
        """Have a process hold somebody's scope, from now on for good."""
        self.stale[self.people[person].pk] = cached_scope_of(self.people[person])

    @rule(person=st.integers(0, 2))
    def asks_afresh(self, person: int) -> None:
        """Ask, and ask for another answer."""
        user = self.people[person]
        answer = said(self.readable(user))
        ask_afresh(user, ask(user, QUESTION, answer=answer), answer=answer)

    @invariant()
    def everybody_is_given_what_they_can_read(self) -> None:
        """Have all ask after each change; it is what was kept before the change that they may be given."""
        for user in self.people:
            self.asks(user, QUESTION)

    @rule(person=st.integers(0, 2))
    def asks_in_other_words(self, person: int) -> None:
        """Ask in words nobody has used, with every entry trusted."""
        self.teach()
        self.number += 1
        question = f"What is the annual leave entitlement, {'dear ' * self.number}?"
        vectors[question] = near(0.97)
        self.asks(self.people[person], question)

    def asks(self, user: User, question: str) -> None:
        """Ask; whatever is given must be what the person can read at this moment."""
        texts = self.readable(user)
        with pytest.MonkeyPatch.context() as patch:
            if user.pk in self.stale:
                patch.setattr(exact, "cached_scope_of", lambda _user: self.stale[user.pk])
            reply = ask(user, question, answer=said(texts))
        assert reply.receipt is not None
        if reply.receipt["cache_layer"] == "none":
            return
        given[reply.receipt["cache_layer"]] += 1
        cited = list(reply.citations.values_list("version_id", flat=True))
        assert cited
        assert set(cited) <= texts.keys()
        # Every passage the model had been given, not only what it cites.
        assert (
            set(CachedAnswer.objects.get(pk=reply.receipt["entry_id"]).version_ids) <= texts.keys()
        )
        assert reply.content.removesuffix(" [1]") in texts.values()

    @rule(person=st.integers(0, 2))
    def disapproves(self, person: int) -> None:
        """Judge an answer bad; it is given to nobody again."""
        user = self.people[person]
        answer = said(self.readable(user))
        reply = ask(user, QUESTION, answer=answer)
        chat.give_feedback(reply=reply, is_positive=False)
        assert reply.receipt is not None
        if "entry_id" in reply.receipt:
            later = ask(user, QUESTION, answer=answer)
            assert later.receipt is not None
            assert later.receipt.get("entry_id") != reply.receipt["entry_id"]

    @invariant()
    def entries_hold_what_they_name(self) -> None:
        """Each entry names as many versions as documents."""
        for entry in CachedAnswer.objects.all():
            assert len(entry.document_ids) == len(entry.version_ids) > 0


def test_nobody_is_given_what_they_cannot_read_now(fake_provider: FakeProvider) -> None:
    routes(fake_provider)
    fake_provider.vectors = vectors
    vectors[QUESTION] = near(1.0)
    tuning.change(
        values={"chat.semantic_shadow_ratio": 0.0, "chat.retrieval_passage_count": 50},
        author_id=None,
    )
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Changes,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert given["exact"] > EXAMPLES, given
    assert given["semantic"] > 0, given
