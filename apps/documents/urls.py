"""The URLs of documents."""

from django.urls import path

from apps.documents import views

app_name = "documents"

urlpatterns = [
    path("", views.document_list, name="list"),
    path("upload/", views.upload, name="upload"),
    path("events/", views.events, name="events"),
    path("people.json", views.people, name="people"),
    path("<uuid:document_id>/", views.detail, name="detail"),
    path("<uuid:document_id>/pages/", views.pages, name="pages"),
    path("<uuid:document_id>/original/", views.original, name="original"),
    path("<uuid:document_id>/update/", views.update, name="update"),
    path("<uuid:document_id>/delete/", views.delete, name="delete"),
    path("<uuid:document_id>/reindex/", views.reindex, name="reindex"),
    path("<uuid:document_id>/retry/", views.retry, name="retry"),
]
