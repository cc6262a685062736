"""Checks what the chat pages send."""

from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.chat.models import Conversation

QUESTION_CHARACTERS = 20_000
MAX_CHOSEN = 200


class UUIDListField(forms.Field):
    """A repeated field of UUIDs."""

    widget = forms.MultipleHiddenInput

    def clean(self, value: Any) -> list[UUID]:
        """Return the UUIDs, in order."""
        texts = list(value or ())
        if len(texts) > MAX_CHOSEN:
            raise forms.ValidationError(
                _("Choose at most %(count)d documents.") % {"count": MAX_CHOSEN}
            )
        try:
            return [UUID(text) for text in texts]
        except ValueError as error:
            raise forms.ValidationError(_("This is no document.")) from error


class ReplyForm(forms.Form):
    """A question."""

    content = forms.CharField(
        max_length=QUESTION_CHARACTERS,
        error_messages={
            "required": _("Write a question first."),
            "max_length": _(
                "This is longer than %(limit_value)d characters. Shorten it, or upload it as a document."
            ),
        },
    )
    idempotency_key = forms.UUIDField()
    conversation = forms.UUIDField(required=False)
    parent = forms.CharField(required=False, max_length=36)
    department = forms.UUIDField(required=False)
    sources = forms.ChoiceField(choices=Conversation.Sources.choices, required=False)
    documents = UUIDListField(required=False)

    def clean_parent(self) -> str:
        """Return the reply's id the question follows, "root" for a new first question, "" for the branch shown.

        The page sends the field always: empty in a conversation it means a first question asked anew.
        """
        parent = str(self.cleaned_data["parent"])
        if not parent and "parent" in self.data and self.data.get("conversation"):
            return "root"
        if parent in {"", "root"}:
            return parent
        try:
            return str(UUID(parent))
        except ValueError as error:
            raise forms.ValidationError(_("This is no message.")) from error


class PriceForm(ReplyForm):
    """What stands in the composer; nothing is posted."""

    content = forms.CharField(required=False, max_length=QUESTION_CHARACTERS)
    # Not asked for here.
    idempotency_key = None  # type: ignore[assignment]
    documents = None  # type: ignore[assignment]


class RegenerateForm(forms.Form):
    """A wish for another answer."""

    idempotency_key = forms.UUIDField()


class FeedbackForm(forms.Form):
    """A judgement; an empty `is_positive` takes it back."""

    is_positive = forms.TypedChoiceField(
        choices=(("", ""), ("1", "1"), ("0", "0")),
        required=False,
        coerce=lambda text: text == "1",
        empty_value=None,
    )
    reason = forms.ChoiceField(
        choices=[
            (reason, reason) for reason in ("WRONG", "SOURCES", "INCOMPLETE", "UNCLEAR", "OTHER")
        ],
        required=False,
    )
    comment = forms.CharField(required=False, max_length=2000)


class UpdateForm(forms.Form):
    """A conversation's new title or place; only what is sent is changed."""

    title = forms.CharField(required=False, max_length=200)
    is_archived = forms.TypedChoiceField(
        choices=(("", ""), ("1", "1"), ("0", "0")),
        required=False,
        coerce=lambda text: text == "1",
        empty_value=None,
    )


def first_error(form: forms.Form) -> str:
    """Return the first thing that is wrong, as a sentence."""
    return str(next(iter(form.errors.values()))[0])
