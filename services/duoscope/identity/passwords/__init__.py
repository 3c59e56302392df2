"""Passwords: hashing, and which may be chosen."""
