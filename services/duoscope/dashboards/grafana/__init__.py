"""Dashboards of Grafana: read from its JSON of schema 12 to 42 and of v2, with a report on each part, and written.

Everything here takes JSON from strangers: `reading` takes what has the right type, and leaves what has not.
"""
