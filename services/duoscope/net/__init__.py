"""Addresses, ports, TLS, and outgoing requests that cannot reach internal networks."""
