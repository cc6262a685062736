"""The lexical index's upkeep. Its rules are SQL (sql/index_v1.sql); searching it is `retrieval`."""

from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max

from apps.documents.models import Passage

# Short transactions: the counts of common terms stay locked until one ends.
SLICE_SIZE = 500


def index_version(version_id: UUID) -> None:
    """Index all passages of a version, in slices of a transaction each; indexed ones stay as they are.

    Removal needs no call: postings go with their passages.
    """
    last = Passage.objects.filter(version_id=version_id).aggregate(last=Max("ordinal"))["last"]
    for start in range(0, -1 if last is None else last + 1, SLICE_SIZE):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT documents_index_passages_v1(%s, %s, %s)",
                (version_id, start, start + SLICE_SIZE),
            )
