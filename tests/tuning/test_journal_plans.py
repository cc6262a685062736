"""The journal's indexes are used by the queries they are there for, by the planner's own choice."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.tuning.models import Revision, ScheduledChange
from tests.test_plans import indexes

SEED = """
INSERT INTO tuning_revision (subject, label, action, values, changed, reason, created_at, is_active)
SELECT CASE WHEN n %% 2 = 0 THEN 'parameters' ELSE 'llm.provider:p' || n %% 500 END, '', 'CHANGED', '{}', '{}', '',
    now(), n > %(rows)s - 500 AND (n %% 2 = 1 OR n = %(rows)s)
FROM generate_series(1, %(rows)s) n;
INSERT INTO tuning_scheduledchange (subject, label, values, due_at, reason, created_at, applied_at, error)
SELECT 'parameters', '', '{}', now() - n * interval '1 minute', '', now(),
    CASE WHEN n %% 1000 <> 0 THEN now() END, ''
FROM generate_series(1, %(rows)s) n;
ANALYZE tuning_revision; ANALYZE tuning_scheduledchange;
"""


@pytest.fixture(scope="module", params=[10_000, 200_000])
def many_changes(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any
) -> Iterator[None]:
    """This many changes, a few of them active or still to come."""
    with django_db_blocker.unblock(), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(SEED, {"rows": request.param})
        yield
        transaction.set_rollback(True)


def queries() -> dict[str, QuerySet[Any]]:
    """The query each index is there for."""
    return {
        "revision_one_active": Revision.objects.active("parameters"),
        "revision_subject": Revision.objects.of("llm.provider:p7")[:20],
        "scheduled_due": ScheduledChange.objects.due(timezone.now()),
    }


@pytest.mark.usefixtures("many_changes")
@pytest.mark.django_db
def test_the_planner_chooses_the_index() -> None:
    passed_by = {
        name: used for name, query in queries().items() if name not in (used := indexes(query))
    }
    assert not passed_by


@pytest.mark.usefixtures("many_changes")
@pytest.mark.django_db
def test_the_live_values_are_read_by_two_indexes() -> None:
    live = Revision.objects.newest_and_values()
    assert {"revision_one_active", "tuning_revision_pkey"} <= indexes(live)
