"""APIs of other systems, for the tools that speak them."""
