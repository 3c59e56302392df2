"""The HTTP API: a Litestar app over the stores, one route module per resource."""
