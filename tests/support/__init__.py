"""Fixtures of all tests, one file per kind; `tests/conftest.py` names them."""
