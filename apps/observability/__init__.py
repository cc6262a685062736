"""Health, profiling, stage times and metrics."""
