"""Routes about ingest."""
