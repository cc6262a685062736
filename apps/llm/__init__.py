"""Providers, models, routes and prompts; the one door to every model call."""
