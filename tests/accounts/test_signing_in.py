"""Sign-in, lock-out, reset by e-mail, the profile, and the first operator's link."""

import re

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from apps.accounts import services
from apps.accounts.models import User
from tests.factories.accounts import PASSWORD, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db


def sign_in(client: Client, email: str, password: str = PASSWORD) -> int:
    return client.post(reverse("account_login"), {"login": email, "password": password}).status_code


def test_a_person_signs_in_with_any_case_of_their_address(client: Client, owner: User) -> None:
    assert sign_in(client, owner.email.upper()) == 302
    assert client.session["_auth_user_id"] == str(owner.pk)


def test_a_wrong_password_is_refused_and_five_lock_the_account_out(
    client: Client, owner: User
) -> None:
    for _attempt in range(4):
        assert sign_in(client, owner.email, "wrong") == 200
    assert sign_in(client, owner.email, "wrong") == 429
    assert sign_in(client, owner.email) == 429
    assert "_auth_user_id" not in client.session


def test_nobody_signs_up(client: Client) -> None:
    fields = {"email": "new@example.org", "password1": PASSWORD, "password2": PASSWORD}
    client.post(reverse("account_signup"), fields)
    assert not User.objects.filter(email="new@example.org").exists()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("account_signup", []),
        ("account_email", []),
        ("account_email_verification_sent", []),
        ("account_confirm_email", ["key"]),
        ("account_confirm_login_code", []),
    ],
)
def test_pages_of_allauth_that_are_not_offered_are_not_found(
    client: Client, owner: User, name: str, arguments: list[str]
) -> None:
    url = reverse(name, args=arguments)
    for answer in (client.get(url), client.post(url, {"email": "new@example.org"})):
        assert answer.status_code == 404
    client.force_login(owner)
    answer = client.post(url, {"action_add": "", "email": "new@example.org"})
    assert answer.status_code == 404
    assert not mail.outbox


def test_the_admins_own_sign_in_locks_out_the_account_and_not_the_address(
    client: Client, owner: User, admin_user: User
) -> None:
    for _attempt in range(5):
        client.post("/admin/login/", {"username": owner.email.upper(), "password": "wrong"})
    assert sign_in(client, owner.email) == 429
    form = {"username": admin_user.email, "password": PASSWORD, "next": "/admin/"}
    assert client.post("/admin/login/", form).status_code == 302


def test_a_deactivated_person_cannot_sign_in_and_loses_the_session(
    client: Client, owner: User
) -> None:
    client.force_login(owner)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert client.get(reverse("accounts:profile")).status_code == 302
    fresh = Client()
    sign_in(fresh, owner.email)
    assert "_auth_user_id" not in fresh.session


def test_a_forgotten_password_is_reset_by_mail(client: Client, owner: User) -> None:
    client.post(reverse("account_reset_password"), {"email": owner.email})
    link = re.search(r"https?://\S+", mail.outbox[0].body)
    assert link
    path = link.group().split("testserver", 1)[1]
    response = client.get(path, follow=True)
    target = response.redirect_chain[-1][0]
    new = "another long enough secret"
    client.post(target, {"password1": new, "password2": new})
    owner.refresh_from_db()
    assert owner.check_password(new)


def test_an_unknown_address_gets_the_same_answer(client: Client, owner: User) -> None:
    url = reverse("account_reset_password")
    known = client.post(url, {"email": owner.email})
    unknown = client.post(url, {"email": "nobody@example.org"})
    assert (known.status_code, known.headers["Location"]) == (
        unknown.status_code,
        unknown.headers["Location"],
    )


def test_the_profile_offers_only_the_persons_own_departments(
    client: Client, owner: User, outsider: User
) -> None:
    client.force_login(owner)
    foreign = outsider.memberships.get().department
    url = reverse("accounts:profile")
    assert (
        client.post(url, {"full_name": "New", "default_department": foreign.pk}).status_code == 200
    )
    own = MembershipFactory(user=owner).department
    assert client.post(url, {"full_name": "New", "default_department": own.pk}).status_code == 302
    owner.refresh_from_db()
    assert (owner.full_name, owner.default_department) == ("New", own)


def test_the_profile_is_for_people_signed_in(client: Client) -> None:
    assert client.get(reverse("accounts:profile")).status_code == 302


FIRST = {"email": "Boss@example.org", "full_name": "The Boss", "password": "a long enough secret"}


def test_the_first_operators_link_works_once(client: Client) -> None:
    url = reverse("accounts:first-operator", args=[services.first_operator_token()])
    assert client.get(url).status_code == 200
    assert client.post(url, FIRST).status_code == 302
    operator = User.objects.get(email="boss@example.org")
    assert operator.is_operator
    assert services.paying_department(operator).code == "general"
    assert client.get("/admin/").status_code == 200
    assert Client().get(url).status_code == 404
    assert Client().post(url, {**FIRST, "email": "second@example.org"}).status_code == 404


def test_a_forged_link_is_not_found(client: Client) -> None:
    assert client.get(reverse("accounts:first-operator", args=["forged"])).status_code == 404


def test_the_link_is_dead_where_an_operator_exists(client: Client) -> None:
    UserFactory(is_operator=True)
    url = reverse("accounts:first-operator", args=[services.first_operator_token()])
    assert client.get(url).status_code == 404


def test_only_operators_enter_the_admin(client: Client, owner: User, admin_user: User) -> None:
    client.force_login(owner)
    assert client.get("/admin/").status_code == 302
    client.force_login(admin_user)
    assert client.get("/admin/").status_code == 200
