"""The embedded model servers, real ones over real HTTP: shape, key, limits, meaning."""

import base64
import json
import struct
import urllib.error
import urllib.request
from typing import Any

import pytest

from apps.llm.embedded.files import (
    CHAT_MODEL_NAME,
    EMBEDDING_DIMENSIONS,
    EMBEDDING_MAX_TOKENS,
    EMBEDDING_MODEL_NAME,
)
from tests.conftest import EmbeddedModels


def call(url: str, body: object, *, key: str) -> dict[str, Any]:
    request = urllib.request.Request(
        url,
        data=body if isinstance(body, bytes) else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        result: dict[str, Any] = json.load(answer)
    return result


def embed(models: EmbeddedModels, texts: object, **fields: object) -> dict[str, Any]:
    body = {"model": EMBEDDING_MODEL_NAME, "input": texts, **fields}
    return call(f"{models.embedding_url}/embeddings", body, key=models.api_key)


def refusal(models: EmbeddedModels, body: object, *, key: str | None = None) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        call(f"{models.embedding_url}/embeddings", body, key=models.api_key if key is None else key)
    with caught.value as error:
        return error.code, json.load(error)["error"]["code"]


def similarity(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_vectors_have_length_one_and_near_meanings_are_near(
    embedded_models: EmbeddedModels,
) -> None:
    texts = ["How many days off do I get?", "Annual leave is 25 days.", "The pump weighs 40 kg."]
    question, near, far = (item["embedding"] for item in embed(embedded_models, texts)["data"])
    assert len(question) == EMBEDDING_DIMENSIONS
    assert similarity(question, question) == pytest.approx(1, abs=1e-5)
    assert similarity(question, near) > 0.4 > similarity(question, far)


def test_a_text_gets_the_same_vector_alone_and_among_others(
    embedded_models: EmbeddedModels,
) -> None:
    alone = embed(embedded_models, "Annual leave is 25 days.")["data"][0]
    among = embed(embedded_models, ["Something else.", "Annual leave is 25 days."])["data"][1]
    assert among["embedding"] == alone["embedding"]
    assert (alone["index"], among["index"]) == (0, 1)


def test_base64_carries_the_same_numbers(embedded_models: EmbeddedModels) -> None:
    plain = embed(embedded_models, "leave")["data"][0]["embedding"]
    packed = embed(embedded_models, "leave", encoding_format="base64")["data"][0]["embedding"]
    numbers = struct.unpack(f"<{EMBEDDING_DIMENSIONS}f", base64.b64decode(packed))
    assert list(numbers) == pytest.approx(plain)


def test_usage_counts_tokens_and_a_cut_text_is_reported(embedded_models: EmbeddedModels) -> None:
    answer = embed(embedded_models, ["leave", "leave " * 1000])
    assert [item["truncated"] for item in answer["data"]] == [False, True]
    # One word and the two marks at its ends; the long text fills the window.
    assert answer["usage"]["prompt_tokens"] == 3 + EMBEDDING_MAX_TOKENS


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", (400, "invalid_json")),
        ([], (400, "invalid_request")),
        ({"model": "another", "input": "a"}, (404, "model_not_found")),
        ({"model": EMBEDDING_MODEL_NAME, "input": []}, (400, "invalid_request")),
        ({"model": EMBEDDING_MODEL_NAME, "input": [""]}, (400, "invalid_request")),
        ({"model": EMBEDDING_MODEL_NAME, "input": [7]}, (400, "invalid_request")),
        ({"model": EMBEDDING_MODEL_NAME, "input": ["a"] * 257}, (400, "invalid_request")),
        (b" " * (4 * 1024 * 1024 + 1), (413, "request_too_large")),
    ],
)
def test_what_it_cannot_answer_is_refused_with_a_reason(
    embedded_models: EmbeddedModels, body: object, expected: tuple[int, str]
) -> None:
    assert refusal(embedded_models, body) == expected


@pytest.mark.parametrize("key", ["", "wrong"])
def test_without_the_key_nothing_is_embedded(embedded_models: EmbeddedModels, key: str) -> None:
    body = {"model": EMBEDDING_MODEL_NAME, "input": "a"}
    assert refusal(embedded_models, body, key=key) == (401, "invalid_api_key")


def test_the_chat_model_answers_and_counts(embedded_models: EmbeddedModels) -> None:
    body = {
        "model": CHAT_MODEL_NAME,
        "messages": [{"role": "user", "content": "Say hello."}],
        "max_tokens": 8,
    }
    url = f"{embedded_models.chat_url}/chat/completions"
    answer = call(url, body, key=embedded_models.api_key)
    assert answer["choices"][0]["message"]["content"]
    assert 0 < answer["usage"]["completion_tokens"] <= 8
    with pytest.raises(urllib.error.HTTPError) as caught:
        call(url, body, key="wrong")
    with caught.value as error:
        assert error.code == 401
