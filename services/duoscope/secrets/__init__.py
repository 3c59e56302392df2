"""Key material of the process, and the encryption of secrets that must be read again."""
