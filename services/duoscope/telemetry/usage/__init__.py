"""What a tenant sent: stored items, rejections with their reasons, and active series."""
