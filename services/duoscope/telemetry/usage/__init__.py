"""What a tenant sent: how much was stored, what was rejected and why, which series there are."""
