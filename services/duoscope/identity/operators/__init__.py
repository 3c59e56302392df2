"""The operator's commands, and the first start."""
