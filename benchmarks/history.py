"""A day of telemetry of five tenants of unequal size, made in ClickHouse: real requests, then copies of their rows.

The first slice of the day is sent over OTLP, so that every table has what ingest writes. Its rows are copied into the
other slices with other ids and later times, and counters go on. `history.json` in the data folder says how far it is: a
run that was stopped goes on from there.
"""

import asyncio
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.fairness import admin
from benchmarks.ingest import CALLS, send, server, wait_until_quiet
from benchmarks.payloads import BUILDERS, SERVICES, attribute, resource_of
from duoscope.kernel.settings import Settings
from duoscope.stores.clickhouse import SchemaAccount

SHARES: Final = (0.6, 0.2, 0.1, 0.07, 0.03)
DAY_S: Final = 86_400
NS: Final = 10**9
ITEMS: Final = 1000
COUNTERS: Final = tuple(f"shop.requests.{n}" for n in range(8))
GAUGES: Final = ("shop.queue.depth", "shop.memory.used")
PODS: Final = 50
"""Of a service of the largest tenant: a counter has a thousand series there."""
SLOPE: Final = 10
TIMES_OF_A_SLICE: Final = 20
_TIME: Final = "timestamp + toIntervalNanosecond({shift}) AS timestamp"
_COUNTED: Final = (
    "if(metric_type = 'counter', value + {grown}, value) AS value, "
    "if(since_start = -9223372036854775808, since_start, since_start + {shift}) AS since_start"
)


def _other(column: str, size: int) -> str:
    """SQL of another id in each slice; none stays none."""
    none = f"toFixedString('', {size})"
    made = f"toFixedString(substring(MD5(concat({column}, '{{k}}')), 1, {size}), {size})"
    return f"if({column} = {none}, {column}, {made}) AS {column}"


@dataclass(frozen=True)
class Tenant:
    """One of the five, with a key that sends and one that reads."""

    tenant_id: str
    api_key: str
    read_key: str
    share: float


