"""The decoder's C files include one another in one direction: by folder, and header by header."""

import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

DECODER = Path(__file__).parents[2] / "services" / "duoscope" / "receiver" / "decoder"
INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)

STATE = {"decoder.h", "reading.h", "types.h"}
"""What all that works on a request may know; decoder.h includes the states of its parts in turn."""

MAY_INCLUDE = {
    "wire": {"wire"},
    "columns": {"wire", "columns"},
    "json": {"wire", "json", "types.h", "values/numbers.h"},
    "values": {"wire", "columns", "values", *STATE},
    "rows": {"wire", "columns", "values", "rows", *STATE},
    "counts": {"wire", "columns", "values", "rows", "counts", *STATE},
}
"""By folder, the folders and files that its own may include."""


def includes():
    """The files that each file includes, both from the decoder's folder."""
    return {
        str(path.relative_to(DECODER)): INCLUDE.findall(path.read_text("utf-8"))
        for path in sorted(DECODER.rglob("*.[ch]"))
    }


def arrows_upward(included):
    """Files that include what their folder does not know."""
    for path, others in included.items():
        allowed = MAY_INCLUDE.get(path.split("/")[0])
        for other in others:
            if allowed is not None and not {other, other.split("/")[0]} & allowed:
                yield f"{path} must not include {other}"


def test_folders_know_those_below_them():
    assert not list(arrows_upward(includes()))
    assert {path.split("/")[0] for path in includes() if "/" in path} == MAY_INCLUDE.keys()


def test_no_header_comes_back_to_itself():
    headers = {path: others for path, others in includes().items() if path.endswith(".h")}
    assert headers.keys() >= {other for others in headers.values() for other in others}, "included from elsewhere"
    tuple(TopologicalSorter(headers).static_order())


def test_the_rules_can_fail():
    assert list(arrows_upward({"wire/wire.h": ["columns/table.h"]}))
    assert list(arrows_upward({"json/tokens.c": ["decoder.h"]}))
    with pytest.raises(CycleError):
        tuple(TopologicalSorter({"a.h": ["b.h"], "b.h": ["a.h"]}).static_order())
