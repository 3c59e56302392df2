"""Lets the tests here share their requests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
