"""A programmable OpenAI-compatible endpoint over real HTTP, in a thread of the test's process.

    provider.will_answer("Twenty", gate, " days")    a stream that waits at the gate
    provider.will_answer("Twen", BREAK)              one that breaks off
    provider.will_fail(429, headers={"retry-after": "7"})

Scripts are used up in order, those of a named call before them; without one it answers DEFAULT_ANSWER. What it was
asked is in `requests`, what it counted in `counted`, what it would bill for each call in `bills`; `client_left` is
set when a client closed a stream before its end.
"""

import asyncio
import json
import threading
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

import numpy as np
import uvicorn

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

DEFAULT_ANSWER = ("Twenty", " days", ".")
BREAK: Literal["<break>"] = "<break>"
HANG: Literal["<hang>"] = "<hang>"
DIMENSIONS = 8


class Gate:
    """A place in a stream where the provider waits until the test opens it."""

    def __init__(self) -> None:
        self.was_reached = threading.Event()
        self._is_open = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    async def pass_through(self) -> None:
        """Wait, in the provider's loop, until the gate is opened."""
        with self._lock:
            self._loop = asyncio.get_running_loop()
        self.was_reached.set()
        await self._is_open.wait()

    async def reached(self) -> None:
        """Wait, in a test's loop, until the provider stands at the gate."""
        await asyncio.to_thread(self.was_reached.wait)

    def open(self) -> None:
        """Let the stream go on."""
        with self._lock:
            if self._loop is None:
                self._is_open.set()
            else:
                self._loop.call_soon_threadsafe(self._is_open.set)


Step = str | Gate


@dataclass(frozen=True)
class Recorded:
    """A request the provider got."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def call_name(self) -> str:
        """What the client calls it: request and attempt."""
        return self.headers.get("x-request-id", "")

    @property
    def text(self) -> str:
        """All messages' texts."""
        return "\n".join(message["content"] for message in self.body["messages"])


