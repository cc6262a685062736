"""Named sets of revisions and scheduled changes."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import F, Func, Subquery

if TYPE_CHECKING:
    from apps.tuning.models import Revision, ScheduledChange

# The subject of all parameters together; a row has one of its own, `<app>.<model>:<key>`.
PARAMETERS = "parameters"


class RevisionQuerySet(models.QuerySet["Revision"]):
    """Sets of revisions."""

    def of(self, subject: str) -> "RevisionQuerySet":
        """The history of one subject, newest first."""
        return self.filter(subject=subject).order_by("-pk")

    def active(self, subject: str) -> "RevisionQuerySet":
        """The one revision that tells how the subject is now; none before its first change."""
        return self.filter(subject=subject, is_active=True)

    def last_of_each_parameter(self) -> "dict[str, Revision]":
        """Return the newest revision that changed each parameter, with its author, by parameter name."""
        each = Func(F("changed"), function="jsonb_object_keys", output_field=models.TextField())
        newest = (
            self.filter(subject=PARAMETERS)
            .annotate(parameter=each)
            .order_by("parameter", "-pk")
            .distinct("parameter")
            .values_list("parameter", "pk")
        )
        pk_by_name = dict(newest)
        revisions = self.select_related("author").in_bulk(set(pk_by_name.values()))
        return {name: revisions[pk] for name, pk in pk_by_name.items()}

    def newest_and_values(self) -> "models.QuerySet[Revision, tuple[int, dict[str, Any] | None]]":
        """The id of the newest revision of any subject, beside the parameters' live values (None: no change yet)."""
        live = self.model._default_manager.filter(subject=PARAMETERS, is_active=True)
        values = Subquery(live.values("values")[:1])
        return self.order_by("-pk").values_list("pk", values)[:1]


class ScheduledChangeQuerySet(models.QuerySet["ScheduledChange"]):
    """Sets of scheduled changes."""

    def waiting(self) -> "ScheduledChangeQuerySet":
        """Those neither applied, nor refused, nor cancelled, soonest first."""
        open_ones = self.filter(
            applied_at__isnull=True, refused_at__isnull=True, cancelled_at__isnull=True
        )
        return open_ones.order_by("due_at", "pk")

    def due(self, at: datetime) -> "ScheduledChangeQuerySet":
        """Those waiting whose time has come."""
        return self.waiting().filter(due_at__lte=at)
