"""What the account pages say: errors, the demo's logins, the lock-out, the mails."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from tests.factories.accounts import PASSWORD

pytestmark = pytest.mark.django_db


def sign_in(client: Client, email: str, password: str) -> tuple[int, str]:
    fields = {"login": email, "password": password}
    response = client.post(reverse("account_login"), fields)
    return response.status_code, response.content.decode()


def test_a_lock_out_says_how_long_and_spares_the_others_at_the_same_address(
    client: Client, owner: User, colleague: User
) -> None:
    for _attempt in range(4):
        sign_in(client, owner.email, "wrong")
    status, text = sign_in(client, owner.email, "wrong")
    assert status == 429
    assert "15 minutes" in text
    assert sign_in(client, colleague.email, PASSWORD)[0] == 302


def test_a_wrong_password_says_so_and_puts_the_cursor_there(client: Client, owner: User) -> None:
    _status, text = sign_in(client, owner.email, "wrong")
    assert 'role="alert"' in text
    password_input = text[text.index('name="password"') :].partition(">")[0]
    assert "autofocus" in password_input


def test_no_page_offers_to_sign_up(client: Client) -> None:
    assert reverse("account_signup") not in client.get(reverse("account_login")).content.decode()


def test_the_demo_logins_are_shown_in_a_demo_only(
    client: Client, settings: Any, tmp_path: Path
) -> None:
    settings.VAR_DIR = tmp_path
    assert "data-email" not in client.get(reverse("account_login")).content.decode()
    login = {"email": "ada@example.org", "name": "Ada", "role": "Head", "password": PASSWORD}
    (tmp_path / "demo-logins.json").write_text(json.dumps([login]))
    assert 'data-email="ada@example.org"' in client.get(reverse("account_login")).content.decode()


def test_the_reset_mail_holds_the_link_and_an_unknown_address_none(
    client: Client, owner: User
) -> None:
    for email in (owner.email, "nobody@example.org"):
        client.post(reverse("account_reset_password"), {"email": email})
    known, unknown = mail.outbox
    assert known.subject == "Choose a new password for Parley"
    assert "/password/reset/key/" in known.body
    assert "://" not in unknown.body


def test_a_used_reset_link_offers_a_new_one(client: Client) -> None:
    response = client.get(reverse("account_reset_password_from_key", args=["1", "set-password"]))
    assert reverse("account_reset_password") in response.content.decode()


def test_a_changed_password_leads_back_to_the_profile(client: Client, owner: User) -> None:
    client.force_login(owner)
    new = "another long enough secret"
    fields = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    response = client.post(reverse("account_change_password"), fields)
    assert response.headers["Location"] == reverse("accounts:profile")


@pytest.mark.parametrize("name", ["account_change_password", "account_reauthenticate"])
def test_a_page_about_oneself_needs_a_sign_in(client: Client, name: str) -> None:
    response = client.get(reverse(name))
    assert response.status_code == 302
    assert response.headers["Location"].startswith(reverse("account_login"))
