"""Loads the demo company: its people, and its documents for the workers to read."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.files import File
from django.utils.translation import gettext as _

from apps.accounts.context import DEMO_LOGINS_FILE
from apps.accounts.models import Department, Membership, User
from apps.documents import services
from apps.documents.models import Document
from apps.documents.types import Sharing, Visibility
from project.demo import manifest as demo
from project.demo.manifest import DemoDocument, DemoManifest, load_manifest
from project.supervisor.data_folder import write_private

LOGINS_TEXT_FILE = "demo-logins.txt"
PASSWORD_BYTES = 6
SHARING = {
    demo.Visibility.EVERYONE: Sharing.EVERYONE,
    demo.Visibility.DEPARTMENT: Sharing.DEPARTMENT,
    demo.Visibility.USER: Sharing.ME,
    demo.Visibility.CUSTOM: Sharing.PEOPLE,
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a run of the loader added."""

    person_count: int
    document_count: int


def load() -> Loaded:
    """Load what is missing of the demo; what is there, and what people changed of it, stays.

    Writes the logins, with one password made for this installation, to the data folder (0600).
    """
    manifest = load_manifest()
    password = _password()
    person_count = _load_people(manifest, password)
    document_count = sum(_load_document(document) for document in manifest.documents)
    _write_logins(manifest, password)
    return Loaded(person_count=person_count, document_count=document_count)


def missing() -> Loaded:
    """Count what `load` would add."""
    manifest = load_manifest()
    people = [
        person for person in manifest.people if not User.objects.filter(email=person.email).exists()
    ]
    documents = [document for document in manifest.documents if not _is_loaded(document)]
    return Loaded(person_count=len(people), document_count=len(documents))


def _is_loaded(document: DemoDocument) -> bool:
    return Document.objects.filter(owner__email=document.owner, name=document.file).exists()


def _password() -> str:
    """Return the demo's password: that of an earlier run, else a new one."""
    path = Path(settings.VAR_DIR) / DEMO_LOGINS_FILE
    if path.exists():
        logins = json.loads(path.read_text(encoding="utf-8"))
        return str(logins[0]["password"])
    return f"demo-{secrets.token_hex(PASSWORD_BYTES)}"


def _load_people(manifest: DemoManifest, password: str) -> int:
    departments = {
        row.code: Department.objects.get_or_create(code=row.code, defaults={"name": row.name})[0]
        for row in manifest.departments
    }
    added = 0
    for person in manifest.people:
        if User.objects.filter(email=person.email).exists():
            continue
        added += 1
        User.objects.create_user(
            person.email,
            password,
            full_name=person.full_name,
            is_operator=person.is_operator,
            default_department=departments.get(person.default_department),
        )
    for row in manifest.departments:
        for email in row.people:
            role = Membership.Role.HEAD if email == row.head else Membership.Role.MEMBER
            Membership.objects.get_or_create(
                user=User.objects.get(email=email),
                department=departments[row.code],
                defaults={"role": role},
            )
    return added


def _load_document(document: DemoDocument) -> bool:
    """Upload one demo file unless its owner has it; say whether it was uploaded."""
    if _is_loaded(document):
        return False
    owner = User.objects.get(email=document.owner)
    department = Department.objects.get(code=document.department)
    people = list(User.objects.filter(email__in=document.people))
    with document.path.open("rb") as content:
        services.upload(
            owner=owner,
            file=File(content, name=document.file),
            name=document.file,
            visibility=Visibility(
                sharing=SHARING[document.visibility],
                department=department
                if document.visibility is demo.Visibility.DEPARTMENT
                else None,
                people=people,
            ),
            paying_department=department,
            tags=document.tags,
        )
    return True


def _write_logins(manifest: DemoManifest, password: str) -> None:
    """Leave the logins where the sign-in page and the supervisor show them."""
    logins = [
        {
            "email": person.email,
            "name": person.full_name,
            "role": _role(manifest, person.email),
            "password": password,
        }
        for person in manifest.people
    ]
    folder = Path(settings.VAR_DIR)
    write_private(folder / DEMO_LOGINS_FILE, json.dumps(logins, indent=1))
    width = max(len(login["email"]) for login in logins)
    lines = [f"  {login['email']:<{width}}  {login['role']}" for login in logins]
    text = "\n".join(
        [_("Demo logins, all with the password %(password)s:") % {"password": password}, *lines]
    )
    write_private(folder / LOGINS_TEXT_FILE, text + "\n")


def _role(manifest: DemoManifest, email: str) -> str:
    """Return what a demo person is, in words."""
    parts = []
    if any(person.email == email and person.is_operator for person in manifest.people):
        parts.append(_("operator"))
    for row in manifest.departments:
        if email == row.head:
            parts.append(_("head of %(department)s") % {"department": row.name})
        elif email in row.members:
            parts.append(row.name)
    return ", ".join(parts)
