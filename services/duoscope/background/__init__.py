"""All periodic work of a process: one driver runs it, watches it and tells of it."""
