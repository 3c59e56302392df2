"""A small fleet of simulated services, for users who want to see data before they have sent any of their own.

`fleet` defines the services and plays requests through them; `sender` turns the calls into spans, log records and
metric points with the OpenTelemetry SDK and its exporters. Needs the extra `demo`.
"""
