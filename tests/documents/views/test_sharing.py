"""The colleagues a document can be shared with."""

import pytest

from apps.accounts.models import User
from tests.documents.views.asking import send, signed_in

pytestmark = pytest.mark.django_db


def test_colleagues_are_found_by_name_or_address(
    owner: User, colleague: User, outsider: User
) -> None:
    client = signed_in(owner)
    found = send(client, "get", "people", q="colleag").json()["people"]
    assert found == [
        {"id": str(colleague.pk), "name": "Colleague", "email": "colleague@example.org"}
    ]
    everybody = send(client, "get", "people").json()["people"]
    assert {person["email"] for person in everybody} == {
        "colleague@example.org",
        "outsider@example.org",
    }
