"""Every page of money in the admin that needs no object, from the URL map itself: operators enter, nobody else."""

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import URLPattern, reverse

from apps.accounts.models import User

PAGES = sorted(
    {
        pattern.name
        for model, page in admin.site._registry.items()
        if model._meta.app_label == "billing"
        for pattern in page.get_urls()
        if isinstance(pattern, URLPattern) and pattern.name and not pattern.pattern.converters
    }
)


@pytest.mark.django_db
def test_the_walk_finds_the_pages() -> None:
    assert {"billing_usagerecord_totals", "billing_budget_changelist"} <= {*PAGES}


@pytest.mark.django_db
@pytest.mark.parametrize("name", PAGES)
def test_operators_enter_and_nobody_else(
    client: Client, admin_user: User, owner: User, outsider: User, name: str
) -> None:
    url = reverse(f"admin:{name}")
    for person in (None, owner, outsider):
        if person:
            client.force_login(person)
        for answer in (client.get(url), client.post(url, {"month": "2026-10"})):
            assert (answer.status_code, "/login/" in answer["Location"]) == (302, True), person
    client.force_login(admin_user)
    # 403: rows nobody adds by hand; 404: a month or model has to be named; 405: what is only ever sent.
    assert client.get(url).status_code in {200, 302, 403, 404, 405}
