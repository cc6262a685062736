"""Months of money: what each department owes for one, frozen when it closes, and handed out as page, CSV and FOCUS."""
