"""Prometheus' HTTP API below `/api/v1/prom`, over one tenant's metrics: for Grafana, promtool and whatever asks PromQL.

Requests, answers and errors are as Prometheus' (https://prometheus.io/docs/prometheus/latest/querying/api/).
"""

from duoscope.api.compat.prometheus import metadata, queries

ROUTES = (*queries.ROUTES, *metadata.ROUTES)
