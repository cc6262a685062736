"""Answers kept for later askers: by the very question (exact) and by a question like it (semantic)."""
