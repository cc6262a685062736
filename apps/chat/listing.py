"""A page of the list of conversations as a frozen value."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ConversationItem:
    """A conversation in the list; `snippet` is where a message has the words searched for."""

    id: UUID
    title: str
    is_archived: bool
    updated_at: datetime
    snippet: str = ""


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """Some conversations, last used first, and where the next page begins ("" at the end)."""

    items: tuple[ConversationItem, ...]
    next_cursor: str

    def to_json(self) -> dict[str, Any]:
        """Return the value as JSON holds it; a page that was searched for is not kept."""
        items = [
            [str(one.id), one.title, one.is_archived, one.updated_at.isoformat()]
            for one in self.items
        ]
        return {"items": items, "next": self.next_cursor}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the value of `to_json`'s data."""
        items = tuple(
            ConversationItem(UUID(pk), title, is_archived, datetime.fromisoformat(updated_at))
            for pk, title, is_archived, updated_at in data["items"]
        )
        return cls(items, data["next"])
