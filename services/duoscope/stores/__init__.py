"""The two stores: private pools and clients, handed out as handles that know their scope."""
