"""Messages outward, through an outbox that outlives the process."""
