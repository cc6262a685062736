"""One unfinished run a document; names found by a part of them, fast where the extension is there."""

import django.db.models.deletion
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
        migrations.CreateModel(
            name="EmbeddingClaim",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("llm_model_id", models.UUIDField(verbose_name="embedding model")),
                ("content_hash", models.BinaryField(max_length=32, verbose_name="content hash")),
                ("expires_at", models.DateTimeField(verbose_name="ends")),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="documents.ingestrun",
                    ),
                ),
            ],
            options={
                "verbose_name": "text being embedded",
                "verbose_name_plural": "texts being embedded",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("llm_model_id", "content_hash"), name="claim_text_once"
                    )
                ],
            },
        ),
        migrations.RunSQL(TRIGRAMS, "DROP INDEX IF EXISTS document_name_trigrams;"),
    ]
