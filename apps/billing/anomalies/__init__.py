"""Unexpected cost: what was expected, how unlikely the rest is, what it consists of, and who is told."""
