"""What alert rules cost: CPU of an evaluation by kind, lag with 1,000 rules a minute, 10,000 firings into the outbox.

Fills the folder of the query benchmark (`benchmarks/history.py`), or uses it as it is, and evaluates rules of its
largest tenant with the evaluator of the worker, in this process, on one core. Rules look at the last minutes of the
folder's day, whenever that was. Prints tables and a line of JSON. See `benchmarks/README.md`.
"""

import argparse
import asyncio
import json
import os
import statistics
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks import history
from benchmarks.fairness import quantile
from duoscope.alerting import rules
from duoscope.alerting.definitions import PolicyConfig, config_of
from duoscope.alerting.evaluator import EVALUATE, Evaluator, start_evaluator
from duoscope.background.driver import Driver
from duoscope.identity.authorization.permissions import ROLE_PERMISSIONS, Principal
from duoscope.kernel.clock import now
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope, Scope
from duoscope.kernel.settings import Settings
from duoscope.metadata.alert_rules import AlertRule
from duoscope.notification.owing import owe
from duoscope.runtime.stores import PARTS, lock, open_embedded, open_metadata, open_telemetry
from duoscope.stores.clickhouse import TelemetryStore
from duoscope.stores.postgres import MetadataStore

LAG_PROMISED_S: Final = 2.0
OUTBOX_PROMISED_S: Final = 10.0
LOOKBACK_S: Final = 300
SERIES: Final = 1000
"""Of a counter of the largest tenant, so that ten rules have 10,000 instances."""
_PLATFORM: Final = PlatformScope(reason="a benchmark")
_COUNTER: Final = history.COUNTERS[0].replace(".", "_") + "_total"
_NEVER: Final = {"kind": "threshold", "comparison": ">", "value": 1e18}
_SPANS: Final = {"kind": "trace", "query": "service:checkout-service"}
_ERRORS: Final = {"kind": "trace", "query": "service:checkout-service status:error"}
_RATE: Final = {"kind": "promql", "expression": f"sum by (service_name) (rate({_COUNTER}[5m]))"}
_METRIC: Final = {"kind": "metric", "metric": history.COUNTERS[0], "aggregation": "increase", "group_by": ["service"]}
_LOGS: Final = {"kind": "log", "query": "severity>=error", "group_by": ["service"]}
_WINDOW: Final = {"seconds": 300, "judged": "sum"}
KINDS: Final[dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]]] = {
    "promql, a rate by service": (_RATE, _NEVER),
    "promql, 1,000 series": ({"kind": "promql", "expression": _COUNTER}, _NEVER),
    "metric, 5 minutes by service": (_METRIC, _NEVER | {"window": _WINDOW}),
    "log, 5 minutes by service": (_LOGS, _NEVER | {"window": _WINDOW}),
    "trace, 5 minutes of a service": (_SPANS, _NEVER | {"window": _WINDOW}),
    "formula of two questions": (
        {"kind": "formula", "of": {"bad": _ERRORS, "all": _SPANS}, "formula": "bad / all"},
        _NEVER,
    ),
    "ratio": (_ERRORS, _NEVER | {"kind": "ratio", "to": _SPANS}),
    "change against an hour ago": (_METRIC, _NEVER | {"kind": "change", "earlier_seconds": 3600}),
    "absence": (_METRIC, {"kind": "absence"}),
    "anomaly against 7 days": (_METRIC, {"kind": "anomaly"}),
    "burn rate, two pairs of windows": (
        _SPANS,
        {"kind": "burn_rate", "good": _SPANS, "objective": 0.999, "windows": [
            {"long_seconds": 3600, "short_seconds": 300, "factor": 14.4},
            {"long_seconds": 21600, "short_seconds": 1800, "factor": 6},
        ]},
    ),
}  # fmt: skip


MIX: Final = (
    *("promql, a rate by service",) * 9, *("metric, 5 minutes by service", "log, 5 minutes by service") * 2,
    *("trace, 5 minutes of a service", "ratio") * 2, "formula of two questions", "burn rate, two pairs of windows",
    "absence",
)  # fmt: skip
"""The kinds of each twenty rules of the lag's part: half of them PromQL, as in the rule files of others. An anomaly
reads eight times as much as the others; what it costs is in the table."""


