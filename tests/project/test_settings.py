"""Settings that are put together from others."""

from pathlib import Path

from project.settings import base


def test_mail_without_a_server_goes_into_the_data_folder() -> None:
    assert Path(base.EMAIL_CONFIG["EMAIL_FILE_PATH"]) == base.VAR_DIR / "mail"
