"""The embedded embedding model as an OpenAI-compatible HTTP server in a process of its own.

Run by the supervisor as `python -m apps.llm.embedded.embedder`; it imports no Django.
"""

import argparse
import asyncio
import base64
import json
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from tokenizers import Tokenizer

from apps.llm.embedded.files import (
    EMBEDDING_MAX_TOKENS,
    EMBEDDING_MODEL_NAME,
    embedding_model_path,
    tokenizer_path,
)

MAX_INPUT_COUNT = 256
MAX_BODY_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Embedding:
    """One text's unit vector, the tokens read, and whether the text's end was cut off."""

    vector: np.ndarray
    token_count: int
    is_truncated: bool


class RefusedRequestError(Exception):
    """The request can't be answered; carries the HTTP status and OpenAI's error code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class EmbeddingModel:
    """MiniLM on onnxruntime: mean pooling over the tokens, length one."""

    def __init__(self, *, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Waiting threads sleep instead of spinning: web and worker share the processor.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(embedding_model_path()), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(tokenizer_path()))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length=EMBEDDING_MAX_TOKENS)

    def embed(self, text: str) -> Embedding:
        """Return the embedding of one text; a batch of one is the fastest on a processor."""
        encoding = self._tokenizer.encode(text)
        mask = np.array([encoding.attention_mask], dtype=np.int64)
        (states,) = self._session.run(
            ["last_hidden_state"],
            {
                "input_ids": np.array([encoding.ids], dtype=np.int64),
                "attention_mask": mask,
                "token_type_ids": np.array([encoding.type_ids], dtype=np.int64),
            },
        )
        mean = states[0].mean(axis=0)
        return Embedding(
            vector=(mean / np.linalg.norm(mean)).astype(np.float32),
            token_count=len(encoding.ids),
            is_truncated=bool(encoding.overflowing),
        )


class EmbedderApp:
    """The endpoints; `model` does its work in one thread, so that /health stays live."""

    def __init__(self, *, model: EmbeddingModel, api_key: str) -> None:
        self._model = model
        self._authorization = f"Bearer {api_key}".encode()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embed")

    def asgi(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/health", self.health),
                Route("/v1/models", self.models),
                Route("/v1/embeddings", self.embeddings, methods=["POST"]),
            ],
            exception_handlers={RefusedRequestError: _refusal},
        )

    async def health(self, request: Request) -> JSONResponse:
        """Say that the process answers; needs no key."""
        return JSONResponse({"status": "ok"})

    async def models(self, request: Request) -> JSONResponse:
        """List the one model."""
        self._check_key(request)
        model = {"id": EMBEDDING_MODEL_NAME, "object": "model", "owned_by": "parley"}
        return JSONResponse({"object": "list", "data": [model]})

    async def embeddings(self, request: Request) -> JSONResponse:
        """Embed the texts one after the other.

        Each text is a job of its own for the thread, so a question does not wait until a
        whole batch of an ingestion is done, only until its present text is.
        """
        self._check_key(request)
        texts, encoding_format = _parse(await _read_json(request))
        loop = asyncio.get_running_loop()
        results = [
            await loop.run_in_executor(self._thread, self._model.embed, text) for text in texts
        ]
        return JSONResponse(_answer(results, encoding_format))

    def _check_key(self, request: Request) -> None:
        given = request.headers.get("authorization", "").encode()
        if not secrets.compare_digest(given, self._authorization):
            raise RefusedRequestError(401, "invalid_api_key", "The API key is missing or wrong.")


async def _read_json(request: Request) -> object:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise RefusedRequestError(
                413, "request_too_large", f"More than {MAX_BODY_BYTES} bytes."
            )
    try:
        return json.loads(body)
    except ValueError as error:
        raise RefusedRequestError(400, "invalid_json", "The body is not JSON.") from error


def _parse(body: object) -> tuple[list[str], str]:
    if not isinstance(body, dict):
        raise RefusedRequestError(400, "invalid_request", "The body must be an object.")
    if body.get("model") != EMBEDDING_MODEL_NAME:
        raise RefusedRequestError(
            404, "model_not_found", f"The model here is {EMBEDDING_MODEL_NAME}."
        )
    encoding_format = body.get("encoding_format", "float")
    if encoding_format not in {"float", "base64"}:
        raise RefusedRequestError(400, "invalid_request", "encoding_format is float or base64.")
    texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise RefusedRequestError(400, "invalid_request", "input is a text or a list of texts.")
    if not 1 <= len(texts) <= MAX_INPUT_COUNT:
        raise RefusedRequestError(
            400, "invalid_request", f"input holds 1 to {MAX_INPUT_COUNT} texts."
        )
    return texts, encoding_format


def _answer(results: Sequence[Embedding], encoding_format: str) -> dict[str, Any]:
    token_count = sum(result.token_count for result in results)
    return {
        "object": "list",
        "model": EMBEDDING_MODEL_NAME,
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _encoded(result.vector, encoding_format),
                # Not in OpenAI's shape: whether words past the model's window were left out.
                "truncated": result.is_truncated,
            }
            for index, result in enumerate(results)
        ],
        "usage": {"prompt_tokens": token_count, "total_tokens": token_count},
    }


def _encoded(vector: np.ndarray, encoding_format: str) -> str | list[float]:
    if encoding_format == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    numbers: list[float] = vector.tolist()
    return numbers


async def _refusal(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RefusedRequestError):
        raise error
    body = {"message": str(error), "type": "invalid_request_error", "code": error.code}
    return JSONResponse({"error": body}, status_code=error.status)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key-file", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    app = EmbedderApp(
        model=EmbeddingModel(threads=arguments.threads),
        api_key=arguments.key_file.read_text().strip(),
    )
    uvicorn.run(
        app.asgi(),
        host="127.0.0.1",
        port=arguments.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    main()
