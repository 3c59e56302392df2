"""APIs of other products, for the tools that use them."""
