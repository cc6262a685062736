"""The generator keeps what it promises, the oracle knows right from wrong, and a small day goes by without a violation."""

from collections import Counter
from collections.abc import Callable, Hashable

import numpy as np
import pytest

from apps.llm import background
from apps.llm import services as llm
from apps.llm.models import Route
from tests.chat.serving import serving
from tests.factories.llm import route_to
from tests.load.events import Audience, Day, Edit, Leave, Paper, Person, Readers, Visit
from tests.load.findings import COMPUTED, judge
from tests.load.housekeeping import housekeeping
from tests.load.model import Model
from tests.load.oracle import Oracle, Verdict
from tests.load.organisation import Sizes
from tests.load.replay import replay
from tests.load.topics import Topic, families
from tests.load.traffic import BEGINS, ENDS, make_day, zipf_weights
from tests.load.whatif import Keys, tally
from tests.load.world import World

# Few topics, so that questions repeat; people of one scope in each department.
SMALL = Sizes(
    departments=2,
    people_each=6,
    two_departments=1,
    everyone_papers=1,
    department_papers=1,
    named_papers=1,
    private_papers=0,
    topics_each=3,
    visits=36,
    everyone_edits=0,
    edits_each=1,
    shares=0,
    uploads=0,
    removals=0,
    leavers=1,
    joiners=0,
    departures=1,
    asked_around=1,
)


@pytest.fixture(scope="module")
def day() -> Day:
    """A whole day."""
    return make_day(Sizes(), seed=3)


def test_a_seed_makes_one_day_and_another_seed_another(day: Day) -> None:
    assert make_day(Sizes(), seed=3) == day
    assert make_day(Sizes(), seed=4) != day


