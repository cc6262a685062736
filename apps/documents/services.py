"""Verbs on documents: upload, share, rename, tag, re-index, retry, delete. The work of a run is ingestion's."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from django.core.files import File
from django.db import transaction
from django.db.models import Max

from apps.accounts.cache import AUDIENCE_SET
from apps.accounts.models import Audience, AudienceMember, Department, User
from apps.accounts.services import (
    audience_of_department,
    audience_of_user,
    bump_generation,
    everyone,
    make_custom_audience,
    set_custom_members,
)
from apps.caching import store
from apps.documents import reasons, runs, storage
from apps.documents.cache import changed
from apps.documents.intake import Arrival, clean_name, receive
from apps.documents.locks import lock_file
from apps.documents.models import Document, DocumentVersion, IngestRun
from apps.documents.serving import set_audience
from apps.documents.tasks import ingest
from apps.documents.types import Sharing, Visibility

MAX_TAGS: Final = 20
MAX_TAG_CHARACTERS: Final = 50


class DocumentsError(Exception):
    """Base of what can go wrong with documents."""


class NotAllowedError(DocumentsError):
    """The department to pay or to share with is not one of the person's."""


class BusyError(DocumentsError):
    """A run is under way, so another cannot start."""


class NotRetryableError(DocumentsError):
    """The latest run did not fail, or for a reason that would stay."""


def upload(
    *,
    owner: User,
    file: File[bytes],
    name: str,
    visibility: Visibility,
    paying_department: Department,
    tags: Sequence[str] = (),
) -> Document:
    """Take in a file and have it ingested; a refused one leaves nothing behind.

    Raises:
        RefusedError: the file cannot be taken, with the reason.
        NotAllowedError: the person may not charge or share with that department.
    """
    _check_department(owner, paying_department)
    if visibility.department is not None:
        _check_department(owner, visibility.department)
    with receive(file, name) as arrival:
        # The slow copy is made outside of the transaction, which then only makes sure of it.
        storage.put(arrival.file, arrival.sha256)
        with transaction.atomic():
            lock_file(arrival.sha256)
            storage.make_sure(arrival.file, arrival.sha256, size_bytes=arrival.size_bytes)
            return _add(owner, arrival, visibility, paying_department, tags)


def _add(
    owner: User,
    arrival: Arrival,
    visibility: Visibility,
    paying_department: Department,
    tags: Sequence[str],
) -> Document:
    document = Document.objects.create(
        owner=owner,
        audience=_audience(owner, visibility),
        paying_department=paying_department,
        name=arrival.name,
        content_type=arrival.kind.content_type,
        size_bytes=arrival.size_bytes,
        sha256=arrival.sha256,
        tags=clean_tags(tags),
    )
    _start_run(document)
    return document


def _check_department(user: User, department: Department) -> None:
    if not Department.objects.payable_by(user).filter(pk=department.pk).exists():
        raise NotAllowedError


def _audience(owner: User, visibility: Visibility) -> Audience:
    """Return the audience of a choice; named people always include the owner."""
    if visibility.sharing is Sharing.EVERYONE:
        return everyone()
    if visibility.sharing is Sharing.DEPARTMENT and visibility.department is not None:
        return audience_of_department(visibility.department)
    if visibility.sharing is Sharing.PEOPLE:
        return make_custom_audience([*visibility.people, owner])
    return audience_of_user(owner)


def clean_tags(tags: Sequence[str]) -> list[str]:
    """Return tags trimmed, in small letters, each once, in their order."""
    trimmed = (" ".join(tag.lower().split())[:MAX_TAG_CHARACTERS] for tag in tags)
    return list(dict.fromkeys(tag for tag in trimmed if tag))[:MAX_TAGS]


def change_visibility(*, document: Document, by: User, visibility: Visibility) -> Document:
    """Change who reads a document: at once, for its passages too, and for answers kept for either audience.

    Raises:
        NotAllowedError: the department is neither one of the person's nor the one it is shared with.
    """
    with transaction.atomic():
        # Locked against a run that is about to write passages with the audience it has read.
        locked = (
            Document.objects.select_for_update(of=("self",))
            .select_related("audience", "owner")
            .get(pk=document.pk)
        )
        old = locked.audience
        if visibility.department is not None and visibility.department.pk != old.department_id:
            _check_department(by, visibility.department)
        if visibility.sharing is Sharing.PEOPLE and old.kind == Audience.Kind.CUSTOM:
            _readers_changed(old)
            set_custom_members(old, [*visibility.people, locked.owner])
            _readers_changed(old)
            changed(locked.pk, old.pk)
            return locked
        new = _audience(locked.owner, visibility)
        if new != old:
            _readers_changed(old, new)
            set_audience(locked, new)
            bump_generation(old, new)
            _drop_if_unused(old)
    return locked


