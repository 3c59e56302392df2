"""What is on disk between a request and ClickHouse."""
