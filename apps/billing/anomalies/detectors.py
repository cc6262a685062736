"""What is raised without any statistics: new models, changed prices, hours and people that take too large a share."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Sum

from apps.accounts.models import User
from apps.billing.anomalies import series
from apps.billing.anomalies.decomposition import ModelCost
from apps.billing.anomalies.profile import Costs
from apps.billing.anomalies.scan import Incident, joined
from apps.billing.models import Anomaly, HourlyCost, Meter, PersonCost, Price
from apps.core.money import TOKENS_PER_PRICE, format_nanos

USUAL_WEEKS = 6
PERSON_DAYS = 28
LEAST_PEOPLE = 3
Models = Mapping[str, ModelCost]


@dataclass(frozen=True, slots=True)
class Used:
    """What a department used of one model in the weeks before; input is without what the provider's cache held."""

    fresh_tokens: int
    cached_tokens: int
    output_tokens: int


def heavy_hours(costs: Costs, *, first: int, month_nanos: int, percent: float) -> list[Incident]:
    """Return the hours from index `first` on that cost this much of the month's budget, those close together as one."""
    limit = month_nanos * percent / 100
    if month_nanos <= 0:
        return []
    hours = [hour for hour in range(first, len(costs)) if costs[hour] >= limit]
    return joined([Incident(hour, hour + 1, 1.0) for hour in hours])


def models_of(
    department_ids: Collection[UUID], *, since: datetime, until: datetime
) -> dict[UUID, dict[str, ModelCost]]:
    """Return each department's calls, tokens and cost by `provider/model` in that time (one query)."""
    rows = (
        HourlyCost.objects.filter(
            department__in=department_ids, starts_at__gte=since, starts_at__lt=until
        )
        .values("department_id", "provider_code", "model_code")
        .annotate(
            calls=Sum("call_count"),
            tokens=Sum("input_tokens") + Sum("output_tokens"),
            nanos=Sum("amount_nanos"),
        )
    )
    found: dict[UUID, dict[str, ModelCost]] = defaultdict(dict)
    for row in rows:
        name = f"{row['provider_code']}/{row['model_code']}"
        cost = ModelCost(row["calls"], int(row["tokens"]), int(row["nanos"]))
        found[row["department_id"]][name] = cost
    return found


def unknown_models(
    *,
    usual: Mapping[UUID, Models],
    now_used: Mapping[UUID, Models],
    first: datetime,
    until: datetime,
) -> Iterable[Anomaly]:
    """Raise models no department had used in the weeks before; nothing where there were none at all."""
    known = {name for models in usual.values() for name in models}
    for department_id, models in now_used.items() if known else ():
        for name in models.keys() - known:
            provider, _slash, model = name.partition("/")
            rows = HourlyCost.objects.filter(
                department=department_id,
                provider_code=provider,
                model_code=model,
                starts_at__gte=first,
                starts_at__lt=until,
            )
            begin = rows.order_by("starts_at").values_list("starts_at", flat=True)[0]
            actual = rows.aggregate(nanos=Sum("amount_nanos"))["nanos"]
            yield Anomaly(
                kind=Anomaly.Kind.UNKNOWN_MODEL,
                department_id=department_id,
                starts_at=begin,
                ends_at=begin + series.HOUR,
                expected_nanos=0,
                actual_nanos=int(actual),
                detail=name,
            )


def changed_prices(*, first: datetime, until: datetime) -> Iterable[Anomaly]:
    """Raise prices that came into force in that time, for the departments that used the model in the weeks before.

    Expected and actual are a week's tokens of theirs, at the old and the new price.
    """
    new = Price.objects.filter(starts_at__gte=first, starts_at__lt=until)
    changes: dict[tuple[str, str], list[tuple[Price, Price]]] = defaultdict(list)
    for price in new.order_by("starts_at", "meter"):
        old = Price.objects.of_model(
            provider_code=price.provider_code, model_code=price.model_code
        ).filter(meter=price.meter, starts_at__lt=price.starts_at)
        before = old.order_by("-starts_at").first()
        if before and before.nanos_per_million_tokens != price.nanos_per_million_tokens:
            changes[price.provider_code, price.model_code].append((before, price))
    for (provider, model), pairs in changes.items():
        for department_id, used in _users_of(provider, model, until=first).items():
            yield _price_change(department_id, f"{provider}/{model}", pairs, used)


