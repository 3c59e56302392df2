"""Users and machines, and what they may do: passwords, tokens, sessions, API keys, permissions."""
