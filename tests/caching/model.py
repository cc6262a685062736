"""One cached key as a model: its state, and every step that writers, readers, relay, listener and losses can make next.

model_check.py explores it. Steps are as coarse as the atomic acts of the real thing: one Valkey script, one PostgreSQL
statement or commit, one message to the listener. Entries live for ever (no TTL), the fill lease excludes nobody (it
may expire at any time), any reader may refresh early, and Valkey may lose any key at any time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

WRITER_COUNT = READER_COUNT = READS = 2
# Larger than every generation of the model, as the clock is.
CLOCK = 1_000_000


class Fill(Enum):
    """When a reader may store what it computed."""

    ALWAYS = auto()
    SAME_GENERATION = auto()
    SAME_OR_LOST_GENERATION = auto()


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way of keeping a cache fresh; the defaults are Parley's (docs/caching.md), the others known mistakes."""

    fill: Fill = Fill.SAME_GENERATION
    value_carries_generation: bool = True
    has_outbox: bool = True
    invalidates_before_commit: bool = False
    deletes_row_before_invalidating: bool = False
    restarts_lost_generation_at_one: bool = False
    reads_snapshot_older_than_lease: bool = False
    has_l1: bool = False
    hears_of_lost_generation: bool = True
    drops_fill_overtaken_by_message: bool = True
    flushes_l1_when_listener_is_lost: bool = True
    drops_fill_begun_before_loss: bool = True
    notices_loss: bool = True


# A writer's steps; a crash ends it wherever it is.
READY, INVALIDATED_EARLY, COMMITTED, DONE = range(4)
# A reader's.
IDLE, LOOKING, LEASED, COMPUTED, KEEPING = range(5)
# The listener, as the server and as the process see it.
UP, LOST_UNNOTICED, DOWN = range(3)


class Reader(NamedTuple):
    """A reader in its current read; `lease` is the generation it was given, `seen` the version it holds."""

    reads_left: int = READS
    step: int = IDLE
    lease: int = 0
    seen: int = -1
    may_keep: bool = True


class State(NamedTuple):
    """Everything at one moment; versions count commits, a lost generation is 0, an absent value -1 (in L1 too)."""

    version: int = 0
    rows: int = 0
    rows_in_hand: int = 0
    relay_invalidated: bool = False
    generation: int = 0
    value: int = -1
    value_generation: int = 0
    l1: int = -1
    message_in_flight: bool = False
    listener: int = UP
    writers: tuple[int, ...] = (READY,) * WRITER_COUNT
    readers: tuple[Reader, ...] = (Reader(),) * READER_COUNT

    @property
    def is_invalidation_pending(self) -> bool:
        """Whether a writer or the relay is still to invalidate for a committed write."""
        if COMMITTED in self.writers or (self.rows_in_hand and not self.relay_invalidated):
            return True
        return self.rows > self.rows_in_hand

    @property
    def present_value(self) -> int:
        """The version that Valkey would give a reader, or -1."""
        return self.value if self.value_generation == self.generation else -1

    @property
    def is_l2_stale(self) -> bool:
        return 0 <= self.present_value < self.version

    @property
    def is_l1_stale(self) -> bool:
        return 0 <= self.l1 < self.version and self.listener != DOWN


Step = tuple[str, State]
ReaderStep = tuple[str, State, Reader]


def normal(state: State, recipe: Recipe) -> State:
    """Return the one spelling of all states that differ only in who is who, or in the numbers of generations.

    Generations are compared for equality only, so they may be renumbered, except where a lost one restarts at 1.
    """
    readers, generation = tuple(sorted(state.readers)), state.generation
    value, value_generation = state.value, state.value_generation
    if not recipe.value_carries_generation:
        value_generation = generation
    if not recipe.restarts_lost_generation_at_one:
        if value_generation != generation:
            value, value_generation = -1, generation
        names = {0: 0, generation: 1 if generation else 0}
        readers = tuple(
            r._replace(lease=names.setdefault(r.lease, len(names) + 1)) for r in readers
        )
        generation, value_generation = names[generation], names[value_generation]
    return state._replace(
        generation=generation,
        value=value,
        value_generation=value_generation,
        readers=tuple(sorted(readers)),
        writers=tuple(sorted(state.writers)),
    )


def steps(state: State, recipe: Recipe) -> Iterator[Step]:
    """Yield every step that may come next, with the state after it."""
    for number, step in enumerate(state.writers):
        for label, changed, after in _writer(step, state, recipe):
            writers = (*state.writers[:number], after, *state.writers[number + 1 :])
            yield label, changed._replace(writers=writers)
    for number, reader in enumerate(state.readers):
        if reader.step == IDLE and not reader.reads_left:
            continue
        for label, changed, following in _reader(reader, state, recipe):
            readers = (*state.readers[:number], following, *state.readers[number + 1 :])
            yield label, changed._replace(readers=readers)
    yield from _relay(state, recipe)
    yield from _losses(state, recipe)
    if recipe.has_l1:
        yield from _listener(state, recipe)


def _writer(step: int, state: State, recipe: Recipe) -> Iterator[tuple[str, State, int]]:
    if step == DONE:
        return
    yield "writer dies", state, DONE
    rows = state.rows + 1 if recipe.has_outbox else 0
    committed = state._replace(version=state.version + 1, rows=rows)
    if step == READY and recipe.invalidates_before_commit:
        yield "writer invalidates", _invalidated(state, recipe), INVALIDATED_EARLY
    elif step == INVALIDATED_EARLY:
        yield "writer commits", committed, DONE
    elif step == READY:
        yield "writer commits", committed, COMMITTED
    else:
        yield "writer invalidates", _invalidated(state, recipe), DONE


