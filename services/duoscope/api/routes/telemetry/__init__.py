"""Routes that read telemetry."""
