"""Pages and endpoints of documents; whatever a person may not read, or not manage, answers 404."""
