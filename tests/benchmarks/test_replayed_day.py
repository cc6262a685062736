"""A day of traffic replayed (tests/load): how much the caches answer, that none of it is old or another's, what scopes cost.

Run by `make bench`; prints what it measured. Two servers, a relay, the embedded embedder, a model over HTTP.
"""

import pytest

from apps.llm import background
from apps.llm import services as llm
from apps.llm.models import LLMModel, Route
from apps.llm.registration import EMBEDDER
from apps.tuning import live
from tests.chat.serving import serving
from tests.conftest import EmbeddedModels
from tests.factories.llm import route_to
from tests.load.events import Day
from tests.load.figures import Rates, divide_lifetimes, lines
from tests.load.findings import Findings, judge
from tests.load.housekeeping import housekeeping
from tests.load.model import Model
from tests.load.oracle import Verdict
from tests.load.organisation import Sizes
from tests.load.replay import Log, replay
from tests.load.traffic import BEGINS, ENDS, make_day
from tests.load.world import World

pytestmark = [pytest.mark.benchmark, pytest.mark.django_db(transaction=True)]

SIZES = Sizes(visits=2000)
SEED = 1
# Seconds a replay takes, where the machine can follow.
SECONDS = 150
SERVERS = 2
# Docs/caching.md: how old a read may be, of anything but answers, which may not be old at all.
BOUND_SECONDS = 1.0


def replayed(day: Day, models: EmbeddedModels, *, is_shared: bool) -> tuple[Log, Findings, Rates]:
    """Replay a day, and judge it."""
    pace = (ENDS - BEGINS) / SECONDS
    with Model.of(day) as model:
        route_to(model)
        route_to(
            model,
            Route.Use.EMBEDDING,
            provider__base_url=models.embedding_url,
            provider__secret=models.api_key,
            **{name: EMBEDDER.llm_model[name] for name in ("code", "context_tokens", "dimensions")},
        )
        assert LLMModel.objects.count() == 2
        divide_lifetimes(pace)
        live.forget()
        import time

        t0 = time.time()
        world = World(day, has_vectors=True, is_shared=is_shared)
        import sys

        print("TT world", time.time() - t0, file=sys.__stderr__, flush=True)
        settings = "tests.load.server_settings"
        with serving(settings) as one, serving(settings) as other, housekeeping():
            log = replay(day, world, [one, other], pace=pace)
        background.run(llm.close())
    return log, judge(log, world), Rates.read()


def test_a_day_with_scopes_in_the_keys(
    embedded_models: EmbeddedModels, capsys: pytest.CaptureFixture[str]
) -> None:
    day = make_day(SIZES, SEED)
    log, findings, rates = replayed(day, embedded_models, is_shared=False)
    with capsys.disabled():
        print("", *lines("scopes in the keys", log, findings, rates), sep="\n")  # noqa: T201 - a benchmark reports
        print(*findings.violations[:20], sep="\n")  # noqa: T201 - a benchmark reports
    assert findings.violations == []
    assert max(findings.page_ages, default=0) <= BOUND_SECONDS
    assert rates.overall >= 0.6
    semantic = findings.answers("semantic")
    assert (
        findings.answers("semantic", Verdict.WRONG)
        <= live.number("chat.semantic_error_bound") * semantic
    )
