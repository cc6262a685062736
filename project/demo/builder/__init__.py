"""Writes the demo documents from `sources/`; needs the dev dependencies and never runs in production."""