def test_everything_happens_within_the_day_and_most_at_its_busy_hours(day: Day) -> None:
    moments = np.array([event.at for event in day.events])
    assert (np.diff(moments) >= 0).all()
    assert moments.min() >= BEGINS - 300
    assert moments.max() <= ENDS + 300
    hours = Counter(int(visit.at // 3600) for visit in day.visits)
    assert hours[10] > 2 * hours[12] > hours[6]


def test_questions_follow_zipf_s_law() -> None:
    # One department and one pool of topics: nothing mixes orders there.
    weights = zipf_weights(200)
    ranks = np.log(np.arange(1, 201))
    slope = np.polyfit(ranks, np.log(weights), 1)[0]
    assert slope == pytest.approx(-1.0)
    alone = Sizes(
        departments=1,
        people_each=30,
        two_departments=0,
        named_papers=0,
        private_papers=0,
        visits=4000,
        edits_each=0,
        shares=0,
        removals=0,
        leavers=0,
        joiners=0,
        departures=0,
    )
    asked = Counter(
        visit.question.topic for visit in make_day(alone, seed=5).visits if visit.is_usual
    )
    counts = np.array(sorted(asked.values(), reverse=True)[:40], dtype=float)
    fitted = np.polyfit(np.log(np.arange(1, 41)), np.log(counts), 1)[0]
    assert -1.3 < fitted < -0.7


def repeats(visits: list[Visit], key: Callable[[Visit], Hashable]) -> float:
    """Return the share of visits whose key somebody had before."""
    keys = [key(visit) for visit in visits]
    return 1 - len(set(keys)) / len(keys)


def test_repeats_gather_within_departments(day: Day) -> None:
    visits = [visit for visit in day.visits if visit.is_usual]
    shuffled = np.random.default_rng(0).permutation(len(visits))
    homes = [day.people[visit.person].departments[0] for visit in visits]
    by_home = dict(zip(map(id, visits), homes, strict=True))
    mixed = {id(visits[one]): homes[other] for one, other in enumerate(shuffled)}
    within = repeats(visits, lambda visit: (by_home[id(visit)], visit.question.text))
    by_chance = repeats(visits, lambda visit: (mixed[id(visit)], visit.question.text))
    assert 0.2 < within < 0.5
    assert within > 1.1 * by_chance


def test_paraphrases_and_near_misses_are_asked(day: Day) -> None:
    worded: dict[Topic, set[str]] = {}
    for visit in day.visits:
        worded.setdefault(visit.question.topic, set()).add(visit.question.text)
    favourite = max(worded, key=lambda topic: len(worded[topic]))
    assert len(worded[favourite]) >= 10
    [family] = [family for family in families() if favourite in family]
    near_misses = [topic for topic in family if topic in worded and topic != favourite]
    assert {topic.variant for topic in near_misses} - {favourite.variant}
    assert {topic.thing for topic in near_misses} - {favourite.thing}


def test_people_ask_around_each_change(day: Day) -> None:
    edit = next(event for event in day.events if isinstance(event, Edit))
    asked = [
        visit.at - edit.at
        for visit in day.visits
        if not visit.is_usual and visit.question.topic == edit.topic
    ]
    assert min(asked) < 0 < max(asked)
    left = next(event for event in day.events if isinstance(event, Leave))
    assert any(visit.person == left.person and visit.at > left.at for visit in day.visits)


def test_no_value_is_stated_twice(day: Day) -> None:
    values = [value for paper in day.papers for _topic, value in paper.values]
    values += [event.value for event in day.events if isinstance(event, Edit)]
    assert len(values) == len(set(values))


def test_arithmetic_tells_what_the_scope_costs(day: Day) -> None:
    scope, audiences, passage, nothing = (tally(day, keys) for keys in Keys)
    assert 0 < scope.hits <= audiences.hits <= passage.hits <= nothing.hits
    assert scope.leaks == audiences.leaks == passage.leaks == 0
    # Without any key but the question, others' answers are given.
    assert nothing.leaks > 0
    assert tally(day, Keys.SCOPE, ttl_seconds=1800).hits < scope.hits


TOPIC, OTHER = families()[0][:2]


@pytest.fixture
def oracle() -> Oracle:
    """Two people of two departments, and a paper of the first; its value changed between 10 and 11."""
    oracle = Oracle()
    always = (float("-inf"), float("-inf"))
    for number in (0, 1):
        oracle.person(Person(number, (number,)), always)
    readers = Readers(Audience.DEPARTMENT, 0)
    oracle.paper(Paper(0, 0, readers, ((TOPIC, 11111), (OTHER, 22222))), always)
    oracle.stated(0, TOPIC, 33333, (10.0, 11.0))
    return oracle


@pytest.mark.parametrize(
    ("person", "values", "asked", "verdict", "age"),
    [
        (0, [11111], (1.0, 2.0), Verdict.RIGHT, 0),
        (0, [11111], (10.9, 12.0), Verdict.RIGHT, 0),
        (0, [33333], (9.0, 10.1), Verdict.RIGHT, 0),
        (0, [11111], (11.25, 12.0), Verdict.STALE, 0.25),
        (0, [33333], (8.0, 9.0), Verdict.STALE, float("inf")),
        (0, [22222], (1.0, 2.0), Verdict.WRONG, 0),
        (1, [11111], (1.0, 2.0), Verdict.ACROSS, float("inf")),
        (1, [], (1.0, 2.0), Verdict.RIGHTLY_REFUSED, 0),
        (0, [], (1.0, 2.0), Verdict.MISSED, 0),
    ],
)
def test_the_oracle_judges_by_what_could_be_read_when(
    oracle: Oracle,
    person: int,
    values: list[int],
    asked: tuple[float, float],
    verdict: Verdict,
    age: float,
) -> None:
    assert oracle.judge(person, TOPIC, values, asked) == (verdict, pytest.approx(age))


def test_the_oracle_knows_who_has_lost_access(oracle: Oracle) -> None:
    oracle.left(0, 0, (20.0, 20.5))
    assert oracle.judge(0, TOPIC, [33333], (20.4, 21.0)) == (Verdict.RIGHT, 0.0)
    assert oracle.judge(0, TOPIC, [33333], (21.0, 22.0)) == (Verdict.ACROSS, 0.5)
    oracle.joined(1, 0, (30.0, 30.5))
    oracle.departed(1, (40.0, 40.5))
    assert oracle.judge(1, TOPIC, [33333], (35.0, 36.0)) == (Verdict.RIGHT, 0.0)
    assert oracle.judge(1, TOPIC, [33333], (41.0, 42.0)) == (Verdict.ACROSS, 0.5)


@pytest.mark.django_db(transaction=True)
def test_a_small_day_goes_by_without_a_violation() -> None:
    day = make_day(SMALL, seed=7)
    with Model.of(day) as model:
        route_to(model)
        route_to(model, Route.Use.EMBEDDING)
        world = World(day, has_vectors=False)
        with serving() as server, housekeeping():
            log = replay(day, world, [server], workers=3)
        background.run(llm.close())
    findings = judge(log, world)

    assert findings.violations == []
    assert max(findings.page_ages, default=0) <= 1.0
    assert len(log.asked) >= len(day.visits)
    # A replay in which nothing is given, nothing changes or nobody is refused would prove nothing.
    assert findings.answers("exact", Verdict.RIGHT) >= 1
    assert findings.answers(COMPUTED, Verdict.RIGHT) >= 10
    assert findings.answers(COMPUTED, Verdict.RIGHTLY_REFUSED) >= 1
    assert findings.answers(None, Verdict.MISSED) <= 0.1 * len(log.asked)
