"""Lists without rows: they say what will stand there, or that it is the search that fits nothing."""

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from apps.accounts.models import User

pytestmark = pytest.mark.django_db

EXPLAINED = [
    (model._meta.model_name, str(text))
    for model, page in admin.site._registry.items()
    if model._meta.app_label == "billing" and (text := getattr(page, "empty_list_text", ""))
]


def test_the_lists_of_money_are_explained() -> None:
    assert {"budget", "anomaly", "monthclose", "roicase"} <= {name for name, _text in EXPLAINED}


@pytest.mark.parametrize(("name", "text"), EXPLAINED)
def test_an_empty_list_says_what_will_stand_there(
    client: Client, admin_user: User, name: str, text: str
) -> None:
    client.force_login(admin_user)
    page = client.get(reverse(f"admin:billing_{name}_changelist")).text
    assert "Nothing here yet" in page
    assert escape(text) in page


def test_a_search_that_fits_nothing_says_so(client: Client, admin_user: User) -> None:
    client.force_login(admin_user)
    page = client.get(reverse("admin:billing_anomaly_changelist"), {"q": "nobody"}).text
    assert "Nothing fits" in page
    assert "Nothing here yet" not in page