def _invalidated(state: State, recipe: Recipe) -> State:
    """One script: the value goes, the generation moves; a lost one is left lost, so that nobody can fill under it."""
    if recipe.restarts_lost_generation_at_one:
        generation = state.generation + 1
    else:
        generation = CLOCK if state.generation else 0
    invalidated = state._replace(generation=generation, value=-1, value_generation=generation)
    return _told(invalidated, recipe) if generation else invalidated


def _told(state: State, recipe: Recipe) -> State:
    """The generation has changed: the listener will hear of it, if its connection lives."""
    return (
        state._replace(message_in_flight=True) if recipe.has_l1 and state.listener == UP else state
    )


def _reader(reader: Reader, state: State, recipe: Recipe) -> Iterator[ReaderStep]:
    ended = Reader(reads_left=max(reader.reads_left - 1, 0))
    if reader.step != IDLE:
        yield "reader dies", state, ended
    if reader.step == IDLE and recipe.has_l1:
        if state.l1 >= 0 and state.listener != DOWN:
            yield f"reader is given {state.l1} by L1", state, ended
        else:
            begun = reader._replace(step=LOOKING, may_keep=state.listener != DOWN)
            yield "reader misses L1", state, begun
    elif reader.step == IDLE and recipe.reads_snapshot_older_than_lease and reader.seen < 0:
        yield f"reader's snapshot is of {state.version}", state, reader._replace(seen=state.version)
    elif reader.step in (IDLE, LOOKING):
        yield from _look_up(reader, state, recipe, ended)
    elif reader.step == LEASED:
        seen = reader.seen if recipe.reads_snapshot_older_than_lease else state.version
        yield f"reader computes {seen}", state, reader._replace(step=COMPUTED, seen=seen)
    elif reader.step == COMPUTED:
        yield _fill(reader, state, recipe, ended)
    elif reader.may_keep and state.listener != DOWN:
        yield f"reader keeps {reader.seen} in L1", state._replace(l1=reader.seen), ended
    else:
        yield "reader keeps nothing", state, ended


def _look_up(reader: Reader, state: State, recipe: Recipe, ended: Reader) -> Iterator[ReaderStep]:
    """One script: the value, or the generation as a lease, a lost one made anew."""
    if state.present_value >= 0:
        holding = reader._replace(step=KEEPING, seen=state.value)
        yield f"reader is given {state.value}", state, holding if recipe.has_l1 else ended
    if not state.generation:
        generation = 1 if recipe.restarts_lost_generation_at_one else CLOCK
        state = state._replace(generation=generation)
    # With a value present too: an early refresh.
    yield "reader gets a lease", state, reader._replace(step=LEASED, lease=state.generation)


def _fill(reader: Reader, state: State, recipe: Recipe, ended: Reader) -> ReaderStep:
    """One script: stored if the recipe allows; what a reader keeps in L1 does not depend on it."""
    is_allowed = {
        Fill.ALWAYS: True,
        Fill.SAME_GENERATION: state.generation == reader.lease,
        Fill.SAME_OR_LOST_GENERATION: state.generation in (reader.lease, 0),
    }[recipe.fill]
    following = reader._replace(step=KEEPING, lease=0) if recipe.has_l1 else ended
    if not is_allowed:
        return "reader's fill is refused", state, following
    filled = state._replace(
        generation=state.generation or reader.lease,
        value=reader.seen,
        value_generation=state.generation or reader.lease,
    )
    return f"reader fills {reader.seen}", filled, following


def _relay(state: State, recipe: Recipe) -> Iterator[Step]:
    in_hand = state.rows_in_hand
    if not in_hand:
        if state.rows:
            left = 0 if recipe.deletes_row_before_invalidating else state.rows
            yield "relay takes the rows", state._replace(rows_in_hand=state.rows, rows=left)
        return
    idle = state._replace(rows_in_hand=0, relay_invalidated=False)
    yield "relay dies", idle
    if recipe.deletes_row_before_invalidating:
        yield "relay invalidates", _invalidated(idle, recipe)
    elif not state.relay_invalidated:
        yield "relay invalidates", _invalidated(state, recipe)._replace(relay_invalidated=True)
    else:
        yield "relay deletes the rows", idle._replace(rows=state.rows - in_hand)


def _losses(state: State, recipe: Recipe) -> Iterator[Step]:
    """Evictions, ends of lifetimes, a flush, a server that came back empty."""
    if state.generation:
        lost = state._replace(generation=0)
        lost = _told(lost, recipe) if recipe.hears_of_lost_generation else lost
        yield "generation is lost", lost
        yield "everything is lost", lost._replace(value=-1, value_generation=0)
    if state.value >= 0:
        yield "value is lost", state._replace(value=-1)


def _listener(state: State, recipe: Recipe) -> Iterator[Step]:
    if state.message_in_flight:
        readers = state.readers
        if recipe.drops_fill_overtaken_by_message:
            readers = tuple(reader._replace(may_keep=False) for reader in readers)
        heard = state._replace(l1=-1, readers=readers)
        # Several messages look like one here: this may be the last, or another follows.
        yield "last message arrives", heard._replace(message_in_flight=False)
        yield "a message arrives", heard
    if state.listener == UP:
        yield "connection breaks", state._replace(listener=LOST_UNNOTICED, message_in_flight=False)
    elif state.listener == LOST_UNNOTICED and recipe.notices_loss:
        noticed = state._replace(listener=DOWN)
        if recipe.flushes_l1_when_listener_is_lost:
            noticed = noticed._replace(l1=-1)
        if recipe.drops_fill_begun_before_loss:
            readers = tuple(reader._replace(may_keep=False) for reader in state.readers)
            noticed = noticed._replace(readers=readers)
        yield "loss is noticed", noticed
    elif state.listener == DOWN:
        yield "listener is back", state._replace(listener=UP)
