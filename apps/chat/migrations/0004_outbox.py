"""Changes of conversations reach the caches through the outbox."""

from django.db import migrations

from apps.caching.triggers import Invalidates, outbox_triggers

CONVERSATION = "chat:conversation:1"
CONVERSATION_LIST = "chat:conversation-list:1"

LISTS = """SELECT ARRAY[c.user_id::text, archived.flag]
    FROM changed c CROSS JOIN (VALUES ('0'), ('1')) archived (flag)"""
# Old and new rows stand together: one that appears twice has not changed in what a page shows. Leases are renewed
# every few seconds.
MESSAGE = """SELECT ARRAY[conversation_id::text] FROM changed
    GROUP BY id, conversation_id, parent_id, role, state, content, error_code, receipt, created_at
    HAVING count(*) = 1"""
OF_MESSAGE = """SELECT ARRAY[m.conversation_id::text]
    FROM changed c JOIN chat_message m ON m.id = c.message_id"""


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0003_answers"),
        ("caching", "0001_initial"),
    ]

    operations = [
        outbox_triggers(
            "chat_conversation",
            [
                Invalidates(CONVERSATION, "SELECT ARRAY[id::text] FROM changed"),
                Invalidates(CONVERSATION_LIST, LISTS),
            ],
        ),
        outbox_triggers("chat_message", [Invalidates(CONVERSATION, MESSAGE)]),
        outbox_triggers("chat_citation", [Invalidates(CONVERSATION, OF_MESSAGE)]),
        outbox_triggers("chat_feedback", [Invalidates(CONVERSATION, OF_MESSAGE)]),
        outbox_triggers(
            "chat_conversation_chosen_documents",
            [Invalidates(CONVERSATION, "SELECT ARRAY[conversation_id::text] FROM changed")],
        ),
    ]
