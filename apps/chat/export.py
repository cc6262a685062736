"""A conversation as a file to keep: the branch shown as Markdown, the whole tree as JSON. No document text goes along."""

import json
from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.chat.message_views import MessageView
from apps.chat.models import Citation, Conversation, Message
from apps.chat.pages import branch_views
from apps.core.money import format_nanos


def as_markdown(*, user: User, conversation: Conversation) -> str:
    """Return the branch last used as Markdown, each answer with its sources and what it cost."""
    parts = [f"# {conversation.title}", ""]
    for message in branch_views(user=user, conversation=conversation):
        heading = _("Question") if message.role == Message.Role.USER else _("Answer")
        parts += [
            f"## {heading} · {message.created_at:%Y-%m-%d %H:%M} UTC",
            "",
            message.content,
            "",
        ]
        parts += _footnotes(message)
    return "\n".join(parts)


def _footnotes(message: MessageView) -> list[str]:
    lines = [
        _("[%(number)d] %(name)s, page %(page)d")
        % {"number": one.number, "name": one.document_name, "page": one.page_number}
        for one in message.citations
    ]
    if message.error_message:
        lines.append(f"> {message.error_message}")
    if message.receipt:
        name = message.receipt.get("model_name") or _("no model")
        lines.append(f"*{name} · {format_nanos(message.receipt.get('total_nanos', 0))}*")
    return [part for line in lines for part in (line, "")]


def as_json(*, conversation: Conversation) -> str:
    """Return all messages of all branches as JSON, in the order they were made."""
    messages = list(Message.objects.filter(conversation=conversation).order_by("created_at", "pk"))
    cited: dict[Any, list[dict[str, Any]]] = {}
    for citation in Citation.objects.filter(message__conversation=conversation).order_by(
        "message_id", "number"
    ):
        cited.setdefault(citation.message_id, []).append(
            {
                "number": citation.number,
                "document": citation.document_name,
                "page": citation.page_number,
            }
        )
    data = {
        "id": str(conversation.pk),
        "title": conversation.title,
        "department": conversation.paying_department.name,
        "created_at": conversation.created_at.isoformat(),
        "active_leaf": str(conversation.active_leaf_id or ""),
        "messages": _messages(messages, cited),
    }
    return json.dumps(data, ensure_ascii=False, indent=2)


def _messages(
    messages: Sequence[Message], cited: dict[Any, list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    return [
        {
            "id": str(message.pk),
            "parent": str(message.parent_id) if message.parent_id else None,
            "role": message.role,
            "state": message.state,
            "content": message.content,
            "created_at": message.created_at.isoformat(),
            "citations": cited.get(message.pk, []),
            "receipt": message.receipt,
        }
        for message in messages
    ]