@dataclass
class History:
    """How far it is, and what it is of."""

    start_ns: int
    spans: int
    records: int
    points: int
    tenants: list[Tenant] = field(default_factory=list)
    copies: dict[str, int] = field(default_factory=dict)
    is_sent: bool = False

    @property
    def slices(self) -> dict[str, int]:
        """Of the day, by signal."""
        series = sum(pods_of(tenant.share) for tenant in self.tenants) * len(SERVICES) * len(COUNTERS + GAUGES)
        return {
            "traces": max(1, self.spans // 100_000),
            "logs": max(1, self.records // 100_000),
            "metrics": max(1, round(self.points / series / TIMES_OF_A_SLICE)),
        }

    def save(self, data_dir: Path) -> None:
        """Write it beside the data."""
        new = data_dir / "history.json.new"
        new.write_text(json.dumps(asdict(self)))
        new.rename(data_dir / "history.json")


def pods_of(share: float) -> int:
    """The pods of a service of a tenant."""
    return max(1, round(PODS * share / SHARES[0]))


def load(data_dir: Path) -> History | None:
    """What an earlier run left, if anything."""
    path = data_dir / "history.json"
    if not path.exists():
        return None
    found = json.loads(path.read_text())
    return History(**found | {"tenants": [Tenant(**tenant) for tenant in found["tenants"]]})


def fill(data_dir: Path, spans: int, records: int, points: int) -> History:
    """Make the day, or the rest of it."""
    history = load(data_dir)
    if history is None:
        start_ns = (time.time_ns() - DAY_S * NS) // (900 * NS) * 900 * NS
        history = History(start_ns, spans, records, points)
    if not history.is_sent:
        with server(data_dir) as (process, credentials):
            if not history.tenants:
                history.tenants = [_tenant(data_dir, number, share) for number, share in enumerate(SHARES, 1)]
                history.save(data_dir)
            endpoint = credentials["otlp_grpc_endpoint"]
            for tenant in history.tenants:
                for signal, call in CALLS.items():
                    asyncio.run(send(endpoint, tenant.api_key, call, _first(history, tenant, signal), 16))
            wait_until_quiet(process)
        history.is_sent = True
        history.save(data_dir)
    _copy(data_dir, history)
    return history


def _tenant(data_dir: Path, number: int, share: float) -> Tenant:
    tenant_id = admin(data_dir, "create-tenant", f"history-{number}")["tenant_id"]
    made = [
        admin(data_dir, "create-api-key", "--tenant", tenant_id, *options)["api_key"]
        for options in (
            (),
            ("--allow", "logs:read", "--allow", "traces:read", "--allow", "metrics:read"),
        )
    ]
    return Tenant(tenant_id, *made, share)


def _first(history: History, tenant: Tenant, signal: str) -> list[bytes]:
    length_ns = DAY_S * NS // history.slices[signal]
    if signal == "metrics":
        return _points(history, tenant, length_ns)
    count = max(1, round(100 * tenant.share))
    return [
        BUILDERS[signal](ITEMS, seed=n, now_ns=history.start_ns + n * length_ns // count).SerializeToString()
        for n in range(count)
    ]


def _points(history: History, tenant: Tenant, length_ns: int) -> list[bytes]:
    """A request a time: a point of each series."""
    requests = []
    for moment in range(TIMES_OF_A_SLICE):
        request, at = ExportMetricsServiceRequest(), history.start_ns + moment * length_ns // TIMES_OF_A_SLICE
        for service in SERVICES:
            for pod in range(pods_of(tenant.share)):
                scope = request.resource_metrics.add(resource=resource_of(service, pod)).scope_metrics.add()
                for number, name in enumerate(COUNTERS):
                    total = scope.metrics.add(name=name, unit="1").sum
                    total.is_monotonic, total.aggregation_temporality = True, 2
                    point = total.data_points.add(
                        time_unix_nano=at,
                        start_time_unix_nano=history.start_ns - NS,
                        as_double=SLOPE * (moment + 1) + pod,
                    )
                    point.attributes.extend([attribute("http.route", f"/r{(number + pod) % 10}")])
                for name in GAUGES:
                    gauge = scope.metrics.add(name=name, unit="By").gauge
                    gauge.data_points.add(time_unix_nano=at, as_double=(pod * 37 + moment * 11) % 1000)
        requests.append(request.SerializeToString())
    return requests


def _copy(data_dir: Path, history: History) -> None:
    """Copy the first slice of every signal into the others."""
    account = SchemaAccount.open(Settings(data_dir=data_dir))
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    try:
        with Progress(*columns) as progress:
            for signal, table, replaced in (
                (
                    "traces",
                    "traces_v3",
                    f"{_TIME}, {_other('trace_id', 16)}, {_other('span_id', 8)}, {_other('parent_span_id', 8)}",
                ),
                ("logs", "logs_v3", f"{_TIME}, {_other('trace_id', 16)}, {_other('span_id', 8)}"),
                ("metrics", "number_points", f"{_TIME}, {_COUNTED}"),
            ):
                slices = history.slices[signal]
                task = progress.add_task(table, total=slices - 1, completed=history.copies.get(signal, 0))
                for k in range(history.copies.get(signal, 0) + 1, slices):
                    _copy_slice(account, history, signal, table, replaced, k)
                    history.copies[signal] = k
                    history.save(data_dir)
                    progress.advance(task)
                _check(account, history, signal, table)
            _catalogues(account, history)
            history.save(data_dir)
    finally:
        account.close()


def _copy_slice(  # noqa: PLR0917 - one INSERT
    account: SchemaAccount, history: History, signal: str, table: str, replaced: str, k: int
) -> None:
    length_ns = DAY_S * NS // history.slices[signal]
    values = {"k": k, "shift": k * length_ns, "grown": k * TIMES_OF_A_SLICE * SLOPE}
    ids = ", ".join(f"'{tenant.tenant_id}'" for tenant in history.tenants)
    start = f"fromUnixTimestamp64Nano({history.start_ns}, 'UTC')"
    account.execute(
        # In a condition, a name alone means what takes the column's place.
        f"INSERT INTO {table} SELECT * REPLACE ({replaced.format(**values)}) FROM {table} AS first "
        f"WHERE tenant_id IN ({ids}) AND first.timestamp >= {start} "
        f"AND first.timestamp < {start} + toIntervalNanosecond({length_ns}) SETTINGS "
        f"insert_deduplication_token = 'history-{signal}-{k}', max_threads = 2, max_memory_usage = 6000000000, "
        "max_partitions_per_insert_block = 1000"
    )


def _check(account: SchemaAccount, history: History, signal: str, table: str) -> None:
    """Raise RuntimeError if a slice has other rows than the first."""
    length_ns = DAY_S * NS // history.slices[signal]
    ids = ", ".join(f"'{tenant.tenant_id}'" for tenant in history.tenants)
    found = account.query(
        f"SELECT intDiv(toUnixTimestamp64Nano(timestamp) - {history.start_ns}, {length_ns}) AS slice, count() "
        f"FROM {table} WHERE tenant_id IN ({ids}) GROUP BY slice HAVING slice < {history.slices[signal]}"
    )
    counts = {count for _, count in found}
    if len(found) != history.slices[signal] or len(counts) != 1:
        raise RuntimeError(f"{table} has slices of {sorted(counts)} rows, {len(found)} in all: remove the folder")


def _catalogues(account: SchemaAccount, history: History) -> None:
    """What says who is there: of every day and half hour that now has items, and values by quarters."""
    if history.copies.get("catalogues"):
        return
    ids = ", ".join(f"'{tenant.tenant_id}'" for tenant in history.tenants)
    first, end = history.start_ns // NS, history.start_ns // NS + DAY_S
    for day in range(first // DAY_S, (end - 1) // DAY_S + 1):
        date = f"toDate({day})"
        from_, to = max(first, day * DAY_S), min(end, (day + 1) * DAY_S)
        seen = sum(
            1 << half
            for half in range(48)
            if from_ < day * DAY_S + (half + 1) * 1800 and day * DAY_S + half * 1800 < to
        )
        account.execute(
            f"INSERT INTO metric_series SELECT * REPLACE ({date} AS date, toUInt64({seen}) AS seen) FROM metric_series "
            f"WHERE tenant_id IN ({ids})"
        )
        account.execute(
            f"INSERT INTO telemetry_catalogue SELECT * REPLACE ({date} AS date) FROM telemetry_catalogue AS each "
            f"WHERE tenant_id IN ({ids}) AND each.date != {date}"
        )
    for signal in ("traces", "logs"):
        slices = history.slices[signal]
        account.execute(
            "INSERT INTO field_values SELECT each.* REPLACE (toStartOfFifteenMinutes(quarter + "
            f"intDiv({DAY_S} * k, {slices})) AS quarter) FROM field_values AS each CROSS JOIN "
            f"(SELECT number + 1 AS k FROM numbers({slices - 1})) AS copies "
            f"WHERE tenant_id IN ({ids}) AND signal = '{signal}' "
            f"AND each.quarter < toDateTime({first + DAY_S // slices + 900}, 'UTC') "
            f"SETTINGS insert_deduplication_token = 'history-values-{signal}'"
        )
    # Merges that a day would have had time for: a series has a row a day, however often its points came.
    account.execute("OPTIMIZE TABLE metric_series FINAL")
    history.copies["catalogues"] = 1
