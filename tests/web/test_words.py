"""The words that the UI has for refusals."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
WEB = ROOT / "services" / "web"
_REFUSED_BY = re.compile(
    r"ErrorKind\.(?:UNAUTHENTICATED|FORBIDDEN|CONFLICT|RATE_LIMITED|UNAVAILABLE),\s*\"([a-z0-9-]+)\""
    r"|unavailable\([^)]*?code=\"([a-z0-9-]+)\"",
    re.DOTALL,
)
_ROOMS = ("api", "identity", "metadata", "alerting", "dashboards", "notification", "delivery", "telemetry")
"""Rooms whose refusals a browser gets."""


def test_every_code_of_a_refusal_has_its_own_words():
    words = set(re.findall(r'^  "?([a-z0-9-]+)"?:', (WEB / "api" / "words.ts").read_text("utf-8"), re.MULTILINE))
    codes = {
        code
        for room in _ROOMS
        for path in (ROOT / "services" / "duoscope" / room).rglob("*.py")
        for found in _REFUSED_BY.finditer(path.read_text("utf-8"))
        for code in found.groups()
        if code
    }
    assert len(codes) > 30
    assert sorted(codes - words) == []
