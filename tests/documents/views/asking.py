"""Requests to the views of documents, as a person's browser makes them."""

from typing import Any

from django.test import Client
from django.urls import reverse

from apps.accounts.models import User


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def send(client: Client, method: str, name: str, /, *arguments: Any, **data: Any) -> Any:
    return getattr(client, method)(reverse(f"documents:{name}", args=arguments), data)
