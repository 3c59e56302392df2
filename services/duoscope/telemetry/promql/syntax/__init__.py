"""What an expression says: its text becomes a tree, and the tree JSON."""
