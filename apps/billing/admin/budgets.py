"""Budgets, their increases, and what people ask for."""
