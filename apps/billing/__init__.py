"""Prices, reservations and usage records: what every call cost and who pays."""
