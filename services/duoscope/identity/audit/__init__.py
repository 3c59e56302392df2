"""The audit log: how changes are recorded, and how its chains are verified."""
