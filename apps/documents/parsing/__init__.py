"""Readers of the supported formats, one module per kind; they run in a child process and know nothing of Django."""
