"""Limits on what tenants send, and on the memory that requests hold."""
