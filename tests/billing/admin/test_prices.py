"""The price book in the admin: rows are only added, from now or later on, and each model has a page."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import User
from apps.billing.models import Meter, Price
from apps.billing.price_list import ListPrice, import_prices
from apps.tuning.models import Revision
from tests.factories.billing import PriceFactory

pytestmark = pytest.mark.django_db

ADD = reverse("admin:billing_price_add")
LIST = reverse("admin:billing_price_changelist")
MODEL = reverse("admin:billing_price_model")


@pytest.fixture
def operator(client: Client, admin_user: User) -> Client:
    client.force_login(admin_user)
    return client


def entered(**fields: str) -> dict[str, str]:
    return {
        "provider_code": "provider",
        "model_code": "model",
        "meter": Meter.INPUT,
        "per_million": "0.000000003",
        "starts_at_0": "",
        "starts_at_1": "",
        "journal_reason": "new list",
        **fields,
    }


def at(moment: Any) -> dict[str, str]:
    return {"starts_at_0": f"{moment:%Y-%m-%d}", "starts_at_1": f"{moment:%H:%M:%S}"}


def test_a_price_without_a_moment_begins_now_and_is_journalled(
    operator: Client, admin_user: User
) -> None:
    PriceFactory(source=Price.Source.IMPORT)
    before = timezone.now()
    assert operator.post(ADD, entered()).status_code == 302
    new = Price.objects.latest("starts_at")
    assert (new.nanos_per_million_tokens, new.source) == (3, Price.Source.OPERATOR)
    assert before <= new.starts_at <= timezone.now()
    revision = Revision.objects.get()
    assert (revision.action, revision.author, revision.reason) == (
        Revision.Action.CREATED,
        admin_user,
        "new list",
    )


def test_a_price_may_not_begin_in_the_past_and_the_form_says_why(operator: Client) -> None:
    for past in (timezone.now() - timedelta(minutes=1), timezone.now() - timedelta(days=400)):
        response = operator.post(ADD, entered(**at(past)))
        assert response.status_code == 200
        assert (
            "calls made since were charged by the price in force then" in response.content.decode()
        )
    assert not Price.objects.exists()
    soon = timezone.now() + timedelta(hours=1)
    assert operator.post(ADD, entered(**at(soon))).status_code == 302
    assert Price.objects.get().starts_at == soon.replace(microsecond=0)


def test_rows_are_never_changed_and_only_those_to_come_deleted(operator: Client) -> None:
    now, later = PriceFactory(), PriceFactory(starts_at=timezone.now() + timedelta(days=1))
    for price in (now, later):
        change = reverse("admin:billing_price_change", args=[price.pk])
        assert 'name="per_million"' not in operator.get(change).content.decode()
        assert operator.post(change, entered()).status_code == 403
    delete_now, delete_later = (
        reverse("admin:billing_price_delete", args=[price.pk]) for price in (now, later)
    )
    assert operator.post(delete_now, {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [now.pk], "post": "yes"}
    operator.post(LIST, chosen)
    assert operator.post(delete_later, {"post": "yes", "journal_reason": "typo"}).status_code == 302
    assert list(Price.objects.all()) == [now]
    assert Revision.objects.get().action == Revision.Action.DELETED


def test_a_new_price_begins_with_what_the_old_one_says(operator: Client) -> None:
    price = PriceFactory(meter=Meter.OUTPUT, nanos_per_million_tokens=600_000_000)
    url = reverse("admin:billing_price_new_price", args=[price.pk])
    page = operator.get(url, follow=True).content.decode()
    assert 'value="0.6"' in page
    assert 'value="provider"' in page
    assert '<option value="OUTPUT" selected>' in page
    assert Price.objects.count() == 1


def test_the_list_tells_what_is_in_force(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    PriceFactory(nanos_per_million_tokens=111)
    PriceFactory(nanos_per_million_tokens=222, starts_at=timezone.now() - timedelta(days=1))
    PriceFactory(nanos_per_million_tokens=333, starts_at=timezone.now() + timedelta(days=1))
    with django_assert_max_num_queries(9):
        page = operator.get(LIST).content.decode()
    for mark in ("in force", "to come", "over"):
        assert f"<strong>{mark}</strong>" in page
    for standing, nanos in (("now", 222), ("coming", 333), ("over", 111)):
        response = operator.get(LIST, {"standing": standing})
        assert [row.nanos_per_million_tokens for row in response.context["cl"].result_list] == [
            nanos
        ]


def test_the_page_of_a_model_has_every_meter(operator: Client) -> None:
    code = "org/a model"
    PriceFactory(model_code=code, nanos_per_million_tokens=150_000_000)
    PriceFactory(model_code=code, meter=Meter.OUTPUT, nanos_per_million_tokens=600_000_000)
    page = operator.get(MODEL, {"provider": "provider", "model": code}).content.decode()
    for shown in ("0.15 $", "0.60 $", "Input tokens", "Output tokens", "in force", "charged like"):
        assert shown in page
    assert operator.get(MODEL, {"provider": "provider", "model": "none"}).status_code == 404
    assert operator.get(MODEL, {"provider": "a\x00", "model": "b\x00"}).status_code == 404


def test_the_page_of_a_model_is_for_operators(client: Client, owner: User) -> None:
    PriceFactory()
    asked = {"provider": "provider", "model": "model"}
    assert client.get(MODEL, asked).status_code == 302
    client.force_login(owner)
    assert client.get(MODEL, asked).status_code == 302


def test_an_import_reads_well_in_the_journal(operator: Client) -> None:
    listed = [ListPrice("openai", "gpt-4o-mini", {Meter.INPUT: 150_000_000, Meter.OUTPUT: 1})]
    import_prices(listed=iter(listed), source="list genai-prices 1.0")
    revision = Revision.objects.get()
    journal = operator.get(reverse("admin:tuning_revision_changelist")).content.decode()
    assert "price list genai-prices 1.0" in journal
    assert "openai: – → 2" in journal
    change = reverse("admin:tuning_revision_change", args=[revision.pk])
    assert operator.get(change).status_code == 200
    rollback = reverse("admin:tuning_revision_rollback", args=[revision.pk])
    for response in (operator.get(rollback), operator.post(rollback, {"journal_reason": ""})):
        assert "names no row" in response.content.decode()
    assert Price.objects.count() == 2
