"""The supervisor: starts programs, restarts those that die, streams their logs, stops them all.

One thread and one selector; what the programs are is decided elsewhere.
"""

import os
import selectors
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import IO, Self

from project.supervisor.console import Console
from project.supervisor.data_folder import DataFolder
from project.supervisor.orphans import ChildRecords
from project.supervisor.program import Child, Program

_FIRST_RESTART_SECONDS = 0.5
_LAST_RESTART_SECONDS = 30.0
# After a life this long a death is news, not one more of a series.
_SETTLED_SECONDS = 60.0
_START_SECONDS = 120.0
_START_ATTEMPTS = 3
_POLL_SECONDS = 0.05
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StartError(Exception):
    """A program did not start, did not become ready, or failed where it had to succeed."""


class StopRequestedError(Exception):
    """A signal asked to stop while something was starting."""


@dataclass(slots=True)
class _Kept:
    """A program that is kept running, and what is known of its deaths."""

    program: Program
    child: Child | None = None
    started_at: float = 0.0
    restart_at: float = 0.0
    restart_seconds: float = _FIRST_RESTART_SECONDS
    early_death_count: int = 0


@dataclass(frozen=True, slots=True)
class _Group:
    """Programs that start and stop together."""

    members: list[_Kept]
    stop_seconds: float


class Supervisor:
    """Keeps programs running; leaving it as a context manager stops all, last group first."""

    def __init__(
        self, folder: DataFolder, console: Console, *, log_file: IO[bytes] | None = None
    ) -> None:
        """Prepare to run children of the data folder, ending any that a killed one left over.

        With `log_file` the children write there by themselves, so nothing needs to be pumped.
        """
        self._console = console
        self._log_file = log_file
        self._groups: list[_Group] = []
        self._selector = selectors.DefaultSelector()
        self._stop_requested = False
        self._records = ChildRecords(folder.subfolder("run") / "children.json")
        self._records.reap(console.say)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def listen_to_signals(self) -> None:
        """Take the signals that ask to stop, and wake up when a child ends."""
        reader, writer = socket.socketpair()
        reader.settimeout(0)
        writer.settimeout(0)
        self._selector.register(reader, selectors.EVENT_READ, data=writer)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in _STOP_SIGNALS:
            signal.signal(number, self._request_stop)

    def start(self, programs: Sequence[Program], *, stop_seconds: float) -> None:
        """Start the programs together and return when all are ready.

        Later they are asked together to stop, and killed `stop_seconds` after that.
        Raises: StartError, StopRequestedError.
        """
        group = _Group([_Kept(program) for program in programs], stop_seconds)
        self._groups.append(group)
        for kept in group.members:
            self._launch(kept)
        self._wait_until_ready(group.members)

    def run(self, program: Program, *, stop_seconds: float = 1.0) -> None:
        """Run a program to its end beside the kept ones. Raises: StartError when it fails."""
        kept = _Kept(program)
        child = self._launch(kept)
        try:
            while (exit_code := child.exit_code()) is None:
                self._turn(_POLL_SECONDS)
                self._check_stop()
        finally:
            self._stop_group(_Group([kept], stop_seconds))
        if exit_code:
            raise StartError(f"{program.name} {_ending(exit_code)}")

    def watch(self) -> None:
        """Keep everything running until a signal asks to stop."""
        while not self._stop_requested:
            pending = [kept.restart_at for kept in self._kept() if kept.child is None]
            timeout = max(0.0, min(pending) - time.monotonic()) if pending else None
            self._turn(timeout)

    def stop(self) -> None:
        """Stop all, the last started first, and leave no process."""
        while self._groups:
            self._stop_group(self._groups.pop())

    def _kept(self) -> Iterator[_Kept]:
        return (kept for group in self._groups for kept in group.members)

    def _launch(self, kept: _Kept) -> Child:
        try:
            child = Child(kept.program, log_file=self._log_file)
        except OSError as error:
            raise StartError(f"{kept.program.name} cannot be started: {error}") from error
        kept.child, kept.started_at = child, time.monotonic()
        self._records.add(child)
        if child.output:
            # A grandchild may hold the pipe open after the child's end: never wait on it.
            os.set_blocking(child.output.fileno(), False)
            self._selector.register(child.output, selectors.EVENT_READ, data=kept.program.name)
        return child

    def _wait_until_ready(self, members: Sequence[_Kept]) -> None:
        waiting = list(members)
        deadline = time.monotonic() + _START_SECONDS
        while waiting:
            self._turn(_POLL_SECONDS)
            self._check_stop()
            for kept in waiting:
                if kept.early_death_count >= _START_ATTEMPTS:
                    raise StartError(f"{kept.program.name} ended {_START_ATTEMPTS} times at start")
            waiting = [kept for kept in waiting if not (kept.child and kept.program.is_ready())]
            if waiting and time.monotonic() > deadline:
                names = ", ".join(kept.program.name for kept in waiting)
                raise StartError(f"not ready after {_START_SECONDS:.0f} s: {names}")

    def _turn(self, timeout: float | None) -> None:
        """Wait for news, show it, and restart what has died and is due."""
        for key, _ in self._selector.select(timeout):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.recv(4096)
            else:
                self._pump(key)
        for kept in self._kept():
            if kept.child and (exit_code := kept.child.exit_code()) is not None:
                self._note_death(kept, kept.child, exit_code)
            elif kept.child is None and kept.restart_at <= time.monotonic():
                self._launch(kept)

    def _pump(self, key: selectors.SelectorKey) -> bool:
        """Show what a child wrote; return False when there is no more now."""
        try:
            output = os.read(key.fd, 65536)
        except BlockingIOError:
            return False
        if output:
            self._console.feed(key.data, output)
            return True
        self._selector.unregister(key.fileobj)
        self._console.flush(key.data)
        return False

    def _note_death(self, kept: _Kept, child: Child, exit_code: int) -> None:
        self._bury(child)
        kept.child = None
        now = time.monotonic()
        if now - kept.started_at >= _SETTLED_SECONDS:
            kept.restart_seconds = _FIRST_RESTART_SECONDS
        kept.early_death_count += 1
        kept.restart_at = now + kept.restart_seconds
        self._console.say(
            f"{kept.program.name} {_ending(exit_code)}; "
            f"starting it again in {kept.restart_seconds:g} s"
        )
        kept.restart_seconds = min(kept.restart_seconds * 2, _LAST_RESTART_SECONDS)

    def _stop_group(self, group: _Group) -> None:
        running = [kept.child for kept in group.members if kept.child]
        for child in running:
            child.ask_to_stop()
        deadline = time.monotonic() + group.stop_seconds
        while any(child.exit_code() is None for child in running) and time.monotonic() < deadline:
            self._turn(_POLL_SECONDS)
        for child in running:
            if child.exit_code() is None:
                self._console.say(f"{child.program.name} did not stop in time; killing it")
            self._bury(child)

    def _bury(self, child: Child) -> None:
        """End what is left of a child's group and show its last words."""
        child.kill()
        self._records.remove(child)
        if child.output is None:
            return
        if child.output in self._selector.get_map():
            key = self._selector.get_key(child.output)
            while self._pump(key):
                pass
        if child.output in self._selector.get_map():
            self._selector.unregister(child.output)
            self._console.flush(child.program.name)
        child.output.close()

    def _check_stop(self) -> None:
        if self._stop_requested:
            raise StopRequestedError

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_requested = True


def _ending(exit_code: int) -> str:
    if exit_code < 0:
        return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"
