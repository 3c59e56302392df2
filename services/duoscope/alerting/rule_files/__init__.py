"""Rules as others write them: Prometheus' rule files, `PrometheusRule`, Grafana's provisioning, promtool's unit tests.

`documents` reads YAML of strangers, `groups` and `grafana` find rules in it, `conversion` makes ours of them.
"""
