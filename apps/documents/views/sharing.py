"""With whom a document is shared: what its page shows of that, and the colleagues to choose from."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import JsonResponse
from django.views.decorators.http import require_GET

from apps.accounts.models import User
from apps.accounts.requests import SignedInRequest
from apps.documents.facts import DocumentFacts
from apps.documents.forms import VisibilityForm
from apps.documents.readable import DEPARTMENT, departments_of, names_of
from apps.documents.types import Named
from apps.documents.views.base import searched

PEOPLE_FOUND = 10


@login_required
@require_GET
def people(request: SignedInRequest) -> JsonResponse:
    """Find colleagues to share with."""
    q = searched(request, "q")[:100]
    found = User.objects.filter(is_active=True).exclude(pk=request.user.pk)
    if q:
        found = found.filter(Q(full_name__icontains=q) | Q(email__icontains=q))
    return JsonResponse(
        {
            "people": [
                _person(person) for person in found.order_by("full_name", "email")[:PEOPLE_FOUND]
            ]
        }
    )


def sharing(user: User, facts: DocumentFacts, visibility: str) -> dict[str, Any]:
    """Return the form and the named people of a document, for the page of a person who may change them."""
    departments = departments_of(user)
    shared_with = facts.audience_department_id
    if shared_with and shared_with not in {one.id for one in departments}:
        names = names_of([(DEPARTMENT, shared_with)])
        departments = (*departments, Named(shared_with, names.get(shared_with, "")))
    form = VisibilityForm(
        user=user,
        departments=sorted(departments, key=lambda one: one.name),
        initial={"visibility": visibility, "department": shared_with},
    )
    return {"update_form": form, "people": _named_people(facts)}


def _named_people(facts: DocumentFacts) -> list[dict[str, str]]:
    if not facts.reader_count:
        return []
    named = User.objects.filter(audience_memberships__audience_id=facts.audience_id)
    return [_person(person) for person in named.exclude(pk=facts.owner_id).order_by("email")]


def _person(person: User) -> dict[str, str]:
    return {"id": str(person.pk), "name": str(person), "email": person.email}
