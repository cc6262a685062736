"""The registry of tunable parameters, their revisions and the live snapshot."""
