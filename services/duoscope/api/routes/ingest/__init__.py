"""Routes about what a tenant sent."""
