"""Passwords: hashing, and the rules for choosing them."""
