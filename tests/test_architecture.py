"""What the import contracts cannot see: the direction of foreign keys, admin pages and help texts for every model."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import models

from apps.core.admin import ReadOnlyAdmin

LAYERS = [
    "core",
    "tuning",
    "caching",
    "accounts",
    "billing",
    "llm",
    "documents",
    "chat",
    "observability",
]
_TEXT = "the text of documents is for those who may read them"
_CACHE = "read on the pages of the caches; rows by the million, or gone within a second"
_WORKING = "rows of the index, by the million and without meaning to a person"
_TOTALS = "sums by the hundred thousand, shown on the cost pages"
WITHOUT_ADMIN = {
    "Page": _TEXT,
    "Passage": _TEXT,
    "PassageEmbedding": _WORKING,
    "EmbeddingClaim": _WORKING,
    "Term": _WORKING,
    "Posting": _WORKING,
    "AccessLog": _CACHE,
    "AccessMinute": _CACHE,
    "ProcessReport": _CACHE,
    "InvalidationOutbox": _CACHE,
    "HourlyCost": _TOTALS,
    "DailyCost": _TOTALS,
    "DepartmentCost": _TOTALS,
    "DepartmentHourCost": _TOTALS,
    "OrganisationCost": _TOTALS,
    "MemberCost": _TOTALS,
    "PersonWeekCost": _TOTALS,
    "SavingMonth": _TOTALS,
    "MonthlyCost": _TOTALS,
    "PersonCost": _TOTALS,
    "PersonDayCost": _TOTALS,
    "PersonMonthlyCost": _TOTALS,
    "Book": "one row that follows the settings until the first entry",
}

OURS = [model for model in apps.get_models() if model.__module__.startswith("apps.")]


def test_foreign_keys_point_down_the_stack() -> None:
    wrong = [
        f"{model.__name__}.{field.name}"
        for model in OURS
        for field in model._meta.get_fields()
        if isinstance(field, models.ForeignKey | models.ManyToManyField)
        and field.related_model is not get_user_model()
        and LAYERS.index(field.related_model._meta.app_label) > LAYERS.index(model._meta.app_label)
    ]
    assert not wrong


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_model_has_a_searchable_admin_page(model: type[models.Model]) -> None:
    if model.__name__ in WITHOUT_ADMIN:
        assert not admin.site.is_registered(model)
        return
    page = admin.site._registry[model]
    assert page.search_fields
    assert len(page.list_display) > 1


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_field_an_operator_edits_explains_itself(model: type[models.Model]) -> None:
    page = admin.site._registry.get(model)
    if page is None or isinstance(page, ReadOnlyAdmin):
        return
    silent = [
        field.name
        for field in model._meta.fields
        if field.editable
        and not field.auto_created
        and field.name not in (page.exclude or ())
        and field.name not in page.readonly_fields
        and not field.help_text
        and field.name not in {"password", "last_login"}
    ]
    assert not silent


def test_no_model_orders_itself() -> None:
    assert [model.__name__ for model in OURS if model._meta.ordering] == []
