"""Unexpected cost, and the alerts that were sent."""
