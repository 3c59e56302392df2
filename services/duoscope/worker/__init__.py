"""Background work that belongs to no request: mail, purges, copies of the audit log."""
