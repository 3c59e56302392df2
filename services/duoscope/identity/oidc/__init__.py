"""Logging in through an organization's OpenID provider."""
