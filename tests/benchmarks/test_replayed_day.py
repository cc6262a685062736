"""A day of traffic replayed (tests/load): how much the caches answer, that none of it is old or another's, what scopes cost.

Run by `make bench`; prints what it measured. Two servers, a relay, the embedded embedder, a model over HTTP.
"""

import math
from contextlib import ExitStack

import pytest

from apps.chat.cache import ANSWER
from apps.llm import background
from apps.llm import services as llm
from apps.llm.models import Route
from apps.llm.registration import EMBEDDER
from apps.tuning import live
from tests.chat.serving import serving
from tests.conftest import EmbeddedModels
from tests.factories.llm import route_to
from tests.load.figures import Rates, divide_lifetimes, lines
from tests.load.findings import Findings, judge
from tests.load.housekeeping import housekeeping
from tests.load.model import Model
from tests.load.oracle import Verdict
from tests.load.organisation import Sizes
from tests.load.replay import Log, replay
from tests.load.traffic import BEGINS, ENDS, make_day
from tests.load.whatif import Keys, tally
from tests.load.world import World

pytestmark = [pytest.mark.benchmark, pytest.mark.django_db(transaction=True)]

# An organisation of 180 people; a replay of 13 hours takes so many seconds, where the machine can follow.
ORGANISATION, ORGANISATION_SECONDS = Sizes(visits=1500), 130
# One department that asks about little: where questions come near enough to each other for answers by meaning.
HELP_DESK, HELP_DESK_SECONDS = (
    Sizes(
        departments=1,
        people_each=40,
        two_departments=0,
        everyone_papers=4,
        department_papers=3,
        named_papers=0,
        private_papers=0,
        visits=1200,
        everyone_edits=1,
        edits_each=1,
        shares=0,
        uploads=0,
        removals=0,
        leavers=1,
        joiners=0,
        departures=1,
    ),
    60,
)
SEED = 1
SERVERS = 2
# Docs/caching.md: how old a read may be, of anything but answers, which may not be old at all.
BOUND_SECONDS = 1.0
LEAST_HIT_RATE = 0.6
LEAST_SEMANTIC_HITS = 20
SETTINGS = "tests.load.server_settings"


def replayed(
    sizes: Sizes, seconds: float, models: EmbeddedModels, *, is_shared: bool = False
) -> tuple[Log, Findings, Rates]:
    """Replay a day, and judge it."""
    day = make_day(sizes, SEED)
    pace = (ENDS - BEGINS) / seconds
    with Model.of(day) as model:
        route_to(model)
        embedder = {name: EMBEDDER.llm_model[name] for name in ("code", "dimensions")}
        route_to(
            model,
            Route.Use.EMBEDDING,
            provider__base_url=models.embedding_url,
            provider__secret=models.api_key,
            **embedder,
        )
        divide_lifetimes(pace)
        live.forget()
        world = World(day, has_vectors=True, is_shared=is_shared)
        with ExitStack() as stack:
            servers = [stack.enter_context(serving(SETTINGS)) for _server in range(SERVERS)]
            stack.enter_context(housekeeping())
            log = replay(day, world, servers, pace=pace)
        background.run(llm.close())
    return log, judge(log, world), Rates.read()


def is_as_promised(findings: Findings) -> None:
    """See that nothing old, nobody else's, and not too much wrong was given."""
    assert findings.violations == []
    assert findings.answers(None, Verdict.STALE, Verdict.ACROSS) == 0
    assert max(findings.page_ages, default=0) <= BOUND_SECONDS
    wrong = findings.answers("semantic", Verdict.WRONG)
    assert wrong <= live.number("chat.semantic_error_bound") * findings.answers("semantic")


def test_a_day_with_scopes_in_the_keys(
    embedded_models: EmbeddedModels, capsys: pytest.CaptureFixture[str]
) -> None:
    log, findings, rates = replayed(ORGANISATION, ORGANISATION_SECONDS, embedded_models)
    tell(capsys, "scopes in the keys", log, findings, rates)
    is_as_promised(findings)
    assert rates.overall >= LEAST_HIT_RATE


def test_the_same_day_if_everyone_could_read_everything(
    embedded_models: EmbeddedModels, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the scope costs, as measured: one scope, whose generation each change moves for everybody."""
    log, findings, rates = replayed(
        ORGANISATION, ORGANISATION_SECONDS, embedded_models, is_shared=True
    )
    tell(capsys, "one scope for all", log, findings, rates)
    is_as_promised(findings)


def test_a_help_desk_s_day(
    embedded_models: EmbeddedModels, capsys: pytest.CaptureFixture[str]
) -> None:
    log, findings, rates = replayed(HELP_DESK, HELP_DESK_SECONDS, embedded_models)
    tell(capsys, "a help desk", log, findings, rates)
    is_as_promised(findings)
    # Of nothing given, nothing would be wrong.
    assert findings.answers("semantic") >= LEAST_SEMANTIC_HITS


def test_what_the_scope_costs_by_arithmetic(capsys: pytest.CaptureFixture[str]) -> None:
    day = make_day(ORGANISATION, SEED)
    shares = {}
    for keys in Keys:
        for ttl_seconds in (ANSWER.ttl_seconds, math.inf):
            shares[keys, ttl_seconds] = tally(day, keys, ttl_seconds=ttl_seconds)
    with capsys.disabled():
        print("\nfirst questions that an exact cache could answer, by what it is keyed by:")  # noqa: T201 - a benchmark reports
        for (keys, ttl_seconds), found in shares.items():
            print(  # noqa: T201 - a benchmark reports
                f"  {keys:10} for {ttl_seconds:>6} s: {found.hit_ratio:.1%}, leaks {found.leaks}"
            )
    assert all(found.leaks == 0 for (keys, _ttl), found in shares.items() if keys != Keys.NOTHING)
    assert shares[Keys.NOTHING, math.inf].leaks > 0


def tell(
    capsys: pytest.CaptureFixture[str], title: str, log: Log, findings: Findings, rates: Rates
) -> None:
    """Print a replay's figures."""
    with capsys.disabled():
        print("", *lines(title, log, findings, rates), sep="\n")  # noqa: T201 - a benchmark reports
        print(*findings.violations[:20], sep="\n")  # noqa: T201 - a benchmark reports
