"""Reads of telemetry: the search language, and queries over logs, traces, metrics and services for one tenant."""
