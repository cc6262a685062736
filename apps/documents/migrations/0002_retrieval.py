"""Search: terms and postings, the functions that fill and read them, and the journal of evaluations."""

from pathlib import Path

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

SQL = Path(__file__).parent.parent / "sql"

# The postings of a term are read from the key alone.
COVERING_KEY = """
ALTER TABLE documents_posting ALTER COLUMN impact TYPE real;
ALTER TABLE documents_posting DROP CONSTRAINT documents_posting_pkey;
ALTER TABLE documents_posting ADD PRIMARY KEY (term_id, passage_id) INCLUDE (impact);
"""
PLAIN_KEY = """
ALTER TABLE documents_posting DROP CONSTRAINT documents_posting_pkey;
ALTER TABLE documents_posting ADD PRIMARY KEY (term_id, passage_id);
ALTER TABLE documents_posting ALTER COLUMN impact TYPE double precision;
"""
WITHOUT_INDEXING = """
DROP TRIGGER documents_posting_added ON documents_posting;
DROP TRIGGER documents_posting_removed ON documents_posting;
DROP FUNCTION documents_count_postings_v1;
DROP FUNCTION documents_index_passages_v1;
DROP FUNCTION documents_impact_v1;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("documents", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Term",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("lexeme", models.TextField(unique=True, verbose_name="lexeme")),
                ("passage_count", models.IntegerField(default=0, verbose_name="passages")),
            ],
            options={"verbose_name": "term", "verbose_name_plural": "terms"},
        ),
        migrations.CreateModel(
            name="Posting",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "term", "passage", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "term",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="documents.term",
                    ),
                ),
                ("impact", models.FloatField(verbose_name="impact")),
                (
                    "passage",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="documents.passage",
                    ),
                ),
            ],
            options={"verbose_name": "posting", "verbose_name_plural": "postings"},
        ),
        migrations.CreateModel(
            name="EvaluationRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("collection", models.CharField(max_length=100, verbose_name="collection")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="at"),
                ),
                (
                    "embedding_model",
                    models.CharField(max_length=120, verbose_name="embedding model"),
                ),
                ("document_count", models.PositiveIntegerField(verbose_name="documents")),
                ("passage_count", models.PositiveIntegerField(verbose_name="passages")),
                ("question_count", models.PositiveIntegerField(verbose_name="questions")),
                ("figures", models.JSONField(verbose_name="figures")),
                ("parameters", models.JSONField(verbose_name="parameters")),
            ],
            options={"verbose_name": "evaluation", "verbose_name_plural": "evaluations"},
        ),
        migrations.AlterField(
            model_name="passage",
            name="audience",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.audience",
            ),
        ),
        migrations.AddIndex(
            model_name="passage",
            index=models.Index(fields=["audience", "is_serving"], name="passage_readable"),
        ),
        migrations.RunSQL(COVERING_KEY, PLAIN_KEY),
        migrations.RunSQL((SQL / "index_v1.sql").read_text(), WITHOUT_INDEXING),
        migrations.RunSQL((SQL / "search_v1.sql").read_text(), "DROP FUNCTION documents_search_v1;"),
    ]
