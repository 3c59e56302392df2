"""Explains every query that an isolation test runs in ClickHouse: it must select its rows by the tenant."""

import re
import time

import pytest
from pyotp.totp import TOTP

from duoscope.stores.clickhouse import TelemetryReader

_explained: set[str] = set()
TOTP_LEFT_MIN_S = 5
_SOURCE = re.compile(r"ReadFromMergeTree \((\S+)\)")


def _sources(plan: list[str]) -> dict[str, set[str]]:
    """The keys by which each stored table is read, from the lines of EXPLAIN indexes = 1."""
    found: dict[str, set[str]] = {}
    table, in_keys = "", False
    for line in plan:
        text = line.strip(" │├└─")
        if source := _SOURCE.search(text):
            table = source[1]
            found.setdefault(table, set())
        if text.endswith("PrimaryKey"):
            in_keys = True
        elif text.startswith("Condition:"):
            in_keys = False
        elif in_keys and text in {"workspace_id", "tenant_id"}:
            found[table].add(text)
    return found


@pytest.fixture(autouse=True)
async def queries(monkeypatch):
    """The queries during the test: name, SQL, parameters, reader."""
    asked = []
    run = TelemetryReader.query

    async def query(self, sql, parameters=None, *, name, settings=None):
        if not sql.startswith("EXPLAIN"):
            asked.append((name, sql, parameters, self))
        return await run(self, sql, parameters, name=name, settings=settings)

    monkeypatch.setattr(TelemetryReader, "query", query)
    yield asked
    for name, sql, parameters, reader in asked:
        if sql in _explained:
            continue
        _explained.add(sql)
        plan = await run(reader, f"EXPLAIN indexes = 1 {sql}", parameters, name="test")
        sources = _sources([row["explain"] for row in plan])
        for table, keys in sources.items():
            assert keys == {"workspace_id", "tenant_id"}, f"{name} reads all of {table}:\n{sql}"


@pytest.fixture(scope="session")
def totp_code():
    """The code of an authenticator: never one that may expire before it is checked."""

    def code(secret: str) -> str:
        left_s = 30 - time.time() % 30
        if left_s < TOTP_LEFT_MIN_S:
            time.sleep(left_s)
        return TOTP(secret).now()

    return code
