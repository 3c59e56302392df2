"""Outgoing messages, through an outbox that survives the process.

The text of a message stands beside the change that sends it, such as identity/authentication/notices.py.
"""
