"""The addresses of chat."""

from django.urls import path

from apps.chat import streams, views

app_name = "chat"

urlpatterns = [
    path("", views.new, name="new"),
    path("list/", views.conversation_list, name="conversation-list"),
    path("search.json", views.palette, name="palette"),
    path("reply/", streams.reply, name="reply"),
    path("price/", views.price, name="price"),
    path("messages/<uuid:message_id>/regenerate/", streams.regenerate, name="regenerate"),
    path("messages/<uuid:message_id>/stream/", streams.stream, name="stream"),
    path("messages/<uuid:message_id>/stop/", streams.stop, name="stop"),
    path("messages/<uuid:message_id>/feedback/", views.feedback, name="feedback"),
    path("citations/<int:pk>/", views.citation, name="citation"),
    path("<uuid:pk>/", views.conversation_detail, name="conversation-detail"),
    path("<uuid:pk>/update/", views.conversation_update, name="conversation-update"),
    path("<uuid:pk>/tags/", views.cost_tags, name="cost-tags"),
    path("<uuid:pk>/delete/", views.conversation_delete, name="conversation-delete"),
    path("<uuid:pk>/export.<str:kind>", views.export_conversation, name="export"),
]
