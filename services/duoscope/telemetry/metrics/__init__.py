"""Metrics: queries over points, distributions and rollups, and their exemplars."""
