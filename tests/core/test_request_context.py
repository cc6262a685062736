"""The request id, the stage times, and the policies each response carries."""

import uuid

import pytest
from django.test import AsyncClient, Client

from apps.core.context import current_request_id, request_context
from apps.core.stages import collect, record, stage


def test_ids_and_stages_are_of_their_own_request() -> None:
    assert current_request_id() is None
    with request_context() as outer, collect() as timings:
        with stage("one"):
            pass
        with request_context() as inner, collect() as nested:
            record("two", 5.0)
            assert current_request_id() == inner != outer
        assert current_request_id() == outer
        record("one", 2.0)
    assert nested.as_dict() == {"two": 5.0}
    assert list(timings.as_dict()) == ["one"]
    assert timings.as_dict()["one"] >= 2.0
    assert timings.server_timing().startswith("one;dur=")


@pytest.mark.django_db
def test_a_response_names_its_request_and_its_times(client: Client) -> None:
    given = str(uuid.uuid4())
    response = client.get("/livez", headers={"X-Request-ID": given})
    assert response.headers["X-Request-ID"] == given
    assert "total;dur=" in response.headers["Server-Timing"]
    assert float(response.headers["X-Process-Time"]) > 0


@pytest.mark.django_db
def test_a_forged_id_is_replaced(client: Client) -> None:
    response = client.get("/livez", headers={"X-Request-ID": "evil\tline"})
    assert uuid.UUID(response.headers["X-Request-ID"]).version == 7


async def test_the_async_way_gives_the_same_headers() -> None:
    response = await AsyncClient().get("/livez")
    assert uuid.UUID(response.headers["X-Request-ID"]).version == 7
    assert "total;dur=" in response.headers["Server-Timing"]


@pytest.mark.django_db
def test_pages_have_the_strict_policy_and_the_admin_its_own(client: Client) -> None:
    strict = client.get("/account/login/").headers["Content-Security-Policy"]
    assert "unsafe" not in strict
    assert "script-src 'self'" in strict
    relaxed = client.get("/admin/login/").headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in relaxed
