"""Filters of chat's templates."""
