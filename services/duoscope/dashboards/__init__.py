"""Dashboards: the document, its variables and how they are filled in, and those of other products, in and out.

All of it are pure functions; what is stored is `metadata/dashboards.py`, and HTTP is in `api/routes/dashboards/`.
"""
