"""Which addresses a provider may have."""

import pytest
from django.core.exceptions import ValidationError

from apps.llm.validators import validate_base_url


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/v1",
        "http://127.0.0.1:8080/v1",
        "http://[::1]:8080/v1",
        "http://localhost/v1",
        "http://10.1.2.3/v1",
        "http://models:8000/v1",
        "http://vllm.ml.svc/v1",
    ],
)
def test_https_and_the_private_network_are_fine(url: str) -> None:
    validate_base_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/v1",
        "http://8.8.8.8/v1",
        "http://169.254.169.254/v1",
        "https://169.254.169.254/v1",
        "https://key@api.example.com/v1",
        "https://user:key@api.example.com/v1",
        "https://api.example.com/v1?key=1",
        "ftp://localhost/v1",
        "https://",
        "https://[::1",
        "https://localhost:99999/v1",
        "",
    ],
)
def test_others_are_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        validate_base_url(url)
