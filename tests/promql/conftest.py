"""Where test data is that is not part of the repository: beside the checkout, or where DUOSCOPE_TEST_SHARED says."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

_ROOT = Path(__file__).parents[2]


def shared(*parts: str) -> Path:
    """A file or folder of what is shared between checkouts; the calling test is skipped where it is absent."""
    places = [Path(os.environ.get("DUOSCOPE_TEST_SHARED", "")), _ROOT.parent / "shared", _ROOT.parent.parent / "shared"]
    for place in places:
        if place.parts and place.joinpath(*parts).exists():
            return place.joinpath(*parts)
    pytest.skip(f"{'/'.join(parts)} is not here; DUOSCOPE_TEST_SHARED says where")


@pytest.fixture(name="shared")
def _shared():
    return shared
