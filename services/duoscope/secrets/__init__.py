"""Key material of the process, and the sealing of secrets that must be read again."""
