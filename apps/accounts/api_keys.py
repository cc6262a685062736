"""API keys: made, given a new secret, and found by it. Of a secret only the hash is kept; it is shown once.

A secret reads `parley_<prefix>_<random>`: the prefix finds the row, the whole proves it. The random part has 256 bits,
so a plain SHA-256 is as strong as a slow hash and costs a call nothing.
"""

import hashlib
import hmac
import secrets
import string

from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from apps.accounts.models import ApiKey, Department, Membership, User
from apps.accounts.services import AccountsError

BRAND = "parley"
PREFIX_CHARACTERS = 12
RANDOM_BYTES = 32
_ALPHABET = string.ascii_lowercase + string.digits
# What a secret of no known prefix is compared with, so that it takes as long as another.
_NO_HASH = bytes(hashlib.sha256().digest_size)


class NotAMemberError(AccountsError):
    """A key is for those who belong to the department that pays."""


def issue(*, owner: User, department: Department, name: str) -> tuple[ApiKey, str]:
    """Make a key and return it with its secret, which nobody can read again.

    Raises:
        NotAMemberError: the owner is switched off or not in the department.
    """
    key = ApiKey(owner=owner, department=department, name=name)
    secret = prepare(key)
    key.save(force_insert=True)
    return key, secret


def prepare(key: ApiKey) -> str:
    """Give an unsaved key its prefix and hash, and return its secret.

    Raises:
        NotAMemberError: as `issue`.
    """
    check_owner(owner=key.owner, department=key.department)
    key.prefix = "".join(secrets.choice(_ALPHABET) for _place in range(PREFIX_CHARACTERS))
    secret = _secret(key.prefix)
    key.secret_hash = _hash(secret)
    return secret


def rotate(key: ApiKey) -> str:
    """Give a key a new secret and return it; the old one ends at once. Prefix, budgets and past cost stay the key's."""
    secret = _secret(key.prefix)
    key.secret_hash = _hash(secret)
    key.save(update_fields=["secret_hash"])
    return secret


def find(secret: str) -> ApiKey | None:
    """Return the key of this secret with its owner and department: one query, compared in constant time.

    None where it is wrong or switched off, or its owner is switched off or has left the department.
    """
    brand, _first, rest = secret.partition("_")
    prefix, _second, random = rest.partition("_")
    if brand != BRAND or not random or not set(prefix) <= set(_ALPHABET):
        return None
    belongs = Membership.objects.filter(
        user_id=OuterRef("owner_id"), department_id=OuterRef("department_id")
    )
    key = (
        ApiKey.objects.filter(prefix=prefix)
        .annotate(is_owner_member=Exists(belongs))
        .select_related("owner", "department")
        .first()
    )
    is_right = hmac.compare_digest(bytes(key.secret_hash) if key else _NO_HASH, _hash(secret))
    if key is None or not is_right:
        return None
    return key if key.is_active and key.owner.is_active and key.is_owner_member else None


def check_owner(*, owner: User, department: Department) -> None:
    """See that a key of this owner could be used.

    Raises:
        NotAMemberError: the owner is switched off or not in the department.
    """
    is_member = Membership.objects.filter(user=owner, department=department).exists()
    if not (owner.is_active and is_member):
        said = _("%(owner)s does not belong to %(department)s, or is switched off.")
        raise NotAMemberError(said % {"owner": owner, "department": department})


def _secret(prefix: str) -> str:
    return f"{BRAND}_{prefix}_{secrets.token_urlsafe(RANDOM_BYTES)}"


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
