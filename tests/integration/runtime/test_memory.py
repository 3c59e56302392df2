"""What the process gives back to the system, beside the embedded engine."""

import subprocess
import sys

import pytest

_AFTER_START = """
from pathlib import Path
from chdb import session
from duoscope.runtime import memory

def resident(name):
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

engine = session.Session()
before, own = resident("Pss_File:"), resident("Pss_Anon:")
memory.forget_what_started()
after, still_own = resident("Pss_File:"), resident("Pss_Anon:")
print(before, after, own, still_own, engine.query("SELECT sum(number) FROM numbers(1000)"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux says what is resident")
def test_what_only_the_start_used_is_given_back_and_nothing_else():
    done = subprocess.run([sys.executable, "-c", _AFTER_START], capture_output=True, text=True, check=True)
    *kilobytes, answer = done.stdout.split()
    before, after, own, still_own = map(int, kilobytes)
    assert after < before / 2
    assert still_own > own * 0.9
    assert answer == "499500"