class Shifted(Evaluator):
    """An evaluator whose questions are asked as long ago as the folder's day ended, and that notes its lateness."""

    shift = timedelta(0)
    late_s: list[float]

    async def ask(self, definition: Any, scope: Scope, slot: datetime, since: datetime | None) -> Any:
        """Ask as of the end of the day."""
        self.late_s.append((now() - slot).total_seconds())
        return await super().ask(definition, scope, slot - self.shift, since and since - self.shift)


@dataclass
class Bench:
    """The stores, and the tenant whose rules are evaluated."""

    metadata: MetadataStore
    telemetry: TelemetryStore
    scope: Scope
    shift: timedelta
    process: psutil.Process = field(default_factory=psutil.Process)

    def evaluator(self) -> Shifted:
        """An evaluator of the day's end."""
        made = Shifted(self.metadata, self.telemetry)
        made.shift, made.late_s = self.shift, []
        return made

    def cpu_s(self) -> tuple[float, float]:
        """CPU of this process with ClickHouse in it, and of PostgreSQL, in seconds."""
        used = 0.0
        for child in self.process.children(recursive=True):
            try:
                used += sum(child.cpu_times()[:2])
            except psutil.NoSuchProcess:
                continue
        return sum(self.process.cpu_times()[:2]), used

    async def rule(self, name: str, question: Mapping[str, Any], condition: Mapping[str, Any]) -> AlertRule:
        """Make a rule that is due each minute."""
        moment, scope = now(), self.scope
        principal = Principal(scope, new_id(), new_id(), ROLE_PERMISSIONS, own_limits={"alert_rules": 100_000})
        return await rules.create(self.metadata, principal, AlertRule(
            organization_id=scope.organization_id, workspace_id=scope.workspace_id, tenant_id=scope.tenant_id,
            alert_rule_id=new_id(), name=name, description="", query_type=question["kind"],
            query_config=dict(question), condition_config=dict(condition), policy_config=config_of(PolicyConfig()),
            severity="critical", cooldown_minutes=0, interval_seconds=60, labels={}, annotations={}, runbook_url="",
            dashboard_url="", is_enabled=True, version=1, last_evaluated_at=None, last_duration_ms=None,
            last_problem="", created_by=None, deleted_at=None, created_at=moment, updated_at=moment,
        ))  # fmt: skip

    async def execute(self, sql: Any, *values: object) -> None:
        """Run a statement in the tenant."""
        async with self.metadata.open(self.scope, "bench.prepare") as tx:
            await tx.execute(sql, *values)

    async def clear(self) -> None:
        """Switch off what an earlier part of the run made."""
        await self.execute("DELETE FROM alert_instances")
        await self.execute("UPDATE alert_rules SET deleted_at = now(), is_enabled = false WHERE deleted_at IS NULL")


async def by_kind(bench: Bench, times: int) -> dict[str, dict[str, float]]:
    """CPU and time of an evaluation of each kind, one after the other; the first ones are not counted."""
    found: dict[str, dict[str, float]] = {}
    for name, (question, condition) in KINDS.items():
        await bench.clear()
        rule = await bench.rule(name, question, condition)
        evaluator = bench.evaluator()
        spent: list[tuple[float, float, float]] = []
        for _ in range(times + 2):
            await bench.execute("UPDATE alert_rules SET due_at = now() WHERE alert_rule_id = $1", rule.alert_rule_id)
            own, postgres = bench.cpu_s()
            began = time.perf_counter()
            if not await evaluator.evaluate_next():
                raise SystemExit("a rule that is due was not evaluated")
            seconds = time.perf_counter() - began
            own_after, postgres_after = bench.cpu_s()
            spent.append((own_after - own, postgres_after - postgres, seconds))
        async with bench.metadata.open(bench.scope, "bench.problem") as tx:
            problem = await tx.fetchval("SELECT last_problem FROM alert_rules WHERE is_enabled AND deleted_at IS NULL")
        if problem:
            raise SystemExit(f"{name}: {problem}")
        columns = list(zip(*spent[2:], strict=True))
        found[name] = {
            "cpu_ms": statistics.mean(columns[0]) * 1000,
            "postgres_ms": statistics.mean(columns[1]) * 1000,
            "p50_ms": statistics.median(columns[2]) * 1000,
        }
    return found


