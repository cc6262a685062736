"""Conversations found by words of their messages, fast where the extension is there."""

from django.db import migrations

# Optional: a managed PostgreSQL without pg_trgm, or a role that may not create it, reads the person's own messages.
TRIGRAMS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        CREATE EXTENSION IF NOT EXISTS pg_trgm;
        -- UPPER, for that is what Django's icontains compares.
        CREATE INDEX message_content_trigrams ON chat_message USING gin (UPPER(content::text) gin_trgm_ops);
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'pg_trgm may not be created here: searching reads all messages of the person';
END
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("chat", "0001_initial")]

    operations = [
        migrations.RunSQL(TRIGRAMS, "DROP INDEX IF EXISTS message_content_trigrams"),
    ]
