"""Outgoing messages, through an outbox that survives the process."""
