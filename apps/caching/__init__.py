"""The store behind every cached value."""
