"""What an operator does from the command line, and what the first start makes."""
