"""A real uvicorn with the test's database and a pool of five connections, and a browser's side of a stream."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2
from django.conf import settings
from django.db import connection
from django.test import Client

from apps.accounts.models import User
from apps.core.ids import uuid7

POOL_SIZE = 5
CSRF_TOKEN = "c" * 32


class Server:
    """The process, and its address."""

    def __init__(self, settings_module: str = "project.settings.test") -> None:
        # Bound here and handed over: a free port that is only named can be another's when the server comes to bind it.
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "uvicorn",
                    "project.asgi:application",
                    "--fd",
                    str(listener.fileno()),
                    "--lifespan",
                    "on",
                    "--log-level",
                    "warning",
                    "--timeout-graceful-shutdown",
                    "5",
                ],
                pass_fds=(listener.fileno(),),
                env={
                    **os.environ,
                    "DJANGO_SETTINGS_MODULE": settings_module,
                    "DATABASE_URL": test_database_url(),
                    "DATABASE_POOL_MAX": str(POOL_SIZE),
                    "DATABASE_POOL_TIMEOUT": "20",
                },
            )

    def wait(self) -> None:
        """Wait until it answers; where it ends instead, the connection breaks."""
        httpx2.get(f"{self.url}/chat/", timeout=600)

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it as the supervisor does."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def test_database_url() -> str:
    """Return the address of the database this test uses."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    return urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))


@contextmanager
def serving(settings_module: str = "project.settings.test") -> Iterator[Server]:
    """Run a server."""
    server = Server(settings_module)
    try:
        server.wait()
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


class Browser:
    """A signed-in person's side of the chat endpoints; use it as an async context manager."""

    def __init__(self, server: Server, user: User) -> None:
        self._user = user
        self.http = httpx2.AsyncClient(
            base_url=server.url,
            cookies={settings.CSRF_COOKIE_NAME: CSRF_TOKEN},
            headers={"X-CSRFToken": CSRF_TOKEN},
            timeout=60,
            limits=httpx2.Limits(max_connections=100),
            trust_env=False,
        )

    async def __aenter__(self) -> "Browser":
        client = Client()
        await client.aforce_login(self._user)
        name = settings.SESSION_COOKIE_NAME
        self.http.cookies.set(name, client.cookies[name].value)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.http.aclose()

    @asynccontextmanager
    async def ask(self, content: str = "What is new?", **fields: Any) -> AsyncIterator["Events"]:
        """Post a question about no documents and follow its stream."""
        data = {"content": content, "idempotency_key": str(uuid7()), "sources": "NONE", **fields}
        async with self.stream("POST", "/chat/reply/", data=data) as events:
            yield events

    @asynccontextmanager
    async def stream(self, method: str, url: str, **options: Any) -> AsyncIterator["Events"]:
        """Follow any of the streams."""
        async with self.http.stream(method, url, **options) as response:
            if response.status_code != 200:
                await response.aread()
            yield Events(response)

    async def answer(
        self, content: str = "What is new?", **fields: Any
    ) -> list[tuple[str, dict[str, Any]]]:
        """Post a question and return all events of its stream."""
        async with self.ask(content, **fields) as events:
            return [event async for event in events]


class Events:
    """The events of one stream."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    def __aiter__(self) -> "Events":
        return self

    async def __anext__(self) -> tuple[str, dict[str, Any]]:
        name = ""
        async for line in self._lines:
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                return name, json.loads(line.removeprefix("data: "))
        raise StopAsyncIteration

    async def until(self, name: str) -> dict[str, Any]:
        """Return the data of the next event of this name."""
        async for got, data in self:
            if got == name:
                return data
        raise AssertionError(f"the stream ended without {name}")


def text_of(events: list[tuple[str, dict[str, Any]]]) -> str:
    """Return the streamed text."""
    return "".join(data["text"] for name, data in events if name == "token")
