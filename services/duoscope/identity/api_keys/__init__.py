"""API keys of machines: their form, management, and verification at ingest speed."""
