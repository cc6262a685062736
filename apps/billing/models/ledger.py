"""The book: whose currency and time zone it keeps, and every amount that moved; entries are only ever added."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Department
from apps.billing.querysets import LedgerEntryQuerySet
from apps.core.ids import uuid7


class Book(models.Model):
    """The one row that says in which currency and time zone the ledger is kept; fixed once it has an entry."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    currency = models.CharField(_("currency"), max_length=3)
    time_zone = models.CharField(_("time zone"), max_length=64)

    class Meta:
        verbose_name = _("book")
        verbose_name_plural = _("book")
        constraints = (models.CheckConstraint(condition=Q(id=1), name="book_once"),)

    def __str__(self) -> str:
        return f"{self.currency} · {self.time_zone}"


class LedgerEntry(models.Model):
    """One amount moved from one account to another: debit and credit are in the same row, so none can be missing.

    Accounts are named by kind and key: `department:<id>` (what a department owes for), `overdraft:<id>` (what its calls
    cost above their reservations), `provider:<code>` (what is owed to a provider), `adjustments` (the organisation).
    `booked_at` decides the month: the call's opening, or the moment of a correction.
    """

    class Kind(models.TextChoices):
        SETTLEMENT = "SETTLEMENT", _("Settlement")
        EXCESS = "EXCESS", _("Cost above the reservation")
        TRUE_UP = "TRUE_UP", _("Estimate put right")
        CORRECTION = "CORRECTION", _("Correction")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    reservation_id = models.UUIDField(_("call"), null=True)
    # The call's reservation holds the department already; a second check by the database would lock its row again.
    department = models.ForeignKey(
        Department,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    debit = models.CharField(_("debit"), max_length=80)
    credit = models.CharField(_("credit"), max_length=80)
    amount_nanos = models.BigIntegerField(_("amount"))
    booked_at = models.DateTimeField(_("booked for"))
    posted_at = models.DateTimeField(_("posted"))
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    reason = models.CharField(_("reason"), max_length=500, blank=True)

    objects = LedgerEntryQuerySet.as_manager()

    class Meta:
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger entries")
        constraints = (
            models.CheckConstraint(condition=Q(amount_nanos__gte=0), name="ledger_not_negative"),
            models.CheckConstraint(condition=~Q(debit=models.F("credit")), name="ledger_two_sides"),
            models.UniqueConstraint(
                fields=("reservation_id", "kind"),
                condition=Q(kind__in=("SETTLEMENT", "EXCESS", "TRUE_UP")),
                name="ledger_call_once",
            ),
        )
        indexes = (
            models.Index(
                fields=("department", "booked_at"),
                condition=~Q(kind="SETTLEMENT"),
                name="ledger_adjustments",
            ),
            models.Index(fields=("booked_at",), name="ledger_booked"),
            models.Index(fields=("department", "booked_at"), name="ledger_department"),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.debit} → {self.credit}"

    @property
    def effect_nanos(self) -> int:
        """Return what the entry adds to what its department owes: its debits add, its credits take away."""
        own = {f"department:{self.department_id}", f"overdraft:{self.department_id}"}
        return self.amount_nanos * ((self.debit in own) - (self.credit in own))
