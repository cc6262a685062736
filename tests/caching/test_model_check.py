"""Parley's recipe for fresh caches, in every order of its steps: nothing stays stale; each known mistake is found out."""

import pytest

from tests.caching.model import READY, Fill, Reader, Recipe, State
from tests.caching.model_check import Findings, explore


def small(*, writers: int = 1, readers: int, reads: int) -> State:
    """Return a start with fewer processes, for the models with L1, whose states are many."""
    return State(writers=(READY,) * writers, readers=(Reader(reads_left=reads),) * readers)


def plain(**mistakes: bool) -> Recipe:
    """Return a recipe of values without generation that whoever computed one may store."""
    return Recipe(fill=Fill.ALWAYS, value_carries_generation=False, **mistakes)


def steps_of(findings: Findings) -> str:
    return " → ".join(findings.trace)


def test_lease_and_outbox_leave_nothing_stale_and_only_a_pending_row_lets_anything_be_stale() -> (
    None
):
    findings = explore(Recipe())
    assert findings.lasting == 0, steps_of(findings)
    # The bound is the relay's lag: without a row waiting for the relay no state is stale, whoever has died.
    assert findings.stale_without_row == 0
    # The model can be stale at all, and has been everywhere.
    assert findings.stale_while_pending > 1000
    assert findings.states > 15_000


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(plain(has_outbox=False), id="delete on commit"),
        pytest.param(
            plain(has_outbox=False, invalidates_before_commit=True), id="delete before commit"
        ),
        pytest.param(Recipe(has_outbox=False), id="lease without outbox"),
        pytest.param(plain(), id="outbox without lease"),
        pytest.param(
            Recipe(fill=Fill.SAME_OR_LOST_GENERATION), id="fill where the generation is lost"
        ),
        pytest.param(
            Recipe(restarts_lost_generation_at_one=True), id="lost generation restarts at 1"
        ),
        pytest.param(
            Recipe(reads_snapshot_older_than_lease=True), id="snapshot older than the lease"
        ),
        pytest.param(
            Recipe(deletes_row_before_invalidating=True), id="row deleted before its invalidation"
        ),
    ],
)
def test_a_known_mistake_leaves_a_lasting_stale_value(recipe: Recipe) -> None:
    assert explore(recipe, is_first_enough=True).lasting


def test_delete_on_commit_fails_by_the_death_of_the_writer_and_by_a_late_fill() -> None:
    findings = explore(plain(has_outbox=False))
    assert findings.stale_while_pending
    assert findings.lasting > 100
    assert "writer dies" in findings.trace


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(small(readers=2, reads=1), id="two readers of one process"),
        pytest.param(small(readers=1, reads=2), id="a reader reads again"),
        pytest.param(
            small(writers=2, readers=2, reads=1), id="two writers", marks=pytest.mark.benchmark
        ),
        pytest.param(small(readers=2, reads=2), id="both read again", marks=pytest.mark.benchmark),
    ],
)
def test_l1_is_stale_only_until_its_message_arrives_or_the_loss_is_noticed(start: State) -> None:
    findings = explore(Recipe(has_l1=True), start=start)
    assert findings.lasting == 0, steps_of(findings)
    assert findings.stale_while_pending


@pytest.mark.parametrize(
    "mistake",
    [
        "hears_of_lost_generation",
        "drops_fill_overtaken_by_message",
        "flushes_l1_when_listener_is_lost",
        "drops_fill_begun_before_loss",
        "notices_loss",
    ],
)
def test_l1_without_any_one_of_its_rules_stays_stale(mistake: str) -> None:
    recipe = Recipe(has_l1=True, **{mistake: False})
    assert explore(recipe, start=small(readers=2, reads=1), is_first_enough=True).lasting
