"""URLs of the account pages that are ours; sign-in and reset are allauth's."""

from django.urls import path

from apps.accounts import views

app_name = "accounts"

urlpatterns = [
    path("profile/", views.profile, name="profile"),
    path("first-operator/<str:token>/", views.first_operator, name="first-operator"),
]
