"""People and documents, and everything that can happen to them, by services and past them; drawn by hypothesis."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import numpy as np
from django.db import connection, transaction
from hypothesis import strategies as st

from apps.accounts.models import Audience, AudienceMember, Department, Membership, User
from apps.accounts.services import (
    audience_of_department,
    audience_of_user,
    everyone,
)
from apps.documents import services
from apps.documents.lexical import index_version
from apps.documents.models import Document, DocumentVersion, Passage, PassageEmbedding
from apps.documents.serving import serve_version
from apps.documents.types import Sharing, Visibility
from tests.factories.documents import served, served_version

MODEL = UUID(int=7)
QUESTIONS = ("annual leave", "travel costs")
VECTOR = np.full(8, 8**-0.5, dtype=np.float32)


class World:
    """People, departments, and documents that hypothesis changes one way or another."""

    def __init__(self, people: list[User], departments: list[Department]) -> None:
        self.people = people
        self.departments = departments
        self.number = 0
        self.begin()

    def begin(self) -> None:
        """Have the same to choose from in each example: nothing but people, each in a department."""
        for document in Document.objects.all():
            document.delete()
        Audience.objects.all().delete()
        Membership.objects.all().delete()
        User.objects.update(is_active=True)
        for person, department in zip(self.people, self.departments, strict=True):
            person.is_active = True
            Membership.objects.create(user=person, department=department)

    def document(self, draw: Any) -> Document | None:
        """Return one of the documents."""
        documents = list(Document.objects.order_by("pk"))
        return draw.draw(st.sampled_from(documents)) if documents else None

    def person(self, draw: Any) -> User:
        """Return one of the people."""
        return draw.draw(st.sampled_from(self.people))

    def audience(self, draw: Any) -> Audience:
        """Return an audience of any kind."""
        audiences = [everyone(), *map(audience_of_department, self.departments[1:])]
        audiences += [audience_of_user(person) for person in self.people[:2]]
        audiences += list(Audience.objects.filter(kind="CUSTOM").order_by("pk"))
        return draw.draw(st.sampled_from(audiences))


Operation = Callable[[World, Any], object]


def add(world: World, draw: Any) -> None:
    """Somebody's document is read."""
    world.number += 1
    texts = [f"{draw.draw(st.sampled_from(QUESTIONS))} {world.number}."]
    served(world.people[0], *texts, audience=world.audience(draw))


def share(world: World, draw: Any) -> None:
    """An owner changes who reads a document."""
    document = world.document(draw)
    if document is None:
        return
    kind = draw.draw(st.sampled_from(list(Sharing)))
    mine = Department.objects.payable_by(document.owner).first()
    visibility = Visibility(kind, mine, [world.person(draw)])
    services.change_visibility(document=document, by=document.owner, visibility=visibility)


def read_again(world: World, draw: Any) -> None:
    """A new version serves."""
    document = world.document(draw)
    if document is None:
        return
    world.number += 1
    with transaction.atomic():
        version = served_version(document, [f"travel costs, again {world.number}."])
        serve_version(document, version.pk)


def rename(world: World, draw: Any) -> None:
    """An owner gives a document another name."""
    document = world.document(draw)
    if document is not None:
        world.number += 1
        services.rename(document=document, name=f"name {world.number}.pdf")


def delete(world: World, draw: Any) -> None:
    """An owner deletes a document, or an operator's admin does."""
    document = world.document(draw)
    if document is None:
        return
    if draw.draw(st.booleans()):
        services.delete(document=document)
    else:
        document.delete()


def rename_in_bulk(world: World, draw: Any) -> None:
    """A data migration renames."""
    world.number += 1
    Document.objects.update(name=f"all {world.number}.pdf")


def move_by_hand(world: World, draw: Any) -> None:
    """Somebody moves documents to another audience in SQL."""
    audience, document = world.audience(draw), world.document(draw)
    if document is None:
        return
    statements = [
        ("UPDATE documents_document SET audience_id = %s WHERE id = %s", document.pk),
        (
            (
                "UPDATE documents_passage SET audience_id = %s WHERE version_id IN "
                "(SELECT id FROM documents_documentversion WHERE document_id = %s)"
            ),
            document.pk,
        ),
    ]
    # One of them alone hides the passages; both give them to others.
    chosen = draw.draw(st.lists(st.sampled_from(statements), min_size=1, unique=True))
    with transaction.atomic(), connection.cursor() as cursor:
        for statement, key in chosen:
            cursor.execute(statement, [audience.pk, key])


def edit_by_hand(world: World, draw: Any) -> None:
    """Somebody withdraws passages, brings them back, or changes their text in SQL."""
    statement = draw.draw(
        st.sampled_from(
            [
                "UPDATE documents_passage SET is_serving = false WHERE id %% 2 = 0",
                "UPDATE documents_passage SET is_serving = true",
                "UPDATE documents_passage SET text = text || '!' WHERE id %% 2 = 1",
                "UPDATE documents_document SET active_version_id = NULL",
            ]
        )
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [])


def add_by_hand(world: World, draw: Any) -> None:
    """A repair adds a passage to a version that serves."""
    version = DocumentVersion.objects.filter(passages__is_serving=True).order_by("pk").first()
    if version is None:
        return
    last = version.passages.order_by("ordinal").last()
    assert last is not None
    with transaction.atomic():
        Passage.objects.create(
            version=version,
            audience_id=last.audience_id,
            ordinal=last.ordinal + 1,
            page_number=1,
            start_offset=0,
            end_offset=12,
            text="annual leave",
            content_hash=b"0" * 32,
            is_serving=True,
        )
        index_version(version.pk)


def delete_by_hand(world: World, draw: Any) -> None:
    """Somebody deletes passages in SQL."""
    first = Passage.objects.order_by("pk").values_list("pk", flat=True).first()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM documents_posting WHERE passage_id = %s", [first])
        cursor.execute("DELETE FROM documents_passageembedding WHERE passage_id = %s", [first])
        cursor.execute("DELETE FROM documents_passage WHERE id = %s", [first])


def join_or_leave(world: World, draw: Any) -> None:
    """A person joins a department, or leaves it."""
    user, department = world.person(draw), draw.draw(st.sampled_from(world.departments[1:]))
    membership, is_new = Membership.objects.get_or_create(user=user, department=department)
    # The owner stays where they pay.
    if not is_new and user != world.people[0]:
        membership.delete()


def name_or_forget(world: World, draw: Any) -> None:
    """A person is named in an audience, or taken out, past the services."""
    user, custom = world.person(draw), Audience.objects.filter(kind="CUSTOM").order_by("pk").first()
    if custom is not None:
        member, is_new = AudienceMember.objects.get_or_create(audience=custom, user=user)
        if not is_new:
            member.delete()


def switch_off_or_on(world: World, draw: Any) -> None:
    """A person is deactivated, or comes back."""
    user = world.person(draw)
    user.is_active = not user.is_active
    user.save(update_fields=["is_active"])


def embed(world: World, draw: Any) -> None:
    """A passage that serves gets its vector: from now on it is found by meaning."""
    bare = Passage.objects.filter(embeddings__isnull=True).order_by("pk").first()
    if bare is not None:
        PassageEmbedding.objects.create(
            passage=bare, llm_model_id=MODEL, content_hash=bare.content_hash, vector=VECTOR
        )


OPERATIONS: list[Operation] = [
    add, share, read_again, rename, delete, rename_in_bulk, move_by_hand, edit_by_hand, add_by_hand, delete_by_hand, join_or_leave,
    name_or_forget, switch_off_or_on, embed,
]  # fmt: skip
