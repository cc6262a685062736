"""The admin pages of money, a module for each kind."""

from apps.billing.admin import anomalies, budgets, calls, costs, ledger, months, prices, savings

__all__ = ["anomalies", "budgets", "calls", "costs", "ledger", "months", "prices", "savings"]
