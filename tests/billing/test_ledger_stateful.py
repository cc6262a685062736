"""The ledger and the budgets against the reference model, whatever happens in whatever order; real PostgreSQL."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from pytest_django import Settings

from apps.accounts.models import ApiKey, Department, User
from apps.billing import book, models, services
from apps.billing.errors import BudgetExceededError, CallEndedError
from apps.billing.models import Meter, Outcome, Purpose, Reservation
from apps.billing.reconcile import reconcile
from apps.billing.types import CallContext, Thrift, Usage
from apps.core.ids import uuid7
from tests.billing.reference import ZONE, Budget, Call, Reference
from tests.factories.accounts import DepartmentFactory, UserFactory
from tests.factories.billing import LONG_AGO, PriceFactory

pytestmark = pytest.mark.django_db(transaction=True)

# How much in the suite; tests/benchmarks/test_ledger_longer.py does more.
EXAMPLES = 12
STEPS = 30
# An hour before the night in which the clocks change, two days before the month's end.
BEGINNING = datetime(2031, 3, 29, 23, tzinfo=ZONE).astimezone(UTC)
HALF = 500_000
Who = tuple[int | None, int | None, int | None]
WHO = st.tuples(*(st.sampled_from(one) for one in ([None, 0, 1], [None, 0, 1], [None, 0])))
THRIFT = st.sampled_from(Thrift)
TOKENS = st.tuples(st.integers(0, 40), st.integers(0, 40))
Asked = tuple[Who, tuple[int, int], Thrift]
ASKED = st.tuples(WHO, TOKENS, THRIFT)
# Calls cost up to 320 nanos at first: budgets begin with room for some, and may be changed to hold none.
FIRST_NANOS = st.sampled_from([5000, 1001, 20_000, 500])
NANOS = st.sampled_from([500, 0, 150, 1001, 5000])
WHICH = st.integers(0, 99)
MOMENTS = st.sampled_from(
    [timedelta(seconds=1), timedelta(minutes=31), timedelta(hours=2), timedelta(days=1)]
)

EVERYTHING = ", ".join(
    model._meta.db_table
    for model in apps.get_app_config("billing").get_models()
    if model is not models.Book
)

# How often something happened: a test in which nothing is refused proves nothing.
happened: Counter[str] = Counter()
people: dict[str, list[Any]] = {}


class Books(RuleBasedStateMachine):
    """Calls of two departments, two people and a key, under budgets of all shapes; tokens cost some nanos each."""

    names = Bundle("names")
    budgets = Bundle("budgets")

    @initialize(
        target=budgets,
        limits=st.tuples(FIRST_NANOS, FIRST_NANOS, FIRST_NANOS),
        asked=st.lists(ASKED, min_size=3, max_size=5),
    )
    def begin(self, limits: tuple[int, int, int], asked: list[Asked]) -> Any:
        """Begin with three budgets (a department's day, a person's month, everybody's all) and some calls."""
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {EVERYTHING} CASCADE")
        self.now = BEGINNING
        self.model = Reference()
        self.set_prices(LONG_AGO, 7, 9)
        kinds = (
            ("DAY", (0, None, None), 1, "REFUSE"),
            ("MONTH", (None, 0, None), 2, "CHEAPER_MODEL"),
            ("TOTAL", (None, None, None), 4, "CACHED_ONLY"),
        )
        budgets = [
            self.make_budget(who, period, limit, limit // part, at_limit, is_on=True)
            for (period, who, part, at_limit), limit in zip(kinds, limits, strict=True)
        ]
        self.reserve_all(asked)
        return multiple(*budgets)

    def set_prices(self, since: datetime, fresh: int, output: int) -> None:
        """Set what a token costs, in halves of a nano so that amounts are rounded, from a moment on."""
        self.model.prices.append((since, fresh * HALF, output * HALF))
        for meter, halves in ((Meter.INPUT, fresh), (Meter.OUTPUT, output)):
            PriceFactory(meter=meter, nanos_per_million_tokens=halves * HALF, starts_at=since)

    # Calls.

    @rule(target=names, asked=st.lists(ASKED, min_size=1, max_size=3))
    def reserve(self, asked: list[Asked]) -> Any:
        """Ask for calls of anybody's."""
        return multiple(*self.reserve_all(asked))

    def reserve_all(self, asked: list[Asked]) -> list[CallContext]:
        """Ask for these calls; return their names."""
        contexts = []
        for (department, person, key), most, thrift in asked:
            context = CallContext(
                request_id=uuid7(),
                department_id=people["departments"][department or 0].pk,
                purpose=Purpose.ANSWER,
                user_id=None if person is None else people["users"][person].pk,
                api_key_id=None if key is None else people["keys"][key].pk,
            )
            self.ask(context, most, thrift)
            contexts.append(context)
        return contexts

    def ask(self, context: CallContext, most: tuple[int, int], thrift: Thrift) -> None:
        """Reserve, and compare what comes of it."""
        who = (context.department_id, context.user_id, context.api_key_id)
        call = Call(who, self.now, self.now + services.RESERVATION_LIFETIME, most)
        refusing = self.model.refusing(call, thrift)
        try:
            reserved = services.reserve(
                context=context,
                provider_code="provider",
                model_code="model",
                max_input_tokens=most[0],
                max_output_tokens=most[1],
                thrift=thrift,
                at=self.now,
            )
        except BudgetExceededError as error:
            told = error.refusal
            figures = (told.limit_nanos, told.spent_nanos, told.reserved_nanos)
            assert refusing[told.budget_id] == figures
            assert told.max_nanos == self.model.cost(self.now, most)
            happened["refused softly" if told.is_soft else "refused"] += 1
            return
        assert not refusing
        assert reserved.max_nanos == self.model.cost(self.now, most)
        self.model.calls[context] = call
        happened["reserved"] += 1

    @rule(context=names, most=TOKENS, thrift=THRIFT)
    def reserve_again(self, context: CallContext, most: tuple[int, int], thrift: Thrift) -> None:
        """Repeat a request; one that was refused is asked anew."""
        if context not in self.model.calls:
            self.ask(context, most, thrift)
            return
        call = self.model.calls[context]
        again = services.reserve(
            context=context,
            provider_code="provider",
            model_code="model",
            max_input_tokens=most[0],
            max_output_tokens=most[1],
            at=self.now,
        )
        assert again.created_at == call.at
        assert again.max_nanos == self.model.cost(call.at, call.most)
        assert again.is_settled == (call.state != "OPEN")

    def one_of(self, which: int) -> tuple[CallContext, Call] | tuple[None, None]:
        """Return one of the calls there are."""
        calls = list(self.model.calls.items())
        return calls[which % len(calls)] if calls else (None, None)

    @rule(what=st.lists(st.tuples(WHICH, TOKENS), min_size=1, max_size=4))
    def settle(self, what: list[tuple[int, tuple[int, int]]]) -> None:
        """Settle: once, below or above what was held; late, after the reaper; again, without effect."""
        for which, used in what:
            context, call = self.one_of(which)
            if context is not None and call is not None:
                self.settle_one(context, call, used)

    @rule(used=TOKENS)
    def settle_late(self, used: tuple[int, int]) -> None:
        """Have the calls end whose processes seemed dead: their estimates are put right."""
        for context, call in self.model.calls.items():
            if call.state == "ESTIMATED":
                self.settle_one(context, call, used)

    def settle_one(self, context: CallContext, call: Call, used: tuple[int, int]) -> None:
        """Settle one call, and compare what is told."""
        if call.state == "VOID":
            with pytest.raises(CallEndedError):
                self.settle_call(context, used)
            return
        happened[f"settled {call.state}"] += 1
        if call.state == "OPEN" and self.model.cost(call.at, used) > self.model.cost(
            call.at, call.most
        ):
            happened["excess"] += 1
        before = call.used if call.state != "OPEN" else used
        settled = self.settle_call(context, used)
        # What is told is the record, whether the reaper's estimate or the first settlement.
        assert settled.amount_nanos == self.model.cost(
            call.at, before if call.state != "SETTLED" else self.recorded[context]
        )
        self.recorded.setdefault(context, before)
        self.model.settle(call, used)

    def settle_call(self, context: CallContext, used: tuple[int, int]) -> Any:
        """Settle the call of this name."""
        return services.settle(
            reservation_id=self.id_of(context),
            outcome=Outcome.COMPLETED,
            usage=Usage(input_tokens=used[0], output_tokens=used[1]),
            elapsed_ms=1,
            at=self.now,
        )

    @rule(which=WHICH)
    def void(self, which: int) -> None:
        """Give a call up that was never sent: an open one, if there is one."""
        still_open = [one for one, call in self.model.calls.items() if call.state == "OPEN"]
        context, call = self.one_of(which)
        if still_open and which % 4:
            context = still_open[which % len(still_open)]
            call = self.model.calls[context]
        if context is None or call is None:
            return
        if call.state in ("OPEN", "VOID"):
            services.void(reservation_id=self.id_of(context), at=self.now)
            call.state = "VOID"
            happened["void"] += 1
        else:
            with pytest.raises(CallEndedError):
                services.void(reservation_id=self.id_of(context), at=self.now)

    def reap(self) -> None:
        """Settle what has expired, at all it could have cost."""
        for context, call in self.model.calls.items():
            if call.state == "OPEN" and call.expires_at < self.now:
                self.model.settle(call, call.most, is_reaper=True)
                self.recorded[context] = call.most
                happened["reaped"] += 1
        services.settle_expired(at=self.now)

    @rule(limit=st.integers(1, 3))
    def roll_up(self, limit: int) -> None:
        """Add some calls to the totals."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT billing_roll_up_v2(%s)", (limit,))
        self.books_agree()

    # Time and prices.

    @rule(step=MOMENTS, is_reaped=st.booleans())
    def wait(self, step: timedelta, *, is_reaped: bool) -> None:
        """Let time go by; the reaper may come or not."""
        self.now += step
        happened["waited"] += 1
        if is_reaped:
            self.reap()

    @rule(fresh=st.integers(0, 19), output=st.integers(0, 19))
    def change_prices(self, fresh: int, output: int) -> None:
        """Set new prices from now on."""
        self.now += timedelta(seconds=1)
        self.set_prices(self.now, fresh, output)

    # Budgets.

    @rule(
        target=budgets,
        who=WHO,
        period=st.sampled_from(models.Budget.Period.values),
        limit=NANOS,
        soft=st.none() | NANOS,
        at_limit=st.sampled_from(models.Budget.AtLimit.values),
        is_on=st.booleans(),
    )
    def make_budget_of_any_kind(self, is_on: bool, **kind: Any) -> Any:
        """Make a budget while calls are open and spent."""
        return self.make_budget(**kind, is_on=is_on)

    def make_budget(
        self, who: Who, period: str, limit: int, soft: int | None, at_limit: str, *, is_on: bool
    ) -> Any:
        """Make a budget, of which there is one of each kind."""
        subjects = [
            None if index is None else people[kind][index]
            for kind, index in zip(("departments", "users", "keys"), who, strict=True)
        ]
        soft = None if soft is None else min(soft, limit)
        for name, budget in self.model.budgets.items():
            if (budget.who, budget.period) == (
                tuple(one and one.pk for one in subjects),
                period,
            ):
                return name
        row = models.Budget.objects.create(
            department=subjects[0],
            user=subjects[1],
            api_key=subjects[2],
            period=period,
            limit_nanos=limit,
            soft_limit_nanos=soft,
            at_limit=at_limit,
            is_enabled=is_on,
        )
        who_ids = (row.department_id, row.user_id, row.api_key_id)
        self.model.budgets[row.pk] = Budget(who_ids, period, limit, soft, at_limit, None)
        if is_on:
            self.count_from_now(row.pk)
        return row.pk

    def count_from_now(self, name: Any) -> None:
        """Have the budget's period of the test's own time begun, as the trigger began that of the clock's."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT billing_open_period_v2(%s, %s)", (name, self.now))
        self.model.budgets[name].on_since = self.now

    @rule(name=budgets)
    def switch(self, name: Any) -> None:
        """Switch a budget off, or on again."""
        budget = self.model.budgets[name]
        is_on = budget.on_since is None
        models.Budget.objects.filter(pk=name).update(is_enabled=is_on)
        if is_on:
            self.count_from_now(name)
        else:
            budget.on_since = None
        happened["switched"] += 1

    @rule(name=budgets, limit=NANOS)
    def change_limit(self, name: Any, limit: int) -> None:
        """Set another limit, maybe below what is spent."""
        budget = self.model.budgets[name]
        budget.limit = limit
        budget.soft = None if budget.soft is None else min(budget.soft, limit)
        models.Budget.objects.filter(pk=name).update(
            limit_nanos=limit, soft_limit_nanos=budget.soft
        )

    @rule(name=budgets, amount=st.integers(1, 200), lasts=MOMENTS)
    def increase(self, name: Any, amount: int, lasts: timedelta) -> None:
        """Raise a budget for a while."""
        until = self.now + lasts
        models.BudgetIncrease.objects.create(
            budget_id=name, amount_nanos=amount, starts_at=self.now, expires_at=until, reason="-"
        )
        self.model.budgets[name].more.append((amount, self.now, until))

    # What always holds.

    @invariant()
    def counters_are_the_model_s(self) -> None:
        """Compare all periods that have been counted from their beginning, or summed anew."""
        counted = self.counted()
        for name, budget in self.model.budgets.items():
            since = budget.on_since
            if since is None:
                continue
            moments = {budget.period_of(since): since, budget.period_of(self.now): self.now}
            for call in self.model.calls.values():
                if budget.period_of(call.at) >= budget.period_of(since):
                    moments[budget.period_of(call.at)] = call.at
            for at in moments.values():
                figures = [
                    (spent, reserved)
                    for starts_at, ends_at, spent, reserved in counted[name]
                    if starts_at <= at and (ends_at is None or at < ends_at)
                ]
                assert (figures or [(0, 0)]) == [self.model.figures(budget, at)]

    def counted(self) -> dict[Any, list[tuple[datetime, datetime | None, int, int]]]:
        """Return what PostgreSQL has counted in each budget's periods."""
        counted: dict[Any, list[Any]] = {name: [] for name in self.model.budgets}
        fields = ("budget_id", "starts_at", "ends_at", "spent_nanos", "reserved_nanos")
        for name, *period in models.BudgetPeriod.objects.values_list(*fields):
            counted[name].append(period)
        return counted

    def teardown(self) -> None:
        """Reconcile at the end, and whenever totals were made."""
        if hasattr(self, "model"):
            self.books_agree()

    def books_agree(self) -> None:
        """Reconcile, and compare what each department owes."""
        found = reconcile()
        assert found.is_clean, [difference.words for difference in found.differences]
        owed: Counter[str] = Counter()
        for balance in found.balances:
            kind, _, of = balance.account.partition(":")
            if kind in ("department", "overdraft"):
                owed[of] += balance.debit_nanos - balance.credit_nanos
        expected: Counter[str] = Counter()
        for call in self.model.calls.values():
            expected[str(call.who[0])] += self.model.cost(call.at, call.used)
        assert +owed == +expected

    def id_of(self, context: CallContext) -> Any:
        """Return the reservation of this name."""
        return Reservation.objects.only("pk").get(request_id=context.request_id).pk

    @property
    def recorded(self) -> dict[CallContext, tuple[int, int]]:
        """Return what each call's record says, which the reaper's estimate stays."""
        return self.__dict__.setdefault("_recorded", {})


@pytest.fixture
def berlin(settings: Settings) -> None:
    """Keep the books in a time zone whose clocks change."""
    settings.BILLING_TIME_ZONE = ZONE.key
    book.open_book()


@pytest.fixture
def cast() -> None:
    """Two departments, two people, a key."""
    departments: list[Department] = [DepartmentFactory(), DepartmentFactory()]
    users: list[User] = [UserFactory(department=one) for one in departments]
    key = ApiKey.objects.create(
        name="key", prefix="abc", secret_hash=b"", owner=users[0], department=departments[0]
    )
    people.update(departments=departments, users=users, keys=[key])


@pytest.mark.usefixtures("berlin", "cast")
def test_the_books_are_what_the_model_says() -> None:
    """Run some examples; each kind of thing must have happened."""
    play(EXAMPLES, STEPS)
    assert happened["reserved"], happened
    assert happened["refused"] + happened["refused softly"], happened
    assert happened["settled OPEN"], happened


def play(examples: int, steps: int, **options: Any) -> None:
    """Run this many examples of this many steps."""
    happened.clear()
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Books,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            **options,
        ),
    )
    print(f"{examples} examples of {steps} steps: {dict(happened)}")  # noqa: T201 - shown with -s
