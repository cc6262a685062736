"""What may be spent: the state of budgets, requests for more, and how a refusal is put."""
