"""What is embedded and what is given, and the environment the settings get."""

from pathlib import Path

import pytest

from project.supervisor import installation
from project.supervisor.data_folder import DataFolder
from project.supervisor.installation import Installation, embedded_storage, placeholder_environment

_URLS = ("DATABASE_URL", "CACHE_URL", "REDIS_URL", "CELERY_BROKER_URL")
_PORTS = {"postgres": 1, "cache": 2, "state": 3, "chat": 4, "embedder": 5}


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """An installation for which nothing is given by the environment."""
    for name in (*_URLS, "SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "DJANGO_SETTINGS_MODULE"):
        monkeypatch.delenv(name, raising=False)
    return Installation(DataFolder(tmp_path), _PORTS)


def test_without_outside_servers_all_parts_are_embedded(plain: Installation) -> None:
    environment = plain.environment()
    assert embedded_storage() == ("postgres", "cache", "state")
    assert environment["DATABASE_URL"].endswith("@127.0.0.1:1/parley")
    assert environment["CACHE_URL"].endswith("@127.0.0.1:2/0")
    assert environment["REDIS_URL"].endswith("@127.0.0.1:3/0")
    assert environment["DJANGO_SETTINGS_MODULE"] == installation.SETTINGS_MODULE


@pytest.mark.parametrize(
    ("name", "part"), [("DATABASE_URL", "postgres"), ("CACHE_URL", "cache"), ("REDIS_URL", "state")]
)
def test_an_outside_server_switches_its_embedded_part_off(
    plain: Installation, monkeypatch: pytest.MonkeyPatch, name: str, part: str
) -> None:
    monkeypatch.setenv(name, "outside://server")
    assert part not in embedded_storage()
    assert name not in plain.environment()
    assert [program.name for program in plain.model_programs()] == ["chat", "embedder"]


def test_a_secret_given_by_a_file_is_not_replaced(
    plain: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY_FILE", "/run/secrets/key")
    assert "SECRET_KEY" not in plain.environment()


def test_secrets_stay_the_same_from_start_to_start(plain: Installation) -> None:
    first = plain.environment()
    assert plain.environment() == first
    assert (
        len({first["SECRET_KEY"], first["FIELD_ENCRYPTION_KEYS"], first["EMBEDDED_API_KEY"]}) == 3
    )


def test_placeholders_write_nothing_and_name_no_real_server(
    plain: Installation, tmp_path: Path
) -> None:
    values = placeholder_environment()
    assert all(
        "127.0.0.1:1/" in values[name] for name in ("DATABASE_URL", "CACHE_URL", "REDIS_URL")
    )
    assert [*tmp_path.iterdir()] == []
