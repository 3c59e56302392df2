"""Relations that several queries share: SQL over scoped views, whose parameters the caller binds."""
