"""Ids that sort by the time they were made."""

from uuid import UUID

from uuid_utils.compat import uuid7 as _uuid7


def uuid7() -> UUID:
    """Return a new UUID version 7 (RFC 9562): time-ordered, for whatever appears in a URL, a request or the ledger."""
    return _uuid7()
