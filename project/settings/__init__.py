"""Settings, one module per way of running; only these read the environment."""