def single_people(
    *, day: datetime, least_nanos: int, percent: float, departments: Collection[UUID]
) -> Iterable[Anomaly]:
    """Raise a day's people who made more than this percent of a department's cost, and had not in the weeks before."""
    since, until = day - timedelta(days=PERSON_DAYS), day + timedelta(days=1)
    before = _by_person(since, day, departments)
    for department_id, people in _by_person(day, until, departments).items():
        total = sum(people.values())
        usual = before.get(department_id, {})
        usual_total = sum(usual.values())
        user_id, nanos = max(people.items(), key=lambda entry: entry[1])
        is_new = usual.get(user_id, 0) * 100 <= usual_total * percent
        expected = usual.get(user_id, 0) // PERSON_DAYS
        if (
            nanos * 100 > total * percent
            and is_new
            and len(usual) >= LEAST_PEOPLE
            and nanos - expected >= least_nanos
        ):
            yield Anomaly(
                kind=Anomaly.Kind.ONE_PERSON,
                department_id=department_id,
                starts_at=day,
                ends_at=until,
                expected_nanos=expected,
                actual_nanos=nanos,
                detail=str(User.objects.get(pk=user_id)),
            )


def _users_of(provider: str, model: str, *, until: datetime) -> dict[UUID, Used]:
    """Return by department what it used of the model a week, in the mean of the weeks before."""
    rows = (
        HourlyCost.objects.filter(
            provider_code=provider,
            model_code=model,
            starts_at__gte=until - timedelta(weeks=USUAL_WEEKS),
            starts_at__lt=until,
        )
        .values("department_id")
        .annotate(
            fresh=Sum("input_tokens") - Sum("cached_input_tokens"),
            cached=Sum("cached_input_tokens"),
            output=Sum("output_tokens"),
        )
    )
    return {
        row["department_id"]: Used(
            *(int(row[name]) // USUAL_WEEKS for name in ("fresh", "cached", "output"))
        )
        for row in rows
    }


def _price_change(
    department_id: UUID, name: str, pairs: Collection[tuple[Price, Price]], used: Used
) -> Anomaly:
    tokens = {
        Meter.INPUT: used.fresh_tokens,
        Meter.CACHE_READ: used.cached_tokens,
        Meter.OUTPUT: used.output_tokens,
    }
    sums = [
        sum(tokens.get(Meter(price.meter), 0) * price.nanos_per_million_tokens for price in prices)
        // TOKENS_PER_PRICE
        for prices in zip(*pairs, strict=True)
    ]
    begin = min(price.starts_at for _old, price in pairs)
    said = ", ".join(
        f"{Meter(new.meter).label}: {format_nanos(old.nanos_per_million_tokens)} → "
        f"{format_nanos(new.nanos_per_million_tokens)}"
        for old, new in pairs
    )
    return Anomaly(
        kind=Anomaly.Kind.PRICE_CHANGE,
        department_id=department_id,
        starts_at=begin,
        ends_at=begin + series.HOUR,
        expected_nanos=sums[0],
        actual_nanos=sums[1],
        detail=f"{name}: {said}"[:500],
    )


def _by_person(
    since: datetime, until: datetime, departments: Collection[UUID]
) -> dict[UUID, dict[UUID, int]]:
    rows = (
        PersonCost.objects.filter(
            department__in=departments,
            starts_at__gte=since,
            starts_at__lt=until,
            user__isnull=False,
        )
        .values_list("department_id", "user_id")
        .annotate(nanos=Sum("amount_nanos"))
    )
    found: dict[UUID, dict[UUID, int]] = defaultdict(dict)
    for department_id, user_id, nanos in rows:
        if nanos:
            found[department_id][user_id] = int(nanos)
    return found
