"""OTLP in: gRPC and HTTP, one generic path for all signals. See `ingest.py` for the way of a request."""
