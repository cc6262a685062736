"""Closed months, statements, and shared costs."""
