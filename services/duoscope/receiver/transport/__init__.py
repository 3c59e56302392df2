"""OTLP over gRPC and HTTP: bytes in, statuses out."""
