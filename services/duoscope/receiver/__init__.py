"""The OTLP receiver: gRPC and HTTP, one generic path for all signals. See `ingest.py` for the path of a request."""
