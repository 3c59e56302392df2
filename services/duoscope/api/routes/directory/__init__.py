"""Routes of organizations, users, keys and the audit log."""
