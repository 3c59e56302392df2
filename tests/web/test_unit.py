"""The UI's own unit tests, which run in Node.js."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.node
def test_the_unit_tests_of_the_ui_pass():
    try:
        done = subprocess.run(
            [sys.executable, str(ROOT / "services/web/build.py"), "test"],
            capture_output=True, text=True, check=False, timeout=500,
        )  # fmt: skip
    except OSError as error:
        pytest.skip(f"no Node.js: {error}")
    if "There is no Node.js" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
