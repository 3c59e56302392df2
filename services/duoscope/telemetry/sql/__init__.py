"""Relations that several readings print from: SQL over scoped views, whose values are bound by whoever prints it."""
