"""What a person may read, as one value: the scope that keys whatever is kept of their documents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from apps.accounts.cache import AUDIENCE_GENERATION, AUDIENCE_SET
from apps.accounts.models import Audience, AudienceMember, Membership, User
from apps.caching import store
from apps.caching.keyspaces import Key
from apps.caching.signals import Keys, invalidate_with


@dataclass(frozen=True, slots=True)
class Scope:
    """The audiences a person is part of, each with its generation, by id.

    Two people of equal scopes may read the same documents in the same versions.
    """

    pairs: tuple[tuple[int, int], ...]

    @property
    def audience_ids(self) -> tuple[int, ...]:
        """Return the audiences alone."""
        return tuple(audience_id for audience_id, _generation in self.pairs)


def scope_of(user: User) -> Scope:
    """Return a person's scope as the database has it: one query."""
    readable = Audience.objects.readable_by(user).order_by("pk")
    return Scope(tuple(readable.values_list("pk", "generation")))


def cached_scope_of(user: User) -> Scope:
    """Return a person's scope through the caches: no query where they are warm, old by what docs/caching.md states."""
    audience_ids = cached_audience_ids(user)
    generations = store.get_many(
        AUDIENCE_GENERATION, [(audience_id,) for audience_id in audience_ids], _generations
    )
    # An audience that went meanwhile is no longer part of it.
    return Scope(
        tuple(
            (audience_id, generations[(audience_id,)])
            for audience_id in audience_ids
            if (audience_id,) in generations
        )
    )


def cached_audience_ids(user: User) -> tuple[int, ...]:
    """Return the audiences a person is part of, through the caches, in order of their ids."""
    if not user.is_authenticated or not user.is_active:
        return ()
    return store.get_or_compute(AUDIENCE_SET, (user.pk,), partial(_audience_ids, user.pk))


def _audience_ids(user_id: UUID) -> tuple[int, ...]:
    # The person is read again: whoever fills may hold one that was deactivated meanwhile.
    user = User.objects.filter(pk=user_id).first()
    if user is None:
        return ()
    return tuple(Audience.objects.readable_by(user).order_by("pk").values_list("pk", flat=True))


def _generations(keys: Sequence[Key]) -> Mapping[Key, int]:
    found = Audience.objects.filter(pk__in=[key[0] for key in keys])
    return {(pk,): generation for pk, generation in found.values_list("pk", "generation")}


def invalidate_with_changes() -> None:
    """Have the saved rows that decide who reads what invalidate the caches of it; called once, from `ready()`."""
    invalidate_with(User, lambda user: [(AUDIENCE_SET, (user.pk,))])
    invalidate_with(Membership, lambda one: [(AUDIENCE_SET, (one.user_id,))])
    invalidate_with(AudienceMember, lambda one: [(AUDIENCE_SET, (one.user_id,))])
    invalidate_with(Audience, _keys_of_audience)


def _keys_of_audience(audience: Audience) -> Keys:
    """Return what a made or ended audience changes; that of everyone, made once, is left to the relay."""
    people = {audience.user_id} if audience.user_id else set()
    if audience.department_id:
        members = Membership.objects.filter(department_id=audience.department_id)
        people.update(members.values_list("user_id", flat=True))
    return [
        (AUDIENCE_GENERATION, (audience.pk,)),
        *((AUDIENCE_SET, (user_id,)) for user_id in people),
    ]
