"""docs/security.md names tests that exist, answers every line, and lists all that it says is not met."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "security.md").read_text()
_CELL = r"\s*([^|\n]*?)\s*\|"
_ROW = re.compile(rf"^\| ([\d.]+[^|\n]*?) \|{_CELL} (met|not met|n/a) \|{_CELL}{_CELL}$", re.MULTILINE)
# Level 1 and 2 requirements of ASVS 5.0.0, by section: how many there are.
REQUIREMENTS = {
    "3.2": 2, "3.3": 4, "3.4": 6, "3.5": 5, "3.7": 2,
    "6.1": 3, "6.2": 12, "6.3": 4, "6.4": 4, "6.5": 5, "6.6": 3, "6.8": 4,
    "7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 2, "7.6": 2,
    "8.1": 2, "8.2": 3, "8.3": 1, "8.4": 1, "9.1": 3, "9.2": 4,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([\w/]+\.py(?:::\w+)?)`", PAGE))))
def test_a_named_test_exists(name):
    if name.startswith("services/"):
        return
    path, _, test = name.partition("::")
    assert (TESTS / path).exists()
    assert re.search(rf"^(async )?def {test}\(", (TESTS / path).read_text(), re.MULTILINE) or not test


@pytest.mark.parametrize("section", REQUIREMENTS)
def test_every_requirement_is_answered(section):
    rows = [row for row in _ROW.findall(PAGE) if row[0].startswith(f"{section}.")]
    assert [row[0] for row in rows] == [f"{section}.{number}" for number in range(1, REQUIREMENTS[section] + 1)]
    for number, _, answer, how, test in rows:
        assert how.strip() or test.strip(), number
        assert answer != "met" or "`" in test, f"{number} is met: by which test?"


def test_what_is_not_met_is_gathered_at_the_end():
    end = PAGE[PAGE.index("## Not met") :]
    gathered = {number for cell in re.findall(r"^\| (\d[\d., ]*) \|", end, re.MULTILINE) for number in cell.split(", ")}
    assert gathered == {row[0] for row in _ROW.findall(PAGE) if row[2] == "not met"}
