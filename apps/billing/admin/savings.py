"""What was saved, what an investment returned, and the tags of costs."""
