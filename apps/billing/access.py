"""Who may see which cost: the one place of these rules (who may raise a budget: budgets/approvers.py).

- A person sees what was spent for them, whoever paid, also after they left the department that did.
- A head sees what a department they head now has paid: amounts, people, models and times, never what was said.
- Operators see cost in the admin; on these pages they are people like others, but for requests they may decide on.
"""

from uuid import UUID

from django.db.models import Q, QuerySet

from apps.accounts.models import Department, User
from apps.billing.budgets import approvers
from apps.billing.models import Budget, BudgetRequest, Statement, UsageRecord


def headed_departments(user: User) -> QuerySet[Department]:
    """Return the departments the person heads now, by name; none for somebody deactivated."""
    if not user.is_active:
        return Department.objects.none()
    headed = user.memberships.heads().values("department_id")
    return Department.objects.filter(pk__in=headed).order_by("name")


def visible_calls(user: User) -> QuerySet[UsageRecord]:
    """Return the calls made for the person, and those a department they head has paid."""
    return UsageRecord.objects.filter(
        Q(user=user) | Q(department__in=[one.pk for one in headed_departments(user)])
    )


def conversation_of_call(user: User, record: UsageRecord) -> UUID | None:
    """Return the conversation the person may open from this call: only one of their own."""
    return record.conversation_id if record.user_id == user.pk else None


def caps_of(department: Department) -> QuerySet[Budget]:
    """Return the caps of single people below this department's budget; for its heads only."""
    return Budget.objects.filter(
        department=department, user__isnull=False, api_key__isnull=True, is_enabled=True
    )


def budgets_of(department: Department) -> QuerySet[Budget]:
    """Return the budgets of the department as a whole and of its keys; for its heads only."""
    return Budget.objects.filter(
        Q(department=department) | Q(department__isnull=True, api_key__department=department),
        user__isnull=True,
        is_enabled=True,
    )


def visible_requests(user: User) -> QuerySet[BudgetRequest]:
    """Return the requests the person made, and those they may decide on or might have decided on."""
    if user.is_active and user.is_operator:
        return BudgetRequest.objects.all()
    decidable = Budget.objects.filter(approvers.decidable_by(user))
    return BudgetRequest.objects.filter(Q(asker=user) | Q(budget__in=decidable.values("pk")))


def visible_statements(user: User) -> QuerySet[Statement]:
    """Return the statements of the departments the person heads."""
    return Statement.objects.filter(department__in=headed_departments(user))


def asks_of(department: Department) -> Q:
    """Return which requests are for a budget of this department, as a filter of requests."""
    return Q(budget__department=department) | Q(
        budget__department__isnull=True, budget__api_key__department=department
    )
