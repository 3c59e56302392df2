"""The two stores: private pools and clients, handed out as handles that are bound to a scope."""
