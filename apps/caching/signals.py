"""Invalidation by Django's own signals, for rows that the admin and services save one by one.

Triggers and the relay repeat it, and cover what sends no signal: bulk updates, raw SQL, a process killed after COMMIT.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from django.db.models import Model
from django.db.models.signals import post_delete, post_save

from apps.caching import store
from apps.caching.keyspaces import Key, Keyspace

M = TypeVar("M", bound=Model)

Keys = Iterable[tuple[Keyspace[Any], Key]]


def invalidate_with(model: type[M], keys_of: Callable[[M], Keys]) -> None:
    """Have each saved or deleted row of a model invalidate the keys that `keys_of` names; call it from `ready()`."""

    def receive(instance: M, **_kwargs: object) -> None:
        for keyspace, key in keys_of(instance):
            store.invalidate(keyspace, key)

    name = f"caching.{model._meta.label_lower}"
    post_save.connect(receive, sender=model, weak=False, dispatch_uid=name)
    post_delete.connect(receive, sender=model, weak=False, dispatch_uid=name)
