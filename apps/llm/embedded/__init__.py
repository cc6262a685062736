"""The models Parley brings along, each in a server process of its own; no other module runs a model."""
