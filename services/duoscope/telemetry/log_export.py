"""Log records as a file: all that a search finds, in its order, page by page, as lines of JSON or as Parquet."""

import asyncio
import importlib
import json
from collections.abc import AsyncGenerator
from typing import Any, Final, Literal

import msgspec

from duoscope.kernel.limits import SEARCH_LIMIT_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.stores.clickhouse.read_memory import reading
from duoscope.telemetry import items, logs
from duoscope.telemetry.language import Signal, compile_query
from duoscope.telemetry.logs import LogRecord
from duoscope.telemetry.times import TimeRange, unix_nano

ROWS_DEFAULT: Final = 10_000
ROWS_MAX: Final = 1_000_000

Format = Literal["ndjson", "parquet"]
MEDIA_TYPES: Final[dict[Format, str]] = {
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}


async def matched(reader: TelemetryReader, times: TimeRange, query: str) -> int:
    """Count what an export would have without a limit: what a search finds.

    Raises:
        DuoscopeError: INVALID for the query; UNAVAILABLE.
    """
    count = 0
    for or_text in (False, True):
        condition = compile_query(query, Signal.LOGS, or_text=or_text)
        where = TimeRange.CONDITION + (f" AND {condition.sql}" if condition else "")
        parameters = times.parameters | (condition.parameters if condition else {})
        sql = f"SELECT count() AS records FROM @logs WHERE {where}"
        count = (await reader.query(sql, parameters, name="logs.export_count"))[0]["records"]
        if count:
            break
    return count


async def export(
    reader: TelemetryReader, times: TimeRange, query: str, form: Format, *, limit: int = ROWS_DEFAULT
) -> AsyncGenerator[bytes]:
    """Yield the bytes of a file with the newest records that match, a page of them at a time.

    Raises:
        DuoscopeError: INVALID for the query or the limit; UNAVAILABLE; and what else a search raises, also midway.
    """
    items.checked_limit(limit, ROWS_MAX)
    encoder = await asyncio.to_thread(_Parquet) if form == "parquet" else _Lines()
    left, cursor = limit, None
    while True:
        # A page is let go before the next one is read, and so is the memory that it counts with.
        with reading():
            wanted = min(left, SEARCH_LIMIT_MAX)
            page = await logs.search(reader, times, query, limit=wanted, cursor=cursor, whole=True)
            content = await asyncio.to_thread(encoder.encoded, page.items)
        yield content
        left, cursor = left - len(page.items), page.next_cursor
        if not cursor or left <= 0:
            break
    if end := await asyncio.to_thread(encoder.end):
        yield end


class _Lines:
    """One JSON object a line, as a search has them."""

    def __init__(self) -> None:
        self._encoder = msgspec.json.Encoder()

    def encoded(self, records: list[LogRecord]) -> bytes:
        return self._encoder.encode_lines(records)

    def end(self) -> bytes:
        return b""


class _Parquet:
    """A Parquet file with a row group for each page."""

    def __init__(self) -> None:
        self._pyarrow: Any = importlib.import_module("pyarrow")  # takes longer to load than all of the rest
        parquet: Any = importlib.import_module("pyarrow.parquet")
        self._sink = _Sink()
        self._schema = _schema(self._pyarrow)
        self._writer = parquet.ParquetWriter(self._sink, self._schema, compression="zstd")

    def encoded(self, records: list[LogRecord]) -> bytes:
        if records:
            rows = [_row(record) for record in records]
            self._writer.write_table(self._pyarrow.Table.from_pylist(rows, schema=self._schema))
        return self._sink.taken()

    def end(self) -> bytes:
        self._writer.close()
        return self._sink.taken()


class _Sink:
    """A file that is only written to, whose bytes are taken out as they come."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self.closed = False

    def write(self, content: bytes) -> int:
        self._parts.append(bytes(content))
        self._size += len(content)
        return len(content)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """Does nothing: bytes are taken out."""

    def close(self) -> None:
        self.closed = True

    def taken(self) -> bytes:
        content, self._parts = b"".join(self._parts), []
        return content


def _schema(pa: Any) -> Any:
    time = pa.timestamp("ns", tz="UTC")
    columns = {
        "id": pa.string(),
        "timestamp": time,
        "observed_timestamp": time,
        "severity_number": pa.uint8(),
        "severity_text": pa.string(),
        "service_name": pa.string(),
        "body": pa.string(),
        "event_name": pa.string(),
        "trace_id": pa.string(),
        "span_id": pa.string(),
        "trace_flags": pa.uint32(),
        "attributes": pa.string(),
        "dropped_attributes_count": pa.uint32(),
        "resource": pa.string(),
        "scope": pa.string(),
    }
    return pa.schema(list(columns.items()))


def _row(record: LogRecord) -> dict[str, Any]:
    """A record as a row: what has no type of its own is JSON, but for a body that is a text."""
    row: dict[str, Any] = msgspec.structs.asdict(record)
    del row["truncated"]
    row["timestamp"] = int(record.id[:16], 16)
    seen = record.observed_timestamp
    row["observed_timestamp"] = None if seen is None else unix_nano(seen, "observed_timestamp")
    if not isinstance(record.body, str):
        row["body"] = json.dumps(record.body, ensure_ascii=False)
    for name in ("attributes", "resource", "scope"):
        row[name] = msgspec.json.encode(row[name]).decode()
    return row
