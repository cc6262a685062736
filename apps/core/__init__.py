"""Money, ids, time, request context, stages, base admin; no tables, no URLs."""
