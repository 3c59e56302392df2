"""Signing in, staying signed in and signing out: passwords, second factors, sessions and tokens."""
