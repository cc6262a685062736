"""One unfinished run a document; names found by a part of them, fast where the extension is there."""

from django.db import migrations, models

# Optional: a managed PostgreSQL without pg_trgm, or a role that may not create it, filters by reading the names.
TRIGRAMS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        CREATE EXTENSION IF NOT EXISTS pg_trgm;
        -- UPPER, for that is what Django's icontains compares.
        CREATE INDEX document_name_trigrams ON documents_document USING gin (UPPER(name::text) gin_trgm_ops);
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'pg_trgm may not be created here: filtering by name reads all names';
END
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("documents", "0002_retrieval")]

    operations = [
        migrations.AddConstraint(
            model_name="ingestrun",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ("WAITING", "RUNNING"))),
                fields=("document",),
                name="run_one_unfinished",
            ),
        ),
        migrations.RunSQL(TRIGRAMS, "DROP INDEX IF EXISTS document_name_trigrams;"),
    ]
