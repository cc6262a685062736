"""Silk: off as shipped, live by its share, never for streams, its pages for operators only."""

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from silk.models import Request, SQLQuery

from apps.accounts.models import User
from apps.observability.profiling import StaffProfilingMiddleware, should_profile
from apps.observability.tasks import collect_profiles
from apps.tuning import live, services

NAME = "observability.profiling_ratio"


@pytest.fixture
def profiling(django_capture_on_commit_callbacks) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        services.change(values={NAME: 1.0}, author_id=None)
    yield
    live.forget()


@pytest.mark.django_db
def test_nothing_is_recorded_as_shipped(client: Client, owner: User) -> None:
    live.forget()
    client.force_login(owner)
    client.get("/account/profile/")
    assert Request.objects.count() == 0


@pytest.mark.django_db
def test_a_request_is_recorded_without_its_body_once_switched_on(
    client: Client, owner: User, profiling: None
) -> None:
    client.force_login(owner)
    client.post("/account/profile/", {"full_name": "A secret name"})
    recorded = Request.objects.get(path="/account/profile/")
    assert "secret" not in recorded.raw_body
    assert "secret" not in recorded.body
    collect_profiles()
    assert Request.objects.exists()


@pytest.mark.django_db
def test_queries_after_a_profiled_request_are_left_alone(
    client: Client, owner: User, profiling: None
) -> None:
    client.force_login(owner)
    client.get("/account/profile/")
    assert SQLQuery.objects.filter(query__contains="accounts_membership").exists()
    with CaptureQueriesContext(connection) as captured:
        User.objects.count()
    assert [query["sql"][:6] for query in captured] == ["SELECT"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    [
        "/chat/reply/",
        "/documents/events/",
        "/livez",
        "/metrics",
        "/static/core/base.css",
        "/nowhere/",
    ],
)
def test_streams_and_probes_are_never_recorded(path: str) -> None:
    assert not should_profile(RequestFactory().get(path), 1.0)


async def test_a_snapshot_that_ends_meanwhile_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(_request: object) -> HttpResponse:
        return HttpResponse("fine")

    # Fresh when asked, ended when read: a query here, in the event loop, would be an error.
    monkeypatch.setattr(live, "is_fresh", lambda: True)
    live.forget()
    request = RequestFactory().get("/chat/")
    assert (await StaffProfilingMiddleware(answer)(request)).content == b"fine"


@pytest.mark.django_db
def test_its_pages_are_for_operators(client: Client, owner: User, admin_user: User) -> None:
    assert client.get("/silk/").status_code == 302
    client.force_login(owner)
    assert client.get("/silk/").status_code in {302, 403}
    client.force_login(admin_user)
    assert client.get("/silk/").status_code == 200
