"""The periodic work of a process: one driver runs it, watches it and reports on it."""
