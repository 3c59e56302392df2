"""Prometheus' HTTP API below `/api/v1/prom`, over one tenant's metrics: for Grafana, promtool and other PromQL clients.

Requests, answers and errors are the same as Prometheus' (https://prometheus.io/docs/prometheus/latest/querying/api/).
"""

from duoscope.api.compat.prometheus import alerting, metadata, queries

ROUTES = (*queries.ROUTES, *metadata.ROUTES, *alerting.ROUTES)
