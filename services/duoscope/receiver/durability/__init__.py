"""The data on disk between a request and ClickHouse."""
