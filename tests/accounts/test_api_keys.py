"""API keys: shown once, found by their secret as long as key, owner and membership stand, and looked after in the admin."""

import re

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from apps.accounts import api_keys
from apps.accounts.models import ApiKey, Department, User
from apps.tuning.models import Revision

pytestmark = pytest.mark.django_db

ADD = reverse("admin:accounts_apikey_add")
LIST = reverse("admin:accounts_apikey_changelist")
SECRET = re.compile(r"parley_[a-z0-9]{12}_[\w-]{43}")


def issued(owner: User, department: Department) -> tuple[ApiKey, str]:
    return api_keys.issue(owner=owner, department=department, name="Reports")


def test_a_key_is_found_by_its_secret_alone(
    owner: User, department: Department, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    key, secret = issued(owner, department)
    _other, other_secret = issued(owner, department)
    assert SECRET.fullmatch(secret)
    assert secret.split("_")[1] == key.prefix
    with django_assert_num_queries(1):
        found = api_keys.find(secret)
        assert found == key
        assert (found.owner, found.department) == (owner, department)
    swapped = f"parley_{key.prefix}_{other_secret.split('_', 2)[2]}"
    for wrong in (
        swapped,
        secret[:-1],
        secret + "x",
        secret.upper(),
        f"parley_{key.prefix}_",
        f"parley_{key.prefix}",
        f"other_{key.prefix}_{secret}",
        "parley_unknown00000_x",
        "parley_a\x00b_x",
        "parley__x",
        "\udcff",
        "",
    ):
        assert api_keys.find(wrong) is None


def test_nothing_that_is_stored_gives_the_secret_away(owner: User, department: Department) -> None:
    key, secret = issued(owner, department)
    [values] = ApiKey.objects.filter(pk=key.pk).values()
    assert secret.split("_", 2)[2] not in repr(values)
    assert len(bytes(values["secret_hash"])) == 32


def test_a_rotated_key_stays_itself_and_its_old_secret_ends(
    owner: User, department: Department
) -> None:
    key, old = issued(owner, department)
    new = api_keys.rotate(key)
    assert new != old
    assert api_keys.find(old) is None
    assert api_keys.find(new) == key


def test_a_key_ends_with_its_owner_and_with_the_membership(
    owner: User, department: Department
) -> None:
    key, secret = issued(owner, department)
    for row, field in ((key, "is_active"), (owner, "is_active")):
        setattr(row, field, False)
        row.save(update_fields=[field])
        assert api_keys.find(secret) is None
        setattr(row, field, True)
        row.save(update_fields=[field])
        assert api_keys.find(secret) == key
    owner.memberships.all().delete()
    assert api_keys.find(secret) is None


def test_keys_are_for_members(owner: User, outsider: User, department: Department) -> None:
    owner.is_active = False
    for person in (owner, outsider):
        with pytest.raises(api_keys.NotAMemberError):
            issued(person, department)
    assert not ApiKey.objects.exists()


@pytest.fixture
def operator(client: Client, admin_user: User) -> Client:
    client.force_login(admin_user)
    return client


def shown(client: Client, url: str, data: dict[str, object]) -> str:
    """Return the one secret of a page that nobody keeps."""
    response = client.post(url, data)
    assert response.status_code == 200
    assert "no-store" in response.headers["Cache-Control"]
    [secret] = set(SECRET.findall(response.content.decode()))
    return str(secret)


def entered(owner: User, department: Department, **fields: object) -> dict[str, object]:
    values = {"name": "Reports", "owner": owner.pk, "department": department.pk, "is_active": "on"}
    return {**values, "journal_reason": "", **fields}


def test_an_operator_makes_a_key_and_sees_its_secret_once(
    operator: Client, admin_user: User, owner: User, department: Department
) -> None:
    secret = shown(operator, ADD, entered(owner, department, journal_reason="for reports"))
    key = api_keys.find(secret)
    assert key is not None
    assert (key.owner, key.department, key.name) == (owner, department, "Reports")
    revision = Revision.objects.get()
    assert (revision.author, revision.reason) == (admin_user, "for reports")
    assert secret not in repr(revision.values)
    change = reverse("admin:accounts_apikey_change", args=[key.pk])
    for page in (LIST, change):
        content = operator.get(page).content.decode()
        assert not SECRET.search(content)
        assert key.prefix in content


def test_whom_a_key_could_not_serve_is_refused_in_the_form(
    operator: Client, outsider: User, department: Department
) -> None:
    response = operator.post(ADD, entered(outsider, department))
    assert "does not belong to Support" in response.content.decode()
    assert not ApiKey.objects.exists()


def test_a_key_is_rotated_after_being_asked(
    operator: Client, owner: User, department: Department
) -> None:
    key, old = issued(owner, department)
    url = reverse("admin:accounts_apikey_rotate", args=[key.pk])
    assert "ends at once" in operator.get(url).content.decode()
    assert api_keys.find(old) == key
    assert api_keys.find(shown(operator, url, {})) == key
    assert api_keys.find(old) is None


def test_a_key_is_switched_off_not_moved_and_not_deleted(
    operator: Client, owner: User, outsider: User, department: Department
) -> None:
    key, secret = issued(owner, department)
    change = reverse("admin:accounts_apikey_change", args=[key.pk])
    moved = {"name": "Other", "owner": outsider.pk, "journal_reason": "unused"}
    assert operator.post(change, moved).status_code == 302
    key.refresh_from_db()
    assert (key.name, key.is_active, key.owner) == ("Other", False, owner)
    assert api_keys.find(secret) is None
    assert Revision.objects.filter(reason="unused").exists()
    delete = reverse("admin:accounts_apikey_delete", args=[key.pk])
    assert operator.post(delete, {"post": "yes"}).status_code == 403


def test_keys_are_looked_after_by_operators_only(
    client: Client, owner: User, department: Department
) -> None:
    key, secret = issued(owner, department)
    client.force_login(owner)
    for url in (ADD, LIST, reverse("admin:accounts_apikey_rotate", args=[key.pk])):
        assert client.get(url).status_code == 302
        assert client.post(url).status_code == 302
    assert api_keys.find(secret) == key
