"""Who may send how much, and the memory that requests may hold."""
