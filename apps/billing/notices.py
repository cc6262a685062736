"""E-mail about money: to whom, in which words, and never from two processes at once."""

import logging
import smtplib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection
from django.db.models import Q, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation

from apps.accounts.models import Membership, User
from apps.billing.calendar import zone

logger = logging.getLogger(__name__)

# What could not be sent for so long is news no more.
RETRIED_FOR = timedelta(days=3)


def operators() -> QuerySet[User]:
    """Return the operators who can sign in."""
    return User.objects.filter(is_active=True, is_operator=True)


def heads(department_ids: Collection[UUID]) -> QuerySet[User]:
    """Return the heads of these departments who can sign in."""
    memberships = Membership.objects.heads().filter(department__in=department_ids)
    return User.objects.filter(Q(memberships__in=memberships), is_active=True).distinct()


def link(name: str, *arguments: object) -> str:
    """Return the whole address of a page, for a message; empty where the settings don't say where Parley is reached."""
    base = settings.PARLEY_BASE_URL
    return f"{base}{reverse(name, args=arguments)}" if base else ""


def send(*, template: str, context: dict[str, Any], recipients: Collection[User]) -> bool:
    """Send one message to these people, each of whom sees no other's address; say whether it was handed over.

    The template's first line is the subject. A failure is logged: the caller finds the message unsent and comes again.
    """
    addresses = sorted({person.email for person in recipients})
    if not addresses:
        return False
    with translation.override(settings.LANGUAGE_CODE), timezone.override(zone()):
        text = render_to_string(template, context).strip()
    subject, _newline, body = text.partition("\n")
    # A name may hold any kind of line end, and a header with one is refused.
    message = EmailMessage(" ".join(subject.split()), body.strip() + "\n", bcc=addresses)
    try:
        message.send()
    except (OSError, smtplib.SMTPException):
        logger.exception("a message about money could not be sent", extra={"template": template})
        return False
    return True


@contextmanager
def sender() -> Iterator[bool]:
    """Hold the right to send what is waiting; False while another process has it, which then sends it all."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext('billing_notices'))")
        [is_ours] = cursor.fetchone()
    try:
        yield is_ours
    finally:
        if is_ours:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtext('billing_notices'))")
