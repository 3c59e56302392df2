"""One module per resource: its SQL and its types. Functions take an open transaction and never a connection."""
