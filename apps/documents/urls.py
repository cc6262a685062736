"""The URLs of documents."""

from django.urls import path

from apps.documents.views import changes, listing, reading, sharing

app_name = "documents"

urlpatterns = [
    path("", listing.document_list, name="list"),
    path("upload/", changes.upload, name="upload"),
    path("events/", listing.events, name="events"),
    path("people.json", sharing.people, name="people"),
    path("<uuid:document_id>/", reading.detail, name="detail"),
    path("<uuid:document_id>/pages/", reading.pages, name="pages"),
    path("<uuid:document_id>/original/", reading.original, name="original"),
    path("<uuid:document_id>/update/", changes.update, name="update"),
    path("<uuid:document_id>/delete/", changes.delete, name="delete"),
    path("<uuid:document_id>/reindex/", changes.reindex, name="reindex"),
    path("<uuid:document_id>/retry/", changes.retry, name="retry"),
]
