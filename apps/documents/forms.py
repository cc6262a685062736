"""What people send about documents, made into choices the services understand."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Department, User
from apps.documents.types import Named, Sharing, Visibility

SHARING_CHOICES = (
    (Sharing.ME.value, _("Only me")),
    (Sharing.PEOPLE.value, _("Named people")),
    (Sharing.DEPARTMENT.value, _("A department")),
    (Sharing.EVERYONE.value, _("Everyone")),
)


class TagsField(forms.CharField):
    """Words divided by commas, as a list."""

    def clean(self, value: Any) -> list[str]:
        return [tag.strip() for tag in super().clean(value).split(",") if tag.strip()]


class VisibilityForm(forms.Form):
    """Who may read a document."""

    visibility = forms.ChoiceField(
        label=_("Visible to"), choices=SHARING_CHOICES, initial=Sharing.ME.value
    )
    department = forms.ModelChoiceField(
        label=_("Department"), queryset=Department.objects.none(), required=False, empty_label=None
    )
    people = forms.ModelMultipleChoiceField(
        label=_("People"), queryset=User.objects.filter(is_active=True), required=False
    )

    def __init__(
        self,
        *args: Any,
        user: User,
        shared_with: Department | None = None,
        departments: Sequence[Named] | None = None,
        **kwargs: Any,
    ) -> None:
        """Make the form; what is sent is checked against the database, `departments` are those a page shows."""
        super().__init__(*args, **kwargs)
        self._departments = departments
        choosable = Department.objects.payable_by(user)
        if shared_with is not None:
            # A head who is in no other of the document's departments must be able to leave it as it is.
            choosable = choosable | Department.objects.filter(pk=shared_with.pk)
        department: Any = self.fields["department"]
        department.queryset = choosable.order_by("name").distinct()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("visibility") == Sharing.DEPARTMENT and not cleaned.get("department"):
            self.add_error("department", _("Choose the department."))
        if cleaned.get("visibility") == Sharing.PEOPLE and not cleaned.get("people"):
            self.add_error("people", _("Name at least one person."))
        return cleaned

    @property
    def departments(self) -> Sequence[Any]:
        """Return the departments to choose from; a queryset remembers what it read."""
        department: Any = self.fields["department"]
        return department.queryset if self._departments is None else self._departments

    def shown(self) -> list[object]:
        """Return what a page shows of the form."""
        return [
            self["visibility"].value(),
            self["department"].value(),
            [(choice.pk, choice.name) for choice in self.departments],
        ]

    def chosen(self) -> Visibility:
        """Return the choice of a valid form."""
        sharing = Sharing(self.cleaned_data["visibility"])
        return Visibility(
            sharing=sharing,
            department=self.cleaned_data["department"] if sharing is Sharing.DEPARTMENT else None,
            people=list(self.cleaned_data["people"]) if sharing is Sharing.PEOPLE else [],
        )


class UploadForm(VisibilityForm):
    """One file, who may read it, and who pays."""

    file = forms.FileField(label=_("File"), allow_empty_file=True)
    paying_department = forms.ModelChoiceField(
        label=_("Paid by"), queryset=Department.objects.none(), required=False, empty_label=None
    )
    tags = TagsField(label=_("Tags"), required=False)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, user=user, **kwargs)
        paying: Any = self.fields["paying_department"]
        paying.queryset = Department.objects.payable_by(user)


class DetailsForm(forms.Form):
    """A document's name and tags; what is not sent stays as it is."""

    name = forms.CharField(label=_("Name"), required=False, max_length=255)
    tags = TagsField(label=_("Tags"), required=False)
