"""The tables of limits and reasons in docs/operations.md are those of the code."""

import re
from dataclasses import asdict
from pathlib import Path

from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.kernel.ingest_reasons import EXPLANATIONS

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def test_limits():
    section = OPERATIONS.split("### What a tenant may send", 1)[1]
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", section, re.MULTILINE)
    assert {name: int(value.replace(",", "")) for name, value in rows} == asdict(IngestLimits())


def test_reasons():
    table = OPERATIONS.split("| reason | items that are left out |", 1)[1]
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \|$", table.split("\n\n", 1)[0], re.MULTILINE))
    assert rows == {
        reason: text.format(**{name: f"`{name}`" for name in asdict(IngestLimits())})
        for reason, text in EXPLANATIONS.items()
    }


def test_the_example_of_the_setting_is_taken():
    (example,) = re.findall(r'DUOSCOPE_INGEST_LIMITS="([^"]+)"', OPERATIONS)
    assert IngestLimits.parse(example) != IngestLimits()
