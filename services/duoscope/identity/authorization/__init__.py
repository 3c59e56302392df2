"""What may be permitted, and who may do what."""
