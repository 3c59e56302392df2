"""What PostgreSQL holds: one module per resource, with its SQL and its types; functions take an open transaction.

The modules `columns`, `conflicts`, `listing`, `redaction` and `removal` are what these share.
"""