async def lag(bench: Bench, count: int, minutes: float) -> dict[str, float]:
    """How late slots are evaluated with so many rules a minute, by the worker's own lanes."""
    await bench.clear()
    for number in range(count):
        name = MIX[number % len(MIX)]
        question, condition = KINDS[name]
        await bench.rule(f"{name} {number}", question, condition)
    # From the next minute on, so that making the rules makes none late.
    await bench.execute("UPDATE alert_rules SET due_at = due_at + interval '1 minute' WHERE is_enabled")
    evaluator, driver = bench.evaluator(), Driver()
    own, postgres = bench.cpu_s()
    began = time.perf_counter()
    running = start_evaluator(driver, evaluator)
    await asyncio.sleep(60 * (minutes + 1) + 2)
    for job in running:
        await job.stop()
    seconds = time.perf_counter() - began
    own_after, postgres_after = bench.cpu_s()
    late = evaluator.late_s
    if not late:
        raise SystemExit("no rule was evaluated")
    return {
        "rules": count,
        "evaluations": len(late),
        "lag_p50_s": statistics.median(late),
        "lag_p99_s": quantile(late, 0.99),
        "lag_max_s": max(late),
        "cores": (own_after - own) / seconds,
        "postgres_cores": (postgres_after - postgres) / seconds,
    }


