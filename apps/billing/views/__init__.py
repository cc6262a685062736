"""The pages of cost in the web UI; whatever a person may not see answers 404."""
