"""What one person may read of documents, through the caches: access is decided at each read, never kept with a value."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Final
from uuid import UUID

from apps.accounts.access import Scope, cached_audience_ids, cached_scope_of
from apps.accounts.models import Audience, Department, User
from apps.caching import store
from apps.caching.keyspaces import Key
from apps.documents.cache import CHOOSABLE, DEPARTMENTS, DOCUMENT, NAME
from apps.documents.facts import DocumentFacts, read_facts
from apps.documents.models import Document
from apps.documents.retrieval import spelled
from apps.documents.rows import DocumentRow, row_of
from apps.documents.types import Choosable, Named

CHOOSER_SIZE: Final = 50
PERSON: Final = "person"
DEPARTMENT: Final = "department"


def readable_facts(user: User, document_ids: Collection[UUID]) -> dict[UUID, DocumentFacts]:
    """Return the facts of those of the documents the person may read."""
    audience_ids = cached_audience_ids(user)
    found = store.get_many(DOCUMENT, [(pk,) for pk in document_ids], read_facts)
    return {facts.id: facts for facts in found.values() if facts.audience_id in audience_ids}


def row_for(user: User, facts: DocumentFacts) -> DocumentRow:
    """Return a document's row for a person who may read it."""
    headed: Collection[UUID] = ()
    if facts.owner_id != user.pk and facts.audience_kind == Audience.Kind.DEPARTMENT:
        headed = set(user.memberships.heads().values_list("department_id", flat=True))
    return row_of(user, facts, headed=headed, names=_names(user, facts))


def _names(user: User, facts: DocumentFacts) -> Mapping[UUID | None, str]:
    people = {pk for pk in (facts.owner_id, facts.audience_user_id) if pk not in {None, user.pk}}
    keys: list[Key] = [(PERSON, pk) for pk in people if pk]
    if facts.audience_department_id:
        keys.append((DEPARTMENT, facts.audience_department_id))
    return {user.pk: str(user), **names_of(keys)}


def names_of(keys: Sequence[Key]) -> dict[UUID | None, str]:
    """Return names of people and departments by id; a key is their kind and id."""
    found = store.get_many(NAME, keys, _read_names) if keys else {}
    return {UUID(str(pk)): name for (_kind, pk), name in found.items()}


def _read_names(keys: Sequence[Key]) -> Mapping[Key, str]:
    names: dict[Key, str] = {}
    ids = [pk for kind, pk in keys if kind == PERSON]
    if ids:
        names |= {(PERSON, one.pk): str(one) for one in User.objects.filter(pk__in=ids)}
    ids = [pk for kind, pk in keys if kind == DEPARTMENT]
    if ids:
        names |= {(DEPARTMENT, one.pk): str(one) for one in Department.objects.filter(pk__in=ids)}
    return names


def departments_of(user: User) -> tuple[Named, ...]:
    """Return the departments a person may charge and share with, by name."""
    return store.get_or_compute(DEPARTMENTS, (user.pk,), partial(_read_departments, user.pk))


def _read_departments(user_id: UUID) -> tuple[Named, ...]:
    payable = Department.objects.filter(memberships__user_id=user_id).order_by("name")
    return tuple(Named(pk, name) for pk, name in payable.values_list("pk", "name"))


def default_department(user: User, departments: Iterable[Named]) -> Named | None:
    """Return who of these pays for what the person starts now, as `paying_department` decides it."""
    known = list(departments)
    preferred = [one for one in known if one.id == user.default_department_id]
    return next(iter(preferred or known), None)


def choosable(user: User) -> Choosable:
    """Return the documents the person may limit a question to."""
    scope = cached_scope_of(user)
    return store.get_or_compute(CHOOSABLE, (spelled(scope),), partial(_read_choosable, scope))


def _read_choosable(scope: Scope) -> Choosable:
    documents = Document.objects.filter(
        audience_id__in=scope.audience_ids, active_version__isnull=False
    )
    first = documents.order_by("name", "pk").values_list("pk", "name")[:CHOOSER_SIZE]
    return Choosable(documents.count(), tuple(Named(pk, name) for pk, name in first))
