"""Changes of documents reach the caches: through the outbox, and by the generations of those who read them."""

from pathlib import Path

from django.db import migrations

from apps.caching.triggers import Invalidates, outbox_triggers

SQL = Path(__file__).parent.parent / "sql"

DOCUMENT = "documents:document:1"
PAGES = "documents:pages:1"
PAGE_STARTS = "documents:page-starts:1"
DEPARTMENTS = "documents:departments:1"
NAME = "documents:name:1"

# Old and new rows stand together: one that appears twice has not changed in these columns.
RUN = """SELECT ARRAY[document_id::text] FROM changed
    GROUP BY id, document_id, state, step, done_count, total_count, step_start_count, step_started_at, cost_nanos, error_code,
        created_at
    HAVING count(*) = 1"""
PERSON = "SELECT ARRAY['person', id::text] FROM changed GROUP BY id, full_name, email HAVING count(*) = 1"
# A window shows 15 pages and knows the number of the next one.
WINDOWS = """SELECT ARRAY[version_id::text, first::text]
    FROM changed, generate_series(greatest(1, number - 15), number + 15) first"""
MEMBERS = """SELECT ARRAY[m.user_id::text] FROM changed c
    JOIN accounts_membership m ON m.department_id = c.id"""
READERS = """SELECT ARRAY[d.id::text] FROM changed c
    JOIN documents_document d ON d.audience_id = c.audience_id"""

WITHOUT_GENERATIONS = """
DROP TRIGGER documents_document_removed_v1 ON documents_document;
DROP TRIGGER documents_document_changed_v1 ON documents_document;
DROP TRIGGER documents_embedding_changed_v1 ON documents_passageembedding;
DROP TRIGGER documents_embedding_added_v1 ON documents_passageembedding;
DROP TRIGGER documents_passage_removed_v1 ON documents_passage;
DROP TRIGGER documents_passage_changed_v1 ON documents_passage;
DROP TRIGGER documents_passage_added_v1 ON documents_passage;
DROP FUNCTION documents_document_removed_v1;
DROP FUNCTION documents_document_changed_v1;
DROP FUNCTION documents_embedding_written_v1;
DROP FUNCTION documents_passage_removed_v1;
DROP FUNCTION documents_passage_changed_v1;
DROP FUNCTION documents_passage_added_v1;
DROP FUNCTION documents_move_generations_v1;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("documents", "0003_runs_and_names"),
        ("accounts", "0002_outbox"),
        ("caching", "0001_initial"),
    ]

    operations = [
        outbox_triggers(
            "documents_document", [Invalidates(DOCUMENT, "SELECT ARRAY[id::text] FROM changed")]
        ),
        outbox_triggers(
            "documents_documentversion",
            [Invalidates(DOCUMENT, "SELECT ARRAY[document_id::text] FROM changed")],
        ),
        outbox_triggers("documents_ingestrun", [Invalidates(DOCUMENT, RUN)]),
        outbox_triggers(
            "documents_page",
            [
                Invalidates(PAGES, WINDOWS, events=("UPDATE",)),
                Invalidates(
                    PAGE_STARTS, "SELECT ARRAY[version_id::text] FROM changed", events=("UPDATE",)
                ),
            ],
        ),
        # What is shown of people, their departments and their sharing beside documents.
        outbox_triggers(
            "accounts_audiencemember", [Invalidates(DOCUMENT, READERS)], by="documents"
        ),
        outbox_triggers("accounts_user", [Invalidates(NAME, PERSON)], by="documents"),
        outbox_triggers(
            "accounts_membership",
            [Invalidates(DEPARTMENTS, "SELECT ARRAY[user_id::text] FROM changed")],
            by="documents",
        ),
        outbox_triggers(
            "accounts_department",
            [
                Invalidates(NAME, "SELECT ARRAY['department', id::text] FROM changed"),
                Invalidates(DEPARTMENTS, MEMBERS),
            ],
            by="documents",
        ),
        migrations.RunSQL((SQL / "generations_v1.sql").read_text(), WITHOUT_GENERATIONS),
    ]
