"""Test data outside the repository: beside the checkout, or where SHARED_TEST_DATA says."""

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


def shared(*parts: str) -> Path:
    """A file or folder of it; skips the calling test if it does not exist."""
    places = [Path(os.environ.get("SHARED_TEST_DATA", "")), _ROOT.parent / "shared", _ROOT.parent.parent / "shared"]
    for place in places:
        if place.parts and place.joinpath(*parts).exists():
            return place.joinpath(*parts)
    pytest.skip(f"{'/'.join(parts)} is not here; SHARED_TEST_DATA says where")
