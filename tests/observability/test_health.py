"""Liveness, readiness, metrics, the admin's health page, and a database that has no connection left."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import OperationalError
from django.test import Client, RequestFactory
from django.urls import reverse

from apps.accounts.models import User
from apps.observability import health
from apps.observability.views import server_error


def test_livez_asks_nobody(client: Client) -> None:
    assert client.get("/livez").json() == {"status": "alive"}


@pytest.mark.django_db
def test_readyz_is_ready_and_names_what_is_missing(client: Client, settings) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json()["parts"]["database"] == "ok"
    settings.CACHE_URL = "redis://127.0.0.1:1/0"
    degraded = client.get("/readyz")
    assert degraded.status_code == 200
    assert degraded.json()["parts"]["cache"] != "ok"
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    missing = client.get("/readyz")
    assert missing.status_code == 503
    assert missing.json()["status"] == "not ready"


@pytest.mark.django_db
def test_metrics_are_for_the_scraper_and_operators(
    client: Client, owner: User, admin_user: User, settings
) -> None:
    assert client.get("/metrics").status_code == 404
    bearer = {"Authorization": f"Bearer {settings.METRICS_TOKEN}"}
    page = client.get("/metrics", headers=bearer)
    assert b"parley_stage_seconds" in page.content
    client.force_login(owner)
    assert client.get("/metrics").status_code == 404
    client.force_login(admin_user)
    assert client.get("/metrics").status_code == 200


@pytest.mark.django_db
def test_no_token_set_means_no_scraper(client: Client, settings) -> None:
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


@pytest.mark.django_db
def test_the_health_page_shows_parts_and_pool_to_operators(
    client: Client, owner: User, admin_user: User
) -> None:
    url = reverse("admin-health")
    client.force_login(owner)
    assert client.get(url).status_code == 302
    client.force_login(admin_user)
    page = client.get(url).content.decode()
    assert "database" in page
    assert "pool_max" in page or not health.pool_figures()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "status"), [(OperationalError("no connection"), 503), (ValueError("bug"), 500)]
)
def test_a_failed_request_says_what_to_do(error: Exception, status: int) -> None:
    request = RequestFactory().get("/", headers={"Accept": "application/json"})
    request.user = AnonymousUser()
    try:
        raise error
    except type(error):
        response = server_error(request)
    assert response.status_code == status
    assert ("Retry-After" in response.headers) == (status == 503)
