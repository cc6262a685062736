"""Named sets of documents; every read by a person starts with `visible_to`."""

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q

from apps.accounts.models import Audience, User

if TYPE_CHECKING:
    from apps.documents.models import Document


class DocumentQuerySet(models.QuerySet["Document"]):
    """Sets of documents."""

    def visible_to(self, user: User) -> "DocumentQuerySet":
        """Documents whose audience the person is part of."""
        audience_ids = list(Audience.objects.readable_by(user).values_list("pk", flat=True))
        return self.filter(audience_id__in=audience_ids)

    def manageable_by(self, user: User) -> "DocumentQuerySet":
        """Visible documents the person owns, or that are shared with a department they head."""
        headed = user.memberships.heads().values("department_id")
        return self.visible_to(user).filter(
            Q(owner=user) | Q(audience__kind="DEPARTMENT", audience__department_id__in=headed)
        )
