"""Series as ClickHouse stores them: their points, labels, names and exemplars."""