def _readers_changed(*audiences: Audience) -> None:
    """Have what the named people of these audiences may read looked up anew, so that their next page is right."""
    named = AudienceMember.objects.filter(audience__in=audiences)
    for user_id in named.values_list("user_id", flat=True):
        store.invalidate(AUDIENCE_SET, (user_id,))


def _drop_if_unused(audience: Audience) -> None:
    """Named people belong to one document: with it, or with its next audience, they go."""
    if audience.kind == Audience.Kind.CUSTOM:
        audience.delete()


def rename(*, document: Document, name: str) -> Document:
    """Give the document another name; `Raises: RefusedError` where it cannot be one."""
    document.name = clean_name(name)
    document.save(update_fields=["name"])
    changed(document.pk, document.audience_id)
    return document


def set_tags(*, document: Document, tags: Sequence[str]) -> Document:
    """Replace the document's tags."""
    document.tags = clean_tags(tags)
    document.save(update_fields=["tags"])
    changed(document.pk)
    return document


def reindex(*, document: Document) -> IngestRun:
    """Build a new version from the original; the old one is found until the new one is ready.

    Raises:
        BusyError: a run is under way.
    """
    with transaction.atomic():
        # Locked, so that two presses make one run.
        locked = Document.objects.select_for_update(of=("self",)).get(pk=document.pk)
        if locked.runs.filter(state__in=runs.UNFINISHED).exists():
            raise BusyError
        # What a failed run left behind never served, so nothing points to it.
        locked.versions.filter(run__state=IngestRun.State.FAILED).delete()
        return _start_run(locked)


def retry(*, document: Document) -> IngestRun:
    """Take up the failed latest run where it stopped, with a full number of attempts.

    Raises:
        NotRetryableError: it did not fail, or would fail again.
    """
    with transaction.atomic():
        run = document.runs.select_for_update().order_by("-created_at").first()
        if (
            run is None
            or run.state != IngestRun.State.FAILED
            or not reasons.can_retry(run.error_code)
        ):
            raise NotRetryableError
        run.state = IngestRun.State.WAITING
        run.attempt_limit = run.attempt_count + runs.attempts()
        run.error_code = run.error_detail = ""
        run.finished_at = None
        run.save(
            update_fields=["state", "attempt_limit", "error_code", "error_detail", "finished_at"]
        )
        _announce(document, run)
    return run


def _start_run(document: Document) -> IngestRun:
    latest = document.versions.aggregate(latest=Max("number"))["latest"] or 0
    version = DocumentVersion.objects.create(document=document, number=latest + 1)
    run = IngestRun.objects.create(
        document=document, version=version, attempt_limit=runs.attempts()
    )
    _announce(document, run)
    return run


def _announce(document: Document, run: IngestRun) -> None:
    document.status = Document.Status.WAITING
    document.save(update_fields=["status"])
    changed(document.pk)
    runs.take_for_hint(run)
    # Robust: without the broker the run waits for beat, which sends what is overdue.
    transaction.on_commit(partial(ingest.delay, str(run.pk)), robust=True)


def delete(*, document: Document) -> None:
    """Delete a document with all that was made from it, and its file unless another document has the same."""
    with transaction.atomic():
        # Runs first, as a worker takes them: it holds its run when it asks for the document.
        list(document.runs.select_for_update().order_by("pk").values_list("pk"))
        # Locked, so that the audience is the one it has now, not the one the caller saw.
        locked = (
            Document.objects.select_for_update(of=("self",))
            .select_related("audience")
            .get(pk=document.pk)
        )
        audience = locked.audience
        locked.delete()
        changed(document.pk, audience.pk)
        bump_generation(audience)
        _drop_if_unused(audience)
        # Robust: a store that is away must not undo the answer; the sweeper removes the file later.
        transaction.on_commit(partial(storage.remove_unused, document.sha256), robust=True)
