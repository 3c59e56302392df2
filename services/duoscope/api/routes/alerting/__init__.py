"""Routes of alert rules and of what they found."""
