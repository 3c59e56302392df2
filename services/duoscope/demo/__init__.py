"""A small fleet of pretend services, for people who want to see data before they have sent any of their own.

`fleet` says what the services do and plays requests through them; `sender` turns what happened into spans, log records
and metric points with the OpenTelemetry SDK and its exporters. Needs the extra `demo`.
"""
