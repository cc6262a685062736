"""Replays a day over real HTTP against servers of its own, while the documents and their readers change; keeps a log.

The day's clock runs `pace` times as fast as the machine's, and waits where the machine cannot follow: lifetimes that
were divided by the same number are then, in the day's time, shorter than shipped, never longer.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import httpx2
from django.conf import settings
from django.db import connections
from django.test import Client

from apps.accounts.models import User
from apps.core.ids import uuid7
from tests.chat.serving import CSRF_TOKEN, Events, Server
from tests.load.events import Day, Event, Question, Visit
from tests.load.oracle import Span
from tests.load.topics import Topic
from tests.load.traffic import BEGINS
from tests.load.world import World

WORKERS = 6
VALUE = re.compile(r"\b\d{5}\b")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it was asked; `reply_id` is None where the person was turned away."""

    person: int
    topic: Topic
    text: str
    span: Span
    status: int
    reply_id: UUID | None
    is_follow_up: bool
    is_usual: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """A document's page as it was opened, with the values it showed."""

    person: int
    paper: int
    span: Span
    status: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CameBack:
    """A conversation's page as it was opened after an answer, and whether the answer was on it."""

    person: int
    status: int
    has_answer: bool


@dataclass(slots=True)
class Log:
    """What was asked and read, and how long the replay took, in seconds."""

    asked: list[Asked] = field(default_factory=list)
    opened: list[Opened] = field(default_factory=list)
    came_back: list[CameBack] = field(default_factory=list)
    elapsed_seconds: float = 0.0
    # By how much the day's clock was made to wait.
    late_seconds: float = 0.0


def cookies_of(users: Sequence[User]) -> list[Mapping[str, str]]:
    """Sign everybody in; return their cookies, in the same order."""
    name = settings.SESSION_COOKIE_NAME
    jars: list[Mapping[str, str]] = []
    for user in users:
        client = Client()
        client.force_login(user)
        jars.append({name: client.cookies[name].value, settings.CSRF_COOKIE_NAME: CSRF_TOKEN})
    return jars


def replay(
    day: Day,
    world: World,
    servers: Sequence[Server],
    *,
    pace: float | None = None,
    workers: int = WORKERS,
) -> Log:
    """Replay the day; without a pace as fast as it goes."""
    replaying = _Replay(day, world, servers, cookies_of(world.users))
    asyncio.run(replaying.run(pace, workers))
    return replaying.log


class _Replay:
    def __init__(
        self,
        day: Day,
        world: World,
        servers: Sequence[Server],
        cookies: Sequence[Mapping[str, str]],
    ) -> None:
        self.log = Log()
        self._day = day
        self._world = world
        self._servers = servers
        self._cookies = cookies
        self._clients: dict[tuple[int, int], httpx2.AsyncClient] = {}
        # One thread: changes happen one after the other, while questions are asked.
        self._changing = ThreadPoolExecutor(1)
        self._papers: dict[Topic, list[int]] = {}
        for paper in day.papers:
            for topic, _value in paper.values:
                self._papers.setdefault(topic, []).append(paper.number)

    async def run(self, pace: float | None, workers: int) -> None:
        began = time.perf_counter()
        async with self._connected():
            events = self._paced(pace)
            lock = asyncio.Lock()
            async with asyncio.TaskGroup() as group:
                for _worker in range(workers):
                    group.create_task(self._work(events, lock))
        self._changing.shutdown()
        self.log.elapsed_seconds = time.perf_counter() - began

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[None]:
        transports = [httpx2.AsyncHTTPTransport() for _server in self._servers]
        for place, (server, transport) in enumerate(zip(self._servers, transports, strict=True)):
            for person, cookies in enumerate(self._cookies):
                self._clients[person, place] = httpx2.AsyncClient(
                    transport=transport,
                    base_url=server.url,
                    cookies=dict(cookies),
                    headers={"X-CSRFToken": CSRF_TOKEN},
                    timeout=120,
                )
        try:
            yield
        finally:
            for client in self._clients.values():
                await client.aclose()

    async def _paced(self, pace: float | None) -> AsyncIterator[Event]:
        """Yield each event when it is due; where that is over already, the clock has waited for it."""
        began = time.perf_counter()
        for event in self._day.events:
            if pace is not None:
                ahead = began + (event.at - BEGINS) / pace - time.perf_counter()
                if ahead > 0:
                    await asyncio.sleep(ahead)
                else:
                    began -= ahead
                    self.log.late_seconds -= ahead
            yield event

    async def _work(self, events: AsyncIterator[Event], lock: asyncio.Lock) -> None:
        while True:
            async with lock:
                event = await anext(events, None)
            if event is None:
                return
            if isinstance(event, Visit):
                await self._visit(event)
            else:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._changing, self._change, event)

    def _change(self, event: Event) -> None:
        try:
            self._world.apply(event)
        finally:
            connections.close_all()

    async def _visit(self, visit: Visit) -> None:
        clients = self._spread(visit)
        await next(clients).get("/chat/")
        conversation, reply_id = await self._ask(visit, next(clients), visit.question)
        if conversation and visit.follow_up:
            client = next(clients)
            _same, reply_id = await self._ask(visit, client, visit.follow_up, conversation)
        if visit.opens_document:
            await self._open(visit, next(clients))
        if conversation and visit.comes_back:
            response = await next(clients).get(f"/chat/{conversation}/")
            has_answer = str(reply_id) in response.text
            self.log.came_back.append(CameBack(visit.person, response.status_code, has_answer))

    def _spread(self, visit: Visit) -> Iterator[httpx2.AsyncClient]:
        """Yield the person's connections to one process or another, as a load balancer deals them out."""
        draw = visit.draw
        while True:
            yield self._clients[visit.person, draw % len(self._servers)]
            draw = draw // 2 or visit.draw

    async def _ask(
        self,
        visit: Visit,
        client: httpx2.AsyncClient,
        question: Question,
        conversation: str = "",
    ) -> tuple[str, UUID | None]:
        data = {"content": question.text, "idempotency_key": str(uuid7()), "sources": "ALL"}
        if conversation:
            data["conversation"] = conversation
        began = time.perf_counter()
        accepted: dict[str, str] = {}
        async with client.stream("POST", "/chat/reply/", data=data) as response:
            status = response.status_code
            async for name, sent in Events(response):
                if name == "accepted":
                    accepted = sent
        reply_id = UUID(accepted["reply"]) if accepted else None
        self.log.asked.append(
            Asked(
                visit.person,
                question.topic,
                question.text,
                (began, time.perf_counter()),
                status,
                reply_id,
                is_follow_up=bool(conversation),
                is_usual=visit.is_usual,
            )
        )
        return accepted.get("conversation", ""), reply_id

    async def _open(self, visit: Visit, client: httpx2.AsyncClient) -> None:
        """Open a document about the question, as from a bookmark: whether it may still be read or not."""
        papers = self._papers.get(visit.question.topic)
        if not papers:
            return
        paper = papers[visit.draw % len(papers)]
        began = time.perf_counter()
        response = await client.get(f"/documents/{self._world.documents[paper].pk}/")
        values = tuple(map(int, VALUE.findall(response.text))) if response.is_success else ()
        span = (began, time.perf_counter())
        self.log.opened.append(Opened(visit.person, paper, span, response.status_code, values))
