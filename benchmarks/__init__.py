"""What the documentation claims, measured: each module here runs by itself and prints what it saw."""
