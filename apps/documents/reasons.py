"""Why a file was refused or a run failed, in words for the person who uploaded it."""

from datetime import datetime
from typing import Final

from django.utils import formats, timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.billing.calendar import zone
from apps.documents.parsing.types import Refusal

MISSING_FILE: Final = "missing_file"
NO_EMBEDDING_MODEL: Final = "no_embedding_model"
EMBEDDING_FAILED: Final = "embedding_failed"
OVER_BUDGET: Final = "over_budget"
GAVE_UP: Final = "gave_up"
INTERNAL: Final = "internal"

_MESSAGES: Final[dict[str, str | Promise]] = {
    Refusal.ENCRYPTED: _(
        "This file is protected by a password. Save it without one and upload it again."
    ),
    Refusal.DAMAGED: _(
        "This file is damaged and cannot be read. Open and save it anew, then upload it again."
    ),
    Refusal.EMPTY: _("This file is empty."),
    Refusal.NO_TEXT: _(
        "There is no text in this file, only pictures of it perhaps. Scans need text recognition before the upload."
    ),
    Refusal.TOO_LARGE: _("This file is larger than what may be uploaded here."),
    Refusal.TOO_MUCH_TEXT: _(
        "This file holds more text than one document may. Divide it and upload the parts."
    ),
    Refusal.WRONG_TYPE: _(
        "The content of this file is not what its name says. Check the ending of the name."
    ),
    Refusal.UNSUPPORTED: _(
        "Files of this type can't be read. PDF, Word, PowerPoint, Excel, HTML, Markdown, text and CSV can."
    ),
    Refusal.BOMB: _("This file unpacks to far more than its size. It is refused for safety."),
    Refusal.BAD_NAME: _(
        "This file's name cannot be used. Give it a plain name and upload it again."
    ),
    Refusal.TOO_SLOW: _("Reading this file took too long. Divide it or save it in a simpler form."),
    MISSING_FILE: _("The uploaded file is no longer in the store. Upload it again."),
    NO_EMBEDDING_MODEL: _(
        "No model for embeddings is switched on. Ask an operator, then try again."
    ),
    EMBEDDING_FAILED: _(
        "The embedding model could not be reached or refused the text. Try again later."
    ),
    OVER_BUDGET: _(
        "Reading it further could cost more than its budget has left. It goes on by itself as soon as more is granted: "
        "its owner can ask for that under “My usage”."
    ),
    GAVE_UP: _("The work was interrupted too often. Try again."),
    INTERNAL: _(
        "Something went wrong on our side. Try again, and tell an operator if it stays so."
    ),
}
_NO_USE_TO_RETRY: Final = frozenset(Refusal) | {MISSING_FILE}


def message(code: str) -> str:
    """Return the sentence for a reason, empty for none."""
    return str(_MESSAGES.get(code, gettext("It failed for an unknown reason."))) if code else ""


def waiting_for_budget(refills_at: str) -> str:
    """Return the sentences for a run that its budget has stopped; `refills_at` is in ISO format, empty for never."""
    if not refills_at:
        return message(OVER_BUDGET)
    moment = timezone.localtime(datetime.fromisoformat(refills_at), zone())
    return gettext(
        "Reading it further could cost more than its budget has left. It goes on by itself on %(moment)s, or as soon as "
        "more is granted: its owner can ask for that under “My usage”."
    ) % {"moment": formats.date_format(moment, "DATETIME_FORMAT")}


def can_retry(code: str) -> bool:
    """Say whether trying again could help: a damaged file stays damaged."""
    return code not in _NO_USE_TO_RETRY
