"""In which currency and time zone the ledger is kept."""

from django.conf import settings

from apps.billing.errors import BookError
from apps.billing.models import Book, LedgerEntry


def open_book() -> None:
    """Keep the ledger in the currency and time zone of the settings; once it has entries, both stay.

    Raises:
        BookError: the settings name others than the ledger's.
    """
    asked = {"currency": settings.BILLING_CURRENCY, "time_zone": settings.BILLING_TIME_ZONE}
    book, _made = Book.objects.get_or_create(id=1, defaults=asked)
    kept = {"currency": book.currency, "time_zone": book.time_zone}
    if kept == asked:
        return
    if LedgerEntry.objects.exists():
        raise BookError(
            f"the ledger is kept in {book.currency} and {book.time_zone}: set BILLING_CURRENCY and"
            " BILLING_TIME_ZONE to these"
        )
    Book.objects.update(**asked)
