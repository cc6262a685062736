"""Changes of who reads what reach the caches through the outbox."""

from django.db import migrations

from apps.caching.triggers import Invalidates, outbox_triggers

AUDIENCE_SET = "accounts:audience-set:1"
AUDIENCE_GENERATION = "accounts:audience-generation:1"


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("caching", "0001_initial"),
    ]

    operations = [
        outbox_triggers(
            "accounts_user", [Invalidates(AUDIENCE_SET, "SELECT ARRAY[id::text] FROM changed")]
        ),
        outbox_triggers(
            "accounts_membership",
            [Invalidates(AUDIENCE_SET, "SELECT ARRAY[user_id::text] FROM changed")],
        ),
        outbox_triggers(
            "accounts_audiencemember",
            [Invalidates(AUDIENCE_SET, "SELECT ARRAY[user_id::text] FROM changed")],
        ),
        # A new audience of a department, or of everyone, belongs to people at once; a new generation changes no set.
        outbox_triggers(
            "accounts_audience",
            [
                Invalidates(AUDIENCE_GENERATION, "SELECT ARRAY[id::text] FROM changed"),
                Invalidates(
                    AUDIENCE_SET,
                    "SELECT ARRAY[coalesce(c.user_id, m.user_id, u.id)::text] FROM changed c"
                    " LEFT JOIN accounts_membership m ON m.department_id = c.department_id"
                    " LEFT JOIN accounts_user u ON c.kind = 'EVERYONE'"
                    " WHERE coalesce(c.user_id, m.user_id, u.id) IS NOT NULL",
                    events=("INSERT", "DELETE"),
                ),
            ],
        ),
    ]
