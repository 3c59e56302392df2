"""Fixtures of all tests, one file a kind; `tests/conftest.py` names them."""
