"""One module per kind of endpoint; only `llm` itself may import them."""
