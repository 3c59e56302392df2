"""Alerts: rules, the life of an instance, evaluation and what happened."""
