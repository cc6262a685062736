"""Parley on one machine: its parts as children of one process. Django is not imported here.

Beside the settings this package alone reads environment variables: it makes those that the
settings then read.
"""
