"""Explicit-state exploration of the model in model.py: every order of steps, a crash anywhere, nothing left out."""

from dataclasses import dataclass, field

from tests.caching.model import UP, Recipe, State, normal, steps


@dataclass(slots=True)
class Findings:
    """What an exploration saw: counts of states, and the shortest way to the first lasting staleness.

    Lasting: stale although no invalidation is pending, no message on its way, and no loss of the listener unnoticed.
    """

    states: int = 0
    stale_while_pending: int = 0
    stale_without_row: int = 0
    lasting: int = 0
    trace: list[str] = field(default_factory=list)


Origins = dict[State, tuple[State, str] | None]


def explore(
    recipe: Recipe, *, start: State | None = None, is_first_enough: bool = False
) -> Findings:
    """Visit every reachable state, breadth first; or stop at the first that is lastingly stale."""
    start = normal(start or State(), recipe)
    origins: Origins = {start: None}
    findings = Findings()
    layer = [start]
    while layer:
        following: list[State] = []
        for state in layer:
            _judge(state, recipe, findings, origins)
            if findings.lasting and is_first_enough:
                return findings
            for label, after in steps(state, recipe):
                reached = normal(after, recipe)
                if reached not in origins:
                    origins[reached] = (state, label)
                    following.append(reached)
        layer = following
    return findings


def _judge(state: State, recipe: Recipe, findings: Findings, origins: Origins) -> None:
    findings.states += 1
    if not (state.is_l2_stale or state.is_l1_stale):
        return
    will_hear = state.message_in_flight or (state.listener != UP and recipe.notices_loss)
    is_lasting = state.is_l2_stale or not will_hear
    if state.is_invalidation_pending or not is_lasting:
        findings.stale_while_pending += 1
        findings.stale_without_row += state.is_l2_stale and not state.rows
        return
    findings.lasting += 1
    if not findings.trace:
        origin = origins[state]
        while origin:
            findings.trace.insert(0, origin[1])
            origin = origins[origin[0]]