@dataclass
class Script:
    """How one request is answered."""

    steps: Sequence[Step] = DEFAULT_ANSWER
    has_usage: bool = True
    cached_tokens: int = 0
    finish_reason: str | None = "stop"
    status: int = 200
    error: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Counted:
    """Tokens the provider counted over all requests it reported usage for."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0


@dataclass
class Bill:
    """What one call would cost at a real provider: what it read and sent, whether it could still report it or not."""

    request_count: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    embedded_tokens: int = 0


class FakeProvider:
    """The endpoint; use it as a context manager."""

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self.counted = Counted()
        # By the call's name, which is the header X-Request-ID.
        self.bills: defaultdict[str, Bill] = defaultdict(Bill)
        # A token a word, and these for the marks around each message and each text to embed.
        self.tokens_per_message = 0
        self.tokens_per_text = 0
        self.client_left = threading.Event()
        self.reverses_embeddings = False
        self.embeddings_gate: Gate | None = None
        # Vectors of texts that a test wants near each other; all others get `vector_of`.
        self.vectors: dict[str, np.ndarray] = {}
        self._scripts: deque[Script] = deque()
        self._scripts_by_call: dict[str, Script] = {}
        self._errors: list[Exception] = []
        config = uvicorn.Config(
            self._app,
            host="127.0.0.1",
            port=0,
            log_level="critical",
            lifespan="off",
            ws="none",
            interface="asgi3",
            timeout_graceful_shutdown=1,
            # Never closes an idle connection in the moment in which the next question is sent on it.
            timeout_keep_alive=3600,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="fake-provider")

    def __enter__(self) -> "FakeProvider":
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.005)
        return self

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        if self._errors:
            raise ExceptionGroup("the fake provider itself failed", self._errors)

    @property
    def base_url(self) -> str:
        """Where it is, up to and including /v1."""
        [server] = self._server.servers
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"

    def will_answer(self, *steps: Step, **options: Any) -> None:
        """Answer the next request with these tokens; see Script for the options."""
        self._scripts.append(Script(steps=steps, **options))

    def will_fail(
        self, status: int, *, headers: dict[str, str] | None = None, **error: Any
    ) -> None:
        """Refuse the next request; `error` is the error object of the body."""
        self._scripts.append(Script(status=status, error=error, headers=headers or {}))

    def will_do(self, call_name: str, script: Script) -> None:
        """Answer the next request of this call so, whatever others are asked meanwhile."""
        self._scripts_by_call[call_name] = script

    def _script_of(self, request: Recorded) -> Script:
        script = self._scripts_by_call.pop(request.call_name, None)
        if script is not None:
            return script
        return self._scripts.popleft() if self._scripts else Script()

    async def _app(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        try:
            await self._respond(scope, receive, send)
        except Exception as error:
            self._errors.append(error)
            raise

    async def _respond(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        request = Recorded(scope["path"], headers, json.loads(body))
        self.requests.append(request)
        script = self._script_of(request)
        bill = self.bills[request.call_name]
        bill.request_count += 1
        if script.status != 200:
            await _send_json(send, {"error": script.error}, script.status, script.headers)
        elif request.path.endswith("/embeddings"):
            if self.embeddings_gate is not None:
                await self.embeddings_gate.pass_through()
            bill.embedded_tokens += self._tokens_to_embed(request.body["input"])
            if BREAK in script.steps:
                await _send_half(send)
            else:
                await _send_json(send, self._embeddings(request.body["input"], script))
        else:
            bill.input_tokens += self._prompt_tokens(request.body)
            await self._answer_unless_left(request, script, receive, send)

    async def _answer_unless_left(
        self, request: Recorded, script: Script, receive: Receive, send: Send
    ) -> None:
        answer = self._stream if request.body.get("stream") else self._whole
        answering = asyncio.create_task(answer(request, script, send))
        leaving = asyncio.create_task(_left(receive))
        done, _pending = await asyncio.wait(
            {answering, leaving}, return_when=asyncio.FIRST_COMPLETED
        )
        if answering not in done:
            self.client_left.set()
        for task in (answering, leaving):
            task.cancel()
        await asyncio.wait({answering, leaving})
        if not answering.cancelled():
            answering.result()

    async def _stream(self, request: Recorded, script: Script, send: Send) -> None:
        body, bill = request.body, self.bills[request.call_name]
        await _start(send, 200, {"content-type": "text/event-stream"})
        token_count = 0
        async for text in _played(script.steps):
            if text == BREAK:
                return
            token_count += 1
            bill.output_tokens += 1
            await _send_event(send, _chunk(text))
        if script.finish_reason:
            await _send_event(send, {**_chunk(None), **_finish(script.finish_reason)})
        if script.has_usage and body.get("stream_options", {}).get("include_usage"):
            usage = self._count(request, script, token_count)
            await _send_event(send, {**_chunk(None), "choices": [], "usage": usage})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})

    async def _whole(self, request: Recorded, script: Script, send: Send) -> None:
        texts = [text async for text in _played(script.steps)]
        if BREAK in texts:
            await _send_half(send)
            return
        answer: dict[str, Any] = {
            **_chunk(None),
            "object": "chat.completion",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "".join(texts)},
                    "finish_reason": script.finish_reason,
                }
            ],
        }
        self.bills[request.call_name].output_tokens += len(texts)
        if script.has_usage:
            answer["usage"] = self._count(request, script, len(texts))
        await _send_json(send, answer)

    def _prompt_tokens(self, body: dict[str, Any]) -> int:
        return sum(
            len(message["content"].split()) + self.tokens_per_message
            for message in body["messages"]
        )

    def _tokens_to_embed(self, texts: list[str]) -> int:
        return sum(len(text.split()) + self.tokens_per_text for text in texts)

    def _count(self, request: Recorded, script: Script, token_count: int) -> dict[str, Any]:
        prompt = self._prompt_tokens(request.body)
        self.bills[request.call_name].cached_tokens += script.cached_tokens
        self.counted.input_tokens += prompt
        self.counted.cached_tokens += script.cached_tokens
        self.counted.output_tokens += token_count
        return {
            "prompt_tokens": prompt,
            "completion_tokens": token_count,
            "total_tokens": prompt + token_count,
            "prompt_tokens_details": {"cached_tokens": script.cached_tokens},
        }

    def _vector(self, text: str) -> np.ndarray:
        return self.vectors[text] if text in self.vectors else vector_of(text)

    def _embeddings(self, texts: list[str], script: Script) -> dict[str, Any]:
        prompt = self._tokens_to_embed(texts)
        data = [
            {"object": "embedding", "index": index, "embedding": self._vector(text).tolist()}
            for index, text in enumerate(texts)
        ]
        if self.reverses_embeddings:
            data.reverse()
        answer: dict[str, Any] = {"object": "list", "model": "fake", "data": data}
        if script.has_usage:
            self.counted.input_tokens += prompt
            answer["usage"] = {"prompt_tokens": prompt, "total_tokens": prompt}
        return answer


def vector_of(text: str) -> np.ndarray:
    """Return the vector the provider gives for a text; it is not of unit length."""
    seed = int.from_bytes(sha256(text.encode()).digest()[:8])
    return np.random.default_rng(seed).normal(size=DIMENSIONS)


async def _played(steps: Sequence[Step]) -> Any:
    for step in steps:
        if isinstance(step, Gate):
            await step.pass_through()
        elif step == HANG:
            await asyncio.Event().wait()
        else:
            yield step


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _chunk(text: str | None) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "fake",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
    }


def _finish(reason: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


async def _start(send: Send, status: int, headers: dict[str, str]) -> None:
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def _send_event(send: Send, data: dict[str, Any]) -> None:
    body = f"data: {json.dumps(data)}\n\n".encode()
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _send_half(send: Send) -> None:
    """Begin an answer; the server closes the connection when no more comes."""
    await _start(send, 200, {"content-type": "application/json"})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})


async def _send_json(
    send: Send, data: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
) -> None:
    await _start(send, status, {"content-type": "application/json", **(headers or {})})
    await send({"type": "http.response.body", "body": json.dumps(data).encode()})
