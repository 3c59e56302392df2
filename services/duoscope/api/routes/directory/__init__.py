"""Routes of organizations, people, keys and the audit log."""
