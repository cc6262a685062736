"""Each URL for its owner, a reader, an outsider and nobody."""

import pytest
from django.test import Client

from apps.accounts.models import Membership, User
from apps.accounts.services import audience_of_department, everyone, paying_department
from apps.documents.models import Document
from tests.documents.views.asking import send, signed_in
from tests.factories.accounts import MembershipFactory
from tests.factories.documents import served, uploaded

pytestmark = pytest.mark.django_db

OF_ONE = [
    ("get", "detail"),
    ("get", "pages"),
    ("get", "original"),
    ("post", "update"),
    ("post", "delete"),
    ("post", "reindex"),
    ("post", "retry"),
]
OF_ALL = [("get", "list"), ("post", "upload"), ("get", "people"), ("get", "events")]


@pytest.mark.parametrize(("method", "name"), OF_ONE)
def test_somebody_elses_document_is_not_found(
    owner: User, outsider: User, method: str, name: str
) -> None:
    document = uploaded(owner)
    assert send(signed_in(outsider), method, name, document.pk).status_code == 404
    assert Document.objects.filter(pk=document.pk).exists()


@pytest.mark.parametrize(("method", "name"), OF_ONE[3:])
def test_a_reader_changes_nothing(owner: User, outsider: User, method: str, name: str) -> None:
    document = served(owner, audience=everyone())
    assert send(signed_in(outsider), method, name, document.pk).status_code == 404


@pytest.mark.parametrize(("method", "name"), [*OF_ONE, *OF_ALL])
def test_nobody_is_asked_to_sign_in(client: Client, owner: User, method: str, name: str) -> None:
    arguments = [uploaded(owner).pk] if (method, name) in OF_ONE else []
    answer = send(client, method, name, *arguments)
    assert answer.status_code == 302
    assert answer.url.startswith("/account/login/")


def test_a_head_manages_what_is_shared_with_the_department(
    owner: User, colleague: User, outsider: User
) -> None:
    department = paying_department(owner)
    document = served(owner, audience=audience_of_department(department))
    assert send(signed_in(colleague), "post", "delete", document.pk).status_code == 404
    MembershipFactory(user=outsider, department=department, role=Membership.Role.HEAD)
    answer = send(signed_in(outsider), "post", "update", document.pk, tags="rules")
    assert answer.json()["tags"] == ["rules"]
