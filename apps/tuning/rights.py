"""Who may turn what: asked before each change, and by the pages that show what can't be changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from uuid import UUID

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from apps.tuning.models import Right
from apps.tuning.registry import TuningError


class NotAllowedError(TuningError):
    """The person may not turn this."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What one person may turn, as it was when it was read; nobody is the machine's own operator, who may all."""

    is_operator: bool
    user_id: UUID | None
    rights: tuple[Right, ...]

    def refusal(self, name: str) -> str:
        """Return why the person may not turn this parameter or row; empty: they may."""
        if self.user_id is None:
            return ""
        if not self.is_operator:
            return _("Only operators change settings.")
        allowed = [right for right in self.rights if fnmatchcase(name, right.pattern)]
        if not allowed or any(right.person_id == self.user_id for right in allowed):
            return ""
        people = ", ".join(sorted({str(right.person) for right in allowed}))
        return _("%(name)s may be changed only by %(people)s.") % {"name": name, "people": people}


def standing_of(user_id: UUID | None) -> Standing:
    """Read a person's rights; two queries."""
    if user_id is None:
        return Standing(is_operator=True, user_id=None, rights=())
    person = get_user_model()._default_manager.filter(pk=user_id).first()
    is_operator = person is not None and person.is_active and person.is_staff
    rights = tuple(Right.objects.select_related("person").order_by("pk"))
    return Standing(is_operator=is_operator, user_id=user_id, rights=rights)


def check(*, user_id: UUID | None, names: Iterable[str]) -> None:
    """Refuse a change of these parameters or rows to a person who may not make it.

    Raises:
        NotAllowedError: the person is no operator any more, or one of the names is for others.
    """
    standing = standing_of(user_id)
    for name in names:
        refusal = standing.refusal(name)
        if refusal:
            raise NotAllowedError(refusal)
