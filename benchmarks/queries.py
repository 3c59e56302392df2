"""How fast questions are answered, over HTTP, on a day of 20 million spans, as many log records, and 50 million points.

Fills a folder (`benchmarks/history.py`), which takes a while and can be stopped and gone on with; asks each question
once after a start (cold), then in rounds that take turns, so that a slow minute of the machine hits all alike. Prints
median and 95th percentile of the seconds that a client waits, CPU of the process, rows read, and what was promised, as
a table and a line of JSON. See `benchmarks/README.md`.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks import history
from benchmarks.fairness import quantile
from benchmarks.ingest import cpu_s, server, wait_until_quiet
from benchmarks.login import ready

NS: Final = 10**9


@dataclass(frozen=True)
class Question:
    """A request, and the milliseconds within which its median answer was promised, if any were."""

    name: str
    path: str
    ask: Mapping[str, Any]
    promised_ms: float | None = None
    is_body: bool = False


@dataclass
class Asked:
    """What was seen of a question."""

    question: Question
    cold_ms: float = 0.0
    ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    rows: int = 0


def questions(end_s: int, trace_id: str, span_id: str) -> Iterator[Question]:  # noqa: PLR0915 - a line for each
    """All of them. `end_s`: when the day ends; the ids are of a span in it."""

    def times(hours: float) -> dict[str, str]:
        return {"start": _rfc3339(end_s - round(hours * 3600)), "end": _rfc3339(end_s)}

    def get(name: str, path: str, hours: float = 24, promised: float | None = None, **ask: Any) -> Question:
        return Question(name, path, ask | times(hours), promised)

    def post(name: str, path: str, hours: float = 24, promised: float | None = None, **ask: Any) -> Question:
        return Question(name, path, ask | times(hours), promised, is_body=True)

    def promql(name: str, query: str, hours: float, step: int, promised: float | None = None) -> Question:
        ask = {"query": query, "start": end_s - round(hours * 3600), "end": end_s, "step": step}
        return Question(name, "prom/api/v1/query_range", ask, promised)

    def instant(name: str, query: str, promised: float | None = None) -> Question:
        return Question(name, "prom/api/v1/query", {"query": query, "time": end_s}, promised)

    yield Question("trace by id", f"traces/{trace_id}", {}, 5)
    yield Question("summary of a trace", f"traces/{trace_id}/summary", {}, 5)
    yield Question("a span of a trace", f"traces/{trace_id}/spans/{span_id}", {}, 5)
    yield Question("logs of a trace", f"traces/{trace_id}/logs", {}, 25)
    yield post("latest 100 logs", "logs/search", promised=15, limit=100)
    yield post("latest 100 logs of a service", "logs/search", promised=15, query="service:checkout-service")
    yield post("latest 100 errors of logs", "logs/search", promised=15, query="severity>=error")
    yield post("latest 100 spans", "traces/search", promised=15, limit=100)
    yield post("two words, latest 100", "logs/search", promised=25, query="timeout upstream")
    yield post("a phrase, latest 100", "logs/search", promised=25, query='"rolled back"')
    yield post("no such word", "logs/search", promised=10, query="xylophone")
    yield post("a regular expression, 1 h", "logs/search", 1, query="body:/took=49\\d\\dms/")
    yield post("attribute equal, common", "logs/search", promised=50, query="http.response.status_code:200")
    yield post("attribute equal, rare", "logs/search", promised=50, query="user.id:user-77")
    yield post("attribute equal, none", "logs/search", promised=50, query="user.id:nobody")
    yield post("span attribute equal, common", "traces/search", promised=50, query="http.request.method:GET")
    yield post("span attribute equal, rare", "traces/search", promised=50, query="user.id:user-77")
    yield post("resource attribute equal", "traces/search", promised=50, query="k8s.deployment.name:cart-service")
    yield post("number above", "traces/search", promised=50, query="http.response.status_code>=500")
    yield post("traces with errors", "traces/search", promised=25, query="status:error")
    yield post("slow spans of a service", "traces/search", promised=50, query="service:cart-service duration>200ms")
    yield post("errors below a service", "traces/search", 1, query="service:cart-service", child="status:error")
    yield get("log histogram by severity", "logs/histogram", promised=50, by="severity")
    yield get("log histogram of a query", "logs/histogram", query="service:cart-service timeout")
    yield get("span heatmap, 1 h", "traces/heatmap", 1)
    yield post(
        "RED by service, 1 h", "traces/aggregate", 1, 30, group_by=["service"],
        measures=[{"function": "count"}, {"function": "p95", "field": "duration"}],
    )  # fmt: skip
    yield post("logs by two fields", "logs/aggregate", 1, group_by=["service", "severity"])
    yield get("services", "services", 1, 5)
    yield get("service map, 1 h", "service-map", 1)
    yield get("service map, 24 h", "service-map", 24, 100)
    yield get("a service over time", "service-figures", service="cart-service", step="10m")
    yield get("operations of a service", "operations", service="cart-service")
    yield get("fields", "fields", promised=10, signal="logs")
    yield get("values of a field", "fields/http.route/values", promised=10, signal="traces")
    yield get("values of a field, prefix", "fields/http.route/values", promised=10, signal="traces", prefix="/api/v1/r")
    yield get("patterns of logs, 10 min", "logs/patterns", 1 / 6)
    yield Question("label values", "prom/api/v1/label/service_name/values", _seconds(end_s, 24), 10)
    yield Question("label names", "prom/api/v1/labels", _seconds(end_s, 24), 10)
    yield Question("series of a metric", "prom/api/v1/series", _seconds(end_s, 1) | {"match[]": _COUNTER}, 40)
    yield instant("instant vector of 1,000 series", _COUNTER, 40)
    yield instant("topk of a rate", f"topk(5, sum by (service_name) (rate({_COUNTER}[5m])))")
    by_service = "sum by (service_name) (rate({selector}[5m]))"
    yield promql("rate of 1,000 series, 1 h at 15 s", by_service.format(selector=_COUNTER), 1, 15, 100)
    yield promql("rate of 1,000 series, 24 h at 5 min", by_service.format(selector=_COUNTER), 24, 300, 400)
    one = f'{_COUNTER}{{service_name="cart-service"}}'
    yield promql("rate of 50 series, 1 h at 15 s", by_service.format(selector=one), 1, 15, 40)
    yield post("metric by service, 24 h", "metrics/query", metric=_METRIC, group_by=["service"])
    yield post("metric by hours from the rollup", "metrics/query", promised=30, metric=_METRIC, step="1h")
    yield get("metrics", "metrics")


_METRIC: Final = history.COUNTERS[0]
_COUNTER: Final = _METRIC.replace(".", "_") + "_total"


def _seconds(end_s: int, hours: float) -> dict[str, Any]:
    return {"start": end_s - round(hours * 3600), "end": end_s}


def _rfc3339(unix_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix_s))


def ask(client: httpx.Client, question: Question) -> httpx.Response:
    """Ask it once. Raises for an answer that is none."""
    how: dict[str, Any] = {"json": question.ask} if question.is_body else {"params": question.ask}
    answer = client.request("POST" if question.is_body else "GET", f"/api/v1/{question.path}", **how)
    if answer.is_error:
        raise SystemExit(f"{question.name}: {answer.status_code} {answer.text[:500]}")
    return answer


def run(data_dir: Path, made: history.History, rounds: int, tenant: history.Tenant, console: Console) -> list[Asked]:
    """Ask all questions as one tenant."""
    end_s = made.start_ns // NS + history.DAY_S
    with server(data_dir) as (process, credentials):
        client = httpx.Client(base_url=credentials["api_url"], headers={"x-api-key": tenant.read_key}, timeout=120)
        while not ready(credentials["api_url"]):
            time.sleep(0.05)
        wait_until_quiet(process)
        found = ask(client, Question("any span", "traces/search", {
            "start": _rfc3339(end_s - history.DAY_S), "end": _rfc3339(end_s), "limit": 1,
        }, is_body=True)).json()  # fmt: skip
        trace_id = found["items"][0]["trace_id"]
        span_id = ask(client, Question("its span", f"traces/{trace_id}", {})).json()["spans"][0]["span_id"]
        asked = [Asked(question) for question in questions(end_s, trace_id, span_id)]
        for one in asked:
            one.cold_ms, _ = _timed(client, process, one)
        for number in range(rounds):
            console.print(f"round {number + 1} of {rounds}")
            for one in asked:
                ms, cpu_ms = _timed(client, process, one)
                one.ms.append(ms)
                one.cpu_ms.append(cpu_ms)
        return asked


def _timed(client: httpx.Client, process: psutil.Process, one: Asked) -> tuple[float, float]:
    used, started = cpu_s(process), time.perf_counter()
    answer = ask(client, one.question)
    ms = (time.perf_counter() - started) * 1000
    cost = dict(
        part.strip().split("=", 1) for part in answer.headers.get("duoscope-cost", "").split(",") if "=" in part
    )
    one.rows = int(cost.get("rows", 0))
    return ms, (cpu_s(process) - used) * 1000


def report(asked: list[Asked], made: history.History, tenant: history.Tenant) -> None:
    """The table for people, the line for programs."""
    share = f"{tenant.share:.0%} of {made.spans:,} spans, {made.records:,} log records, {made.points:,} points"
    table = Table(title=f"duoscope over HTTP, a tenant with {share}, {os.cpu_count()} cores")
    for heading in ("question", "p50 ms", "p95", "CPU ms", "cold ms", "rows read", "promised"):
        table.add_column(heading, justify="left" if heading == "question" else "right")
    for one in asked:
        p50, promised = statistics.median(one.ms), one.question.promised_ms
        table.add_row(
            one.question.name,
            f"{p50:.1f}",
            f"{quantile(one.ms, 0.95):.1f}",
            f"{statistics.median(one.cpu_ms):.0f}",
            f"{one.cold_ms:.0f}",
            f"{one.rows:,}",
            "" if promised is None else f"{promised:g}{'' if p50 <= promised else ' missed'}",
        )
    Console(width=120).print(table)
    print(json.dumps({"cores": os.cpu_count(), "share": tenant.share, "results": [asdict(one) for one in asked]}))


def main() -> None:
    """Fill the folder, ask, and print what was seen."""
    parser = argparse.ArgumentParser(prog="make bench-query", description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path("bench-query-data"), help="kept (default: %(default)s)")
    parser.add_argument("--spans", type=int, default=20_000_000)
    parser.add_argument("--records", type=int, default=20_000_000)
    parser.add_argument("--points", type=int, default=50_000_000)
    parser.add_argument("--rounds", type=int, default=20, help="how often each is asked warm (default: %(default)s)")
    parser.add_argument(
        "--tenant", type=int, default=1, choices=range(1, 6), help="the largest (1) to the smallest (5)"
    )
    parser.add_argument("--fill-only", action="store_true", help="ask nothing")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    made = history.fill(arguments.data_dir, arguments.spans, arguments.records, arguments.points)
    if arguments.fill_only:
        return
    tenant = made.tenants[arguments.tenant - 1]
    report(run(arguments.data_dir, made, arguments.rounds, tenant, console), made, tenant)


if __name__ == "__main__":
    main()
