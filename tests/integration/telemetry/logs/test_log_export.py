"""Files of log records: what a search finds, in its order, with nothing cut."""

import io
import json

import pyarrow.parquet
import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.telemetry import log_export, logs
from duoscope.telemetry.times import TimeRange, unix_nano

_START_NS = (now_unix_nano() // (3600 * 10**9) - 2) * 3600 * 10**9
HOUR = TimeRange(_START_NS, _START_NS + 3600 * 10**9)
_IN_URL = f"start={HOUR.start_ns}&end={HOUR.end_ns}"


@pytest.fixture
async def scope(deliver, otlp, new_scope, monkeypatch):
    monkeypatch.setattr(log_export, "SEARCH_LIMIT_MAX", 7)  # several pages
    made = new_scope()
    bodies = [{"a": [1, None]}, "text", 5, 2.5, True, b"\x00", None, "x" * 100_000, "ünï\n"]
    records = [
        {
            "time_unix_nano": HOUR.start_ns + n // 2,
            "observed_time_unix_nano": HOUR.start_ns + n if n % 2 else 0,
            "body": body,
            "severity_number": n,
            "trace_id": b"t" * 16 if n % 3 else b"",
            "attributes": {"n": n, "half": n / 2, "list": ["a", 1]},
        }
        for n, body in enumerate([*bodies, *bodies])
    ]
    await deliver(made, otlp.logs("shop", *records))
    return made


@pytest.mark.parametrize("limit", [1, 14, 18, 1000])
async def test_lines_of_json(api, telemetry_store, scope, limit):
    headers = await api.headers(scope)
    whole = (await logs.search(telemetry_store.bind(scope), HOUR, limit=1000, whole=True)).items
    answer = await api.client.get(f"/api/v1/logs/export?limit={limit}&{_IN_URL}", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["duoscope-matched"] == "18"
    assert answer.headers["duoscope-truncated"] == ("true" if limit < 18 else "false")
    lines = answer.text.split("\n")
    assert lines.pop() == ""
    assert [json.loads(line)["id"] for line in lines] == [record.id for record in whole[:limit]]
    assert [json.loads(line)["body"] for line in lines] == [record.body for record in whole[:limit]]
    assert all(json.loads(line)["truncated"] == [] for line in lines)


async def test_parquet(api, telemetry_store, scope):
    headers = await api.headers(scope)
    whole = (await logs.search(telemetry_store.bind(scope), HOUR, "severity>3", limit=1000, whole=True)).items
    answer = await api.client.get(f"/api/v1/logs/export?format=parquet&query=severity>3&{_IN_URL}", headers=headers)
    assert answer.status_code == 200
    file = pyarrow.parquet.ParquetFile(io.BytesIO(answer.content))
    assert file.num_row_groups == 2
    table = file.read()
    rows = table.drop_columns(["timestamp", "observed_timestamp"]).to_pylist()
    assert [row["id"] for row in rows] == [record.id for record in whole]
    times = table.column("timestamp").cast("int64").to_pylist()
    assert times == [unix_nano(record.timestamp, "t") for record in whole]
    for row, record in zip(rows, whole, strict=True):
        assert json.loads(row["attributes"]) == record.attributes
        assert json.loads(row["resource"])["attributes"] == record.resource.attributes
        assert row["body"] == record.body or json.loads(row["body"]) == record.body
        assert (row["trace_id"], row["severity_number"]) == (record.trace_id, record.severity_number)


async def test_an_empty_file_and_refusals(api, new_scope):
    headers = await api.headers(new_scope())
    empty = await api.client.get("/api/v1/logs/export", headers=headers)
    assert (empty.status_code, empty.content, empty.headers["duoscope-matched"]) == (200, b"", "0")
    empty = await api.client.get("/api/v1/logs/export?format=parquet", headers=headers)
    assert pyarrow.parquet.read_table(io.BytesIO(empty.content)).num_rows == 0
    for bad in ("format=csv", "limit=0", "limit=1000001", "query=(", "start=x"):
        assert (await api.client.get(f"/api/v1/logs/export?{bad}", headers=headers)).status_code == 400, bad
