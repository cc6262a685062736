"""Upload, ingestion, passages and retrieval."""
