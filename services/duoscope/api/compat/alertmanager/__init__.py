"""Alertmanager's API v2 below `/api/v1/alertmanager`, over one tenant's alerts: for amtool, Grafana's Alertmanager data
source, and Prometheus and others that send alerts.

Paths, bodies and answers are Alertmanager's (https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml);
errors are problem details.
"""

from duoscope.api.compat.alertmanager import alerts, silences, status

ROUTES = (*status.ROUTES.handlers, *alerts.ROUTES.handlers, *silences.ROUTES.handlers)
