"""The journal in the admin: rows edited through it, the way back, scheduled changes, and who is kept out."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import User
from apps.billing.models import Meter, Price
from apps.llm.models import Provider, Route
from apps.tuning import rows, scheduling, services
from apps.tuning.models import Revision, Right, ScheduledChange
from tests.factories.billing import PriceFactory
from tests.factories.llm import ProviderFactory, RouteFactory

pytestmark = pytest.mark.django_db

NAME = "documents.retrieval_feedback_weight"


@pytest.fixture
def operator(client: Client, admin_user: User) -> Client:
    client.force_login(admin_user)
    return client


def entered(provider: Provider, **fields: object) -> dict[str, object]:
    names = ("name", "base_url", "connect_timeout_seconds", "read_timeout_seconds")
    kept = {name: getattr(provider, name) for name in names}
    return kept | {"is_enabled": "on", "secret": ""} | fields


def change_url(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def delete_url(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_delete", args=[row.pk])


def page_of(client: Client, url: str, data: dict[str, object] | None = None) -> str:
    response = client.get(url) if data is None else client.post(url, data, follow=True)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def scheduled() -> ScheduledChange:
    return scheduling.schedule(
        values={NAME: 0.5}, due_at=timezone.now() + timedelta(hours=1), author_id=None
    )


def test_saving_a_row_is_journalled_with_its_reason(operator: Client, admin_user: User) -> None:
    provider = ProviderFactory(code="acme", name="Old")
    page = page_of(operator, change_url(provider))
    assert "Never changed here" in page
    page_of(operator, change_url(provider), entered(provider, name="New", journal_reason="renamed"))
    revision = Revision.objects.get(action=Revision.Action.CHANGED)
    assert (revision.subject, revision.changed) == ("llm.provider:acme", {"name": ["Old", "New"]})
    assert (revision.author, revision.reason) == (admin_user, "renamed")
    assert "by Operator: renamed" in page_of(operator, change_url(provider))


def test_making_a_price_is_journalled(operator: Client) -> None:
    page_of(
        operator,
        reverse("admin:billing_price_add"),
        {
            "provider_code": "p",
            "model_code": "m",
            "meter": Meter.INPUT,
            "per_million": "0.15",
            "starts_at_0": "2126-01-01",
            "starts_at_1": "00:00:00",
            "journal_reason": "new model",
        },
    )
    revision = Revision.objects.get()
    assert revision.action == Revision.Action.CREATED
    assert (
        revision.values["nanos_per_million_tokens"] == Price.objects.get().nanos_per_million_tokens
    )
    assert revision.reason == "new model"


def test_a_new_row_s_form_asks_for_no_time(operator: Client) -> None:
    page = page_of(operator, reverse("admin:llm_provider_add"))
    assert "journal_reason" in page
    assert "journal_due_at" not in page


def test_deleting_a_row_is_journalled_and_taken_back(operator: Client) -> None:
    route = RouteFactory()
    assert "journal_reason" in page_of(operator, delete_url(route))
    page_of(operator, delete_url(route), {"post": "yes", "journal_reason": "unused"})
    revision = Revision.objects.get()
    assert (revision.action, revision.reason) == (Revision.Action.DELETED, "unused")
    back = reverse("admin:tuning_revision_rollback", args=[revision.pk])
    assert "comes back with its last values" in page_of(operator, back)
    assert "Rolled back" in page_of(operator, back, {"journal_reason": "used after all"})
    assert Route.objects.get().pk == route.pk


def test_deleting_many_is_journalled_one_by_one(operator: Client) -> None:
    routes = [RouteFactory() for _route in range(2)]
    url = reverse("admin:llm_route_changelist")
    chosen = {"action": "delete_selected", "_selected_action": [str(one.pk) for one in routes]}
    assert "journal_reason" in page_of(operator, url, chosen)
    page_of(operator, url, {**chosen, "post": "yes", "journal_reason": "unused"})
    assert not Route.objects.exists()
    assert {one.subject for one in Revision.objects.filter(reason="unused")} == {
        rows.subject_of(one) for one in routes
    }


def test_a_row_s_change_can_wait(operator: Client) -> None:
    provider = ProviderFactory(name="Old")
    at = timezone.now() + timedelta(hours=1)
    later = {"name": "New", "journal_due_at": f"{at:%Y-%m-%dT%H:%M}"}
    assert "Nothing is changed yet" in page_of(
        operator, change_url(provider), entered(provider, **later)
    )
    provider.refresh_from_db()
    assert provider.name == "Old"
    assert ScheduledChange.objects.get().values == {"name": "New"}
    assert "Still to come" in page_of(operator, change_url(provider))
    refused = entered(provider, **{**later, "secret": "sk-1"})
    assert "A key is never kept for later" in page_of(operator, change_url(provider), refused)
    assert ScheduledChange.objects.count() == 1


def test_who_is_kept_out_sees_the_row_and_why(operator: Client, colleague: User) -> None:
    provider = ProviderFactory(code="acme", name="Old")
    Right.objects.create(pattern="llm.provider:*", person=colleague)
    page = page_of(operator, change_url(provider))
    assert "llm.provider:acme may be changed only by Colleague." in page
    assert 'name="name"' not in page
    assert operator.post(change_url(provider), entered(provider, name="New")).status_code == 403
    assert operator.post(delete_url(provider), {"post": "yes"}).status_code == 403
    new = entered(provider, code="other", journal_reason="", secret="sk-1")
    told = page_of(operator, reverse("admin:llm_provider_add"), new)
    assert "may be changed only by Colleague" in told
    assert list(Provider.objects.values_list("name", flat=True)) == ["Old"]


def test_the_journal_is_filtered_by_what_and_shows_a_change(operator: Client) -> None:
    services.change(values={NAME: 0.5}, author_id=None, reason="first")
    provider = ProviderFactory(code="acme", name="Old")
    services.change_row(instance=provider, values={"name": "New"}, author_id=None)
    url = reverse("admin:tuning_revision_changelist")
    everything = page_of(operator, url)
    assert NAME in everything
    assert "Old → New" in everything
    rows_only = page_of(operator, url + "?kind=llm.provider:")
    assert "Old → New" in rows_only
    assert NAME not in rows_only
    assert "Old → New" in page_of(operator, url + "?subject=llm.provider%3Aacme")
    revision = Revision.objects.get(subject="parameters")
    shown = page_of(operator, reverse("admin:tuning_revision_change", args=[revision.pk]))
    assert f'<th scope="row">{NAME}</th>' in shown
    assert "<td>1 share of the question&#x27;s own weight</td>" in shown


def test_going_back_shows_the_difference_first(operator: Client, admin_user: User) -> None:
    first = services.change(values={NAME: 0.5}, author_id=None)
    services.change(values={NAME: 0.75}, author_id=None)
    assert first
    url = reverse("admin:tuning_revision_rollback", args=[first.pk])
    page = page_of(operator, url)
    assert "0.75" in page
    assert Revision.objects.count() == 2
    assert "Rolled back" in page_of(operator, url, {"journal_reason": "too eager"})
    newest = Revision.objects.latest("pk")
    assert (newest.values, newest.author) == ({NAME: 0.5}, admin_user)
    assert newest.reason == "too eager"
    assert "It is so already" in page_of(operator, url)
    assert "Nothing was changed" in page_of(operator, url, {})


def test_going_back_says_why_it_is_refused(operator: Client) -> None:
    services.create_row(instance=PriceFactory.build(), author_id=None)
    made = Revision.objects.get()
    url = reverse("admin:tuning_revision_rollback", args=[made.pk])
    for data in (None, {"journal_reason": ""}):
        assert "Add a price with the amount you want" in page_of(operator, url, data)
    assert Price.objects.exists()


def test_scheduled_changes_are_shown_and_cancelled(operator: Client, admin_user: User) -> None:
    first, second, third = (scheduled() for _change in range(3))
    url = reverse("admin:tuning_scheduledchange_changelist")
    assert "waiting" in page_of(operator, url)
    cancel = reverse("admin:tuning_scheduledchange_cancel", args=[first.pk])
    assert cancel in page_of(operator, change_url(first))
    assert operator.get(cancel).status_code == 405
    assert "Cancelled" in page_of(operator, cancel, {})
    assert "Too late" in page_of(operator, cancel, {})
    chosen = {"action": "cancel_chosen", "_selected_action": [str(second.pk)]}
    assert "Cancelled" in page_of(operator, url, chosen)
    assert list(ScheduledChange.objects.waiting()) == [third]
    assert cancel not in page_of(operator, change_url(first))


def test_a_right_is_made_and_journalled(operator: Client, admin_user: User) -> None:
    url = reverse("admin:tuning_right_add")
    page = page_of(operator, url, {"pattern": "no pattern", "person": str(admin_user.pk)})
    assert "Write a parameter like documents.*" in page
    page_of(operator, url, {"pattern": "documents.*", "person": str(admin_user.pk)})
    right = Right.objects.get()
    assert Revision.objects.get().subject == f"tuning.right:{right.pk}"


@pytest.mark.parametrize("name", ["revision_rollback", "scheduledchange_cancel"])
def test_the_pages_are_for_operators(client: Client, owner: User, name: str) -> None:
    services.change(values={NAME: 0.25}, author_id=None)
    change = scheduled()
    pk = change.pk if name.startswith("scheduled") else Revision.objects.get().pk
    url = reverse(f"admin:tuning_{name}", args=[pk])
    for _visitor in range(2):
        assert client.post(url).status_code == 302
        client.force_login(owner)
    change.refresh_from_db()
    assert change.is_waiting
    assert Revision.objects.count() == 1
