"""What the composer tells before a question is sent: its expected price, and what is left of the budget that pays."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from apps.accounts import services as accounts
from apps.accounts.models import Department, User
from apps.billing.budgets.state import BudgetState, states
from apps.billing.calendar import zone
from apps.billing.models import Budget
from apps.chat import intent
from apps.chat.models import Conversation
from apps.chat.price_range import Asked, PriceRange, expected, is_searched
from apps.core.money import CURRENCY_SYMBOL, format_nanos
from apps.llm import routing
from apps.llm import services as llm
from apps.llm.errors import NoModelError
from apps.llm.models import LLMModel, Route
from apps.llm.types import Choice

# Beyond it the low end tells nothing: mostly it is a search that finds nothing to answer from.
WIDE_RATIO: Final = 20


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in the composer; `conversation` None: a new one, which `department_id` (None: the default) pays."""

    content: str
    sources: str
    is_follow_up: bool
    conversation: Conversation | None = None
    department_id: UUID | None = None


def told(user: User, typed: Typed) -> dict[str, Any]:
    """Return the words under the composer, and the amounts in nanos; `level` is "soft" or "over" near a limit.

    Budgets are read exactly; nothing of this is kept for anybody. Of everybody's budget only the share is told.

    Raises:
        Department.DoesNotExist: the department named is not one the person's chats may be paid by.
        NoDepartmentError: the person belongs to none, or no longer to the one that pays for the conversation.
    """
    budgets = states(department_id=_payer_id(user, typed), user_id=user.pk)
    is_frugal = any(_asks_for(state, Budget.AtLimit.CHEAPER_MODEL) for state in budgets)
    price = _price(typed, is_frugal=is_frugal)
    level = _level(budgets, price)
    return {
        "price": _price_words(price) if price and typed.content else "",
        "low_nanos": price.low_nanos if price else None,
        "high_nanos": price.high_nanos if price else None,
        "budget": _budget_words(budgets, level),
        "left_nanos": _left_nanos(budgets),
        "level": level,
    }


def _payer_id(user: User, typed: Typed) -> UUID:
    if typed.conversation is not None:
        payer = Department.objects.payable_by(user).filter(
            pk=typed.conversation.paying_department_id
        )
        if not payer.exists():
            # Nothing more can be asked in it, and what that department has left is for its members.
            raise accounts.NoDepartmentError
        return typed.conversation.paying_department_id
    if typed.department_id is None:
        return accounts.paying_department(user).pk
    return Department.objects.payable_by(user).get(pk=typed.department_id).pk


def _asks_for(state: BudgetState, what: Budget.AtLimit) -> bool:
    return state.at_limit == what and state.is_soft_reached


def _price(typed: Typed, *, is_frugal: bool) -> PriceRange | None:
    """Return the expected range; None where no model answers."""
    try:
        choice = llm.choose(Route.Use.ANSWER)
    except NoModelError:
        return None
    if is_frugal:
        choice = routing.cheapest(
            Route.Use.ANSWER, chosen=choice, max_input_tokens=0, max_output_tokens=0
        )
    talk = intent.small_talk(typed.content)
    if talk is not None and choice.grounding == LLMModel.Grounding.SENTENCES:
        return PriceRange(0, 0, is_learned=True)
    asked = Asked(
        characters=len(typed.content),
        is_follow_up=typed.is_follow_up,
        is_searched=is_searched(typed.sources, is_small_talk=talk is not None),
    )
    return expected(asked, choice=choice, embedding=_embedding() if asked.is_searched else None)


def _embedding() -> Choice | None:
    try:
        return llm.choose(Route.Use.EMBEDDING)
    except NoModelError:
        return None


def _level(budgets: list[BudgetState], price: PriceRange | None) -> str:
    if not budgets:
        return ""
    needed = max(price.low_nanos, 1) if price and price.high_nanos else 0
    if budgets[0].left_nanos < needed:
        return "over"
    return "soft" if any(state.is_soft_reached for state in budgets) else ""


def _price_words(price: PriceRange) -> str:
    low, high = format_nanos(price.low_nanos), format_nanos(price.high_nanos)
    if price.high_nanos == 0:
        return _("Costs nothing")
    if price.low_nanos * WIDE_RATIO < price.high_nanos:
        return _("Up to %(high)s") % {"high": high}
    if low == high:
        return _("About %(high)s") % {"high": high}
    return _("About %(low)s–%(high)s") % {
        "low": low.removesuffix(f" {CURRENCY_SYMBOL}"),
        "high": high,
    }


def _budget_words(budgets: list[BudgetState], level: str) -> str:
    if not budgets:
        return ""
    if level == "over":
        return _until(budgets[0], _("Budget used up until %(day)s"), _("Budget used up"))
    only_earlier = [state for state in budgets if _asks_for(state, Budget.AtLimit.CACHED_ONLY)]
    if only_earlier:
        return _until(
            only_earlier[0], _("Only earlier answers until %(day)s"), _("Only earlier answers")
        )
    return _until(budgets[0], _("%(left)s left until %(day)s"), _("%(left)s left"))


def _left_nanos(budgets: list[BudgetState]) -> int | None:
    return None if not budgets or budgets[0].is_everybodys else budgets[0].left_nanos


def _until(state: BudgetState, words: str, words_without_day: str) -> str:
    left = f"{state.left_percent} %" if state.is_everybodys else format_nanos(state.left_nanos)
    if state.refills_at is None:
        return words_without_day % {"left": left}
    if state.period == Budget.Period.DAY:
        return words % {"left": left, "day": _("tomorrow")}
    refills_at = timezone.localtime(state.refills_at, zone())
    return words % {"left": left, "day": date_format(refills_at, "MONTH_DAY_FORMAT")}
