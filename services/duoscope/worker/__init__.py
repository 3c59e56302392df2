"""Work that nobody asks for at the moment it is done: housekeeping now, evaluation and deliveries to come."""
