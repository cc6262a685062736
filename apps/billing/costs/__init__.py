"""What was spent: totals of the calls, their upkeep, and the figures of cost screens."""
