"""The tables of limits and reasons in docs/operations.md are those of the code."""

import re
from dataclasses import asdict
from pathlib import Path

import pytest

from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.telemetry.usage.reasons import CUTS, EXPLANATIONS, REFUSALS

RECEIVER = Path(__file__).parents[2] / "services" / "duoscope" / "receiver"
OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def test_limits():
    section = OPERATIONS.split("### What a tenant may send", 1)[1].split("\n#", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", section, re.MULTILINE)
    assert {name: int(value.replace(",", "")) for name, value in rows} == asdict(IngestLimits())


@pytest.mark.parametrize(
    ("heading", "explained"),
    [
        ("items that are left out", EXPLANATIONS),
        ("items that are kept with less", CUTS),
        ("requests that are refused", REFUSALS),
    ],
)
def test_reasons(heading, explained):
    table = OPERATIONS.split(f"| reason | {heading} |", 1)[1]
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \|$", table.split("\n\n", 1)[0], re.MULTILINE))
    assert rows == {
        reason: text.format(**{name: f"`{name}`" for name in asdict(IngestLimits())})
        for reason, text in explained.items()
    }


def test_there_are_words_for_every_code():
    """Every code that the receiver names in a string, but for those that reach nobody with a valid key."""
    before = {"api-key-missing", "headers-too-large", "malformed-http", "method-not-allowed", "not-found", "spooling"}
    before |= {"ingest-folder-in-use", "invalid-settings", "too-many-connections"}
    code = r'(?:code=f?|ErrorKind\.\w+,\s*|_limited\(f?)"([a-z{}-]+)"'
    named = {name for path in RECEIVER.glob("*.py") for name in re.findall(code, path.read_text()) if "{" not in name}
    assert {"items-limited", "receiver-busy", "request-too-large"} <= set(REFUSALS)
    assert named - before <= set(REFUSALS)


def test_the_example_of_the_setting_is_taken():
    (example,) = re.findall(r'DUOSCOPE_INGEST_LIMITS="([^"]+)"', OPERATIONS)
    assert IngestLimits.parse(example) != IngestLimits()