async def outbox(bench: Bench, instances: int, apart_s: int) -> dict[str, float]:
    """How long it takes from the first lease until all that fire at once are owed to a channel. Points are `apart_s`
    apart.
    """
    await bench.clear()
    scope, group, channel = bench.scope, new_id(), new_id()
    place = (scope.organization_id, scope.workspace_id, scope.tenant_id)
    await bench.execute(
        "INSERT INTO notification_groups (organization_id, workspace_id, tenant_id, group_id, name) "
        "VALUES ($1, $2, $3, $4, 'bench')",
        *(*place, group),
    )
    await bench.execute(
        "INSERT INTO notification_channels (organization_id, workspace_id, tenant_id, channel_id, "
        "notification_group_id, name, channel_type, config_encrypted, target) "
        "VALUES ($1, $2, $3, $4, $5, 'hook', 'webhook', 'x', 'nowhere')",
        *(*place, channel, group),
    )
    for number in range(max(1, instances // SERIES)):
        metric = history.COUNTERS[number % len(history.COUNTERS)].replace(".", "_") + "_total"
        # In a small folder, points are hours apart.
        expression = metric if apart_s < LOOKBACK_S else f"last_over_time({metric}[{2 * apart_s}s])"
        question = {"kind": "promql", "expression": expression}
        rule = await bench.rule(f"firing {number}", question, _NEVER | {"value": -1.0})
        await bench.execute(
            "INSERT INTO alert_rule_notification_groups (organization_id, workspace_id, tenant_id, id, alert_rule_id, "
            "notification_group_id) VALUES ($1, $2, $3, $4, $5, $6)",
            *(*place, new_id(), rule.alert_rule_id, group),
        )
    await bench.execute("UPDATE alert_rules SET due_at = now() WHERE is_enabled")
    began = time.perf_counter()

    left = max(1, instances // SERIES)

    async def lane() -> None:
        nonlocal left
        evaluator = bench.evaluator()
        while left > 0:
            if await evaluator.evaluate_next():
                left -= 1
            else:  # the tenant's others are at work
                await asyncio.sleep(0.01)

    await asyncio.gather(*(lane() for _ in EVALUATE))
    evaluated_s = time.perf_counter() - began
    while await owe(bench.metadata, external_url="http://localhost"):
        pass
    seconds = time.perf_counter() - began
    async with bench.metadata.open(scope, "bench.owed") as tx:
        owed = await tx.fetchval("SELECT count(*) FROM notifications WHERE channel_id = $1", channel)
    await bench.execute("DELETE FROM notification_groups WHERE group_id = $1", group)
    return {"instances": owed, "evaluated_s": evaluated_s, "owed_s": seconds}


async def run(data_dir: Path, made: history.History, arguments: argparse.Namespace) -> dict[str, Any]:
    """All three parts, over one folder."""
    end_s = made.start_ns // history.NS + history.DAY_S
    async with AsyncExitStack() as stack:
        settings, driver = Settings(data_dir=data_dir), Driver()
        lock(settings, stack)
        settings = await open_embedded(settings, PARTS, driver, stack)
        metadata = await open_metadata(settings, PARTS, asyncio.Event(), driver, stack)
        telemetry = await open_telemetry(settings, PARTS, stack)
        async with metadata.open_platform(_PLATFORM, "bench.tenant") as tx:
            row = await tx.fetchrow(
                "SELECT organization_id, workspace_id, tenant_id FROM tenants WHERE tenant_id = $1::uuid",
                made.tenants[0].tenant_id,
            )
            await tx.execute(
                "UPDATE tenants SET settings = jsonb_set(settings, '{limits}', coalesce(settings -> 'limits', '{}') || "
                '\'{"alert_query_seconds": 3600, "alert_rules": 100000}\') WHERE tenant_id = $1::uuid',
                made.tenants[0].tenant_id,
            )
        if row is None:
            raise SystemExit("the folder's tenant is gone")
        shift = timedelta(seconds=time.time() - end_s)
        bench = Bench(metadata, telemetry, Scope(*row.values()), shift)
        kinds = await by_kind(bench, arguments.times)
        late = await lag(bench, arguments.rules, arguments.minutes)
        apart_s = history.DAY_S // (made.slices["metrics"] * history.TIMES_OF_A_SLICE)
        owed = await outbox(bench, arguments.instances, apart_s)
        await bench.clear()
        await driver.stop()
        return {"kinds": kinds, "lag": late, "outbox": owed}


def report(found: Mapping[str, Any], made: history.History) -> None:
    """Tables for people, the line for programs."""
    table = Table(title=f"An evaluation, one after the other ({made.spans:,} spans, {made.points:,} points)")
    for heading in ("rule", "CPU ms", "of PostgreSQL ms", "p50 ms"):
        table.add_column(heading, justify="left" if heading == "rule" else "right")
    for name, each in found["kinds"].items():
        table.add_row(name, f"{each['cpu_ms']:.1f}", f"{each['postgres_ms']:.1f}", f"{each['p50_ms']:.1f}")
    late, owed = found["lag"], found["outbox"]
    console = Console(width=120)
    console.print(table)
    console.print(
        f"{late['rules']:,} rules a minute: {late['evaluations']:,} evaluations, lag p50 {late['lag_p50_s']:.2f} s, "
        f"p99 {late['lag_p99_s']:.2f} s (promised {LAG_PROMISED_S:g}), most {late['lag_max_s']:.2f} s; "
        f"{late['cores']:.2f} cores, PostgreSQL {late['postgres_cores']:.2f}"
    )
    console.print(
        f"{owed['instances']:,} instances firing at once: evaluated after {owed['evaluated_s']:.1f} s, in the outbox "
        f"after {owed['owed_s']:.1f} s (promised {OUTBOX_PROMISED_S:g})"
    )
    print(json.dumps(found))


def main() -> None:
    """Fill the folder, evaluate, and print what was seen."""
    parser = argparse.ArgumentParser(prog="make bench-alerts", description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path("bench-query-data"), help="kept (default: %(default)s)")
    parser.add_argument("--spans", type=int, default=20_000_000)
    parser.add_argument("--records", type=int, default=20_000_000)
    parser.add_argument("--points", type=int, default=50_000_000)
    parser.add_argument("--rules", type=int, default=1000, help="evaluated each minute (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=3, help="so long (default: %(default)s)")
    parser.add_argument("--times", type=int, default=10, help="evaluations of each kind (default: %(default)s)")
    parser.add_argument("--instances", type=int, default=10_000, help="that fire at once (default: %(default)s)")
    parser.add_argument("--all-cores", action="store_true", help="otherwise the process has one")
    arguments = parser.parse_args()
    made = history.fill(arguments.data_dir, arguments.spans, arguments.records, arguments.points)
    if not arguments.all_cores:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    report(asyncio.run(run(arguments.data_dir.absolute(), made, arguments)), made)


if __name__ == "__main__":
    main()
