"""What a provider's address may look like."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".svc")


def is_private_host(host: str) -> bool:
    """Say whether the host is this machine or one of a private network, judged by its name alone."""
    try:
        address = ip_address(host)
    except ValueError:
        # A name without a dot is a container's or a machine's of the own network.
        return "." not in host or host.endswith(PRIVATE_SUFFIXES)
    return address.is_loopback or (address.is_private and not address.is_link_local)


def validate_base_url(url: str) -> None:
    """Check a provider's base URL: https, or http within the private network, and nothing secret in it.

    Link-local addresses are refused: cloud machines keep their credentials behind one.

    Raises:
        ValidationError: it may not be used.
    """
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValidationError(_("This is not a URL."), code="invalid") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise ValidationError(_("Enter a URL that starts with https://."), code="invalid")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValidationError(
            _("Keys do not belong in the URL: use the key's own field."), code="secret"
        )
    if _is_link_local(host):
        raise ValidationError(_("Link-local addresses are not allowed."), code="link_local")
    if parts.scheme == "http" and not is_private_host(host):
        raise ValidationError(
            _("Outside the private network only https is allowed."), code="plain_http"
        )


def _is_link_local(host: str) -> bool:
    try:
        return ip_address(host).is_link_local
    except ValueError:
        return False
