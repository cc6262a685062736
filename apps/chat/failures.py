"""Why a reply failed, in words for the person who asked, by the code kept with the message."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from apps.billing.errors import BudgetExceededError
from apps.llm import errors

INTERRUPTED = "interrupted"
LOST = "lost"
NO_MODEL = "no_model"
BUSY = "provider_busy"
UNREACHABLE = "provider_unreachable"
REFUSED = "provider_refused"
TOO_LONG = "context_too_long"
OVER_BUDGET = "over_budget"
INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Failure:
    """What to tell, and whether the same question could succeed when asked again; the budget that refused it, if one."""

    message: str
    can_retry: bool
    budget_id: str = ""


def explain(code: str) -> Failure:
    """Return the words for a code; an unknown one gets the general ones."""
    texts = {
        INTERRUPTED: _(
            "Parley was restarted while it was answering. What had arrived is kept; try again."
        ),
        LOST: _("The answer was lost when its process ended. What had arrived is kept; try again."),
        NO_MODEL: _("No model is set up for answers. An operator can add one in the admin."),
        BUSY: _("The model is overloaded at the moment. Wait a little, then try again."),
        UNREACHABLE: _("The model could not be reached or broke off. Try again."),
        REFUSED: _(
            "The model refused the request. An operator should look at its provider's settings."
        ),
        TOO_LONG: _(
            "This is too long for the model. Shorten the question or start a new conversation."
        ),
        # Replaced by the budget's own words, which are kept with the reply.
        OVER_BUDGET: _("A budget has no room for this question. Try again when it has refilled."),
    }
    message = texts.get(code, _("Something went wrong on our side. It has been noted; try again."))
    return Failure(message=message, can_retry=code != TOO_LONG)


def code_of(error: Exception) -> str:
    """Return the code of what broke a reply off; INTERNAL for what nobody foresaw."""
    codes: tuple[tuple[type[Exception], str], ...] = (
        (BudgetExceededError, OVER_BUDGET),
        (errors.NoModelError, NO_MODEL),
        (errors.ContextTooLongError, TOO_LONG),
        (errors.OverloadedError, BUSY),
        (errors.RetryableError, UNREACHABLE),
        (errors.PermanentError, REFUSED),
    )
    return next((code for kind, code in codes if isinstance(error, kind)), INTERNAL)
