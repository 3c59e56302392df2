"""Addresses, ports, TLS, and requests outward that cannot reach what they must not."""
