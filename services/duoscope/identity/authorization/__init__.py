"""Permissions, and who holds them."""
