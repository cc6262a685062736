"""Which passages are found, and by whom: the one place that switches versions and audiences of passages."""

from uuid import UUID

from apps.accounts.models import Audience
from apps.documents.cache import changed
from apps.documents.models import Document, Passage


def serve_version(document: Document, version_id: UUID) -> None:
    """Have a built version found from the transaction's end on; the passages of all others go.

    Old pages stay: citations point into them.
    """
    Passage.objects.filter(version__document=document).exclude(version_id=version_id).delete()
    Passage.objects.filter(version_id=version_id).update(is_serving=True)
    document.active_version_id = version_id
    document.status = Document.Status.READY
    document.save(update_fields=["active_version", "status"])
    changed(document.pk, document.audience_id)


def set_audience(document: Document, audience: Audience) -> None:
    """Have the document and its passages, also of a version being built, read by another audience."""
    changed(document.pk, document.audience_id, audience.pk)
    document.audience = audience
    document.save(update_fields=["audience"])
    Passage.objects.filter(version__document=document).update(audience=audience)
