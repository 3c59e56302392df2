"""Test data that is not part of the repository: beside the checkout, or where DUOSCOPE_TEST_SHARED says."""

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


def shared(*parts: str) -> Path:
    """A file or folder of it; the calling test is skipped where it is absent."""
    places = [Path(os.environ.get("DUOSCOPE_TEST_SHARED", "")), _ROOT.parent / "shared", _ROOT.parent.parent / "shared"]
    for place in places:
        if place.parts and place.joinpath(*parts).exists():
            return place.joinpath(*parts)
    pytest.skip(f"{'/'.join(parts)} is not here; DUOSCOPE_TEST_SHARED says where")
