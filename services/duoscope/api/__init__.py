"""The HTTP API: a Litestar app over the stores, one route module a resource."""
