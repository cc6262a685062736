"""Changes of sessions reach the cache through the outbox: a session ended by any way is out."""

from django.db import migrations

from apps.caching.triggers import Invalidates, outbox_triggers


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_outbox"),
        ("sessions", "0001_initial"),
    ]

    operations = [
        outbox_triggers(
            "django_session",
            [
                Invalidates(
                    "accounts:session:1",
                    "SELECT ARRAY[session_key::text] FROM changed",
                    events=("UPDATE", "DELETE"),
                )
            ],
        ),
    ]
