"""The web UI: its files, built from services/web/, and how browsers get them."""
