"""What the web UI costs a browser: sizes, first paint, large traces, scrolling, typing, and a tail, beside its budgets.

Starts `duoscope up` with an empty folder and the demo's past, and a headless Chromium, which must be installed, before
it. Times are of the browser's own clock. Prints a table and one line of JSON. Needs an idle machine. See
`benchmarks/README.md`.
"""

import argparse
import gzip
import json
import re
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from rich.console import Console
from rich.table import Table

from support.up import Up
from web.browser import Visitor, chromium, launched, send, send_large_trace

ROOT: Final = Path(__file__).parents[1]
BUILT: Final = ROOT / "services" / "duoscope" / "api" / "web"
SPANS: Final = (20_000, 100_000)
FRAMES: Final = 240
STEP_PX: Final = 400
LONG_TASK_MS: Final = 100
FRAMES_P95_MS: Final = 33.4
"""Two frames of 60 Hz, as Chromium counts them."""
CHART_SERIES: Final = 10
CHART_POINTS: Final = 10_000
CHART_ROUNDS: Final = 5
TAIL_PER_S: Final = 500
TAIL_EVERY_S: Final = 0.2
_SCROLL = """async ([selector, frames, px]) => {
    const box = document.querySelector(selector);
    const long = [];
    const watcher = new PerformanceObserver((list) => long.push(...list.getEntries().map((one) => one.duration)));
    watcher.observe({ entryTypes: ["longtask"] });
    const deltas = [];
    let last = await new Promise(requestAnimationFrame);
    for (let frame = 0; frame < frames; frame += 1) {
        box.scrollTop += px;
        const now = await new Promise(requestAnimationFrame);
        deltas.push(now - last);
        last = now;
    }
    watcher.disconnect();
    return [deltas, long];
}"""
_OPENED = """async ([path, selector]) => {
    const began = performance.now();
    document.querySelector(path).click();
    while (!document.querySelector(selector)) await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    return performance.now() - began;
}"""
_DRAWN = """async (least) => {
    for (;;) {
        const answer = performance.getEntriesByType("resource")
            .findLast((one) => one.name.endsWith("/metrics/formulas") && one.decodedBodySize > least);
        const canvas = document.querySelector("figure canvas");
        if (answer && answer.responseEnd > 0 && canvas && canvas.width > 0) {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            if (new Set(new Uint32Array(data.buffer)).size > 20) return performance.now() - answer.responseEnd;
        }
        await new Promise(requestAnimationFrame);
    }
}"""
_KEYS = """() => {
    window.keyTimes = [];
    addEventListener("keydown", () => {
        const began = performance.now();
        requestAnimationFrame(() => setTimeout(() => window.keyTimes.push(performance.now() - began)));
    }, true);
}"""


@dataclass(frozen=True)
class Row:
    """One figure beside its budget; `budget` is the most that it may be."""

    what: str
    value: float
    budget: float
    unit: str

    @property
    def is_kept(self) -> bool:
        """Whether it is within its budget."""
        return self.value <= self.budget


def _gzipped(paths: list[Path]) -> float:
    return sum(len(gzip.compress(path.read_bytes(), 9)) for path in paths) / 1000


def sizes() -> list[Row]:
    """What is sent, in kB gzipped; fonts as they are."""
    index = (BUILT / "index.html").read_text("utf-8")
    first = {BUILT / name for name in re.findall(r'(?:src|href)="\./(assets/[^"]+\.js)"', index)}
    scripts = list(BUILT.glob("assets/*.js"))
    return [
        Row("JavaScript of the first page", _gzipped(sorted(first)), 240, "kB"),
        Row("All JavaScript, of all pages", _gzipped(scripts), 400, "kB"),
        Row("CSS", _gzipped(list(BUILT.glob("assets/*.css"))), 30, "kB"),
        Row("Fonts", sum(path.stat().st_size for path in BUILT.glob("assets/*.woff2")) / 1000, 90, "kB"),
    ]


def first_paint(visitor: Visitor, rounds: int) -> list[Row]:
    """How long it takes until there is something, and until services are there."""
    painted: list[float] = []
    usable: list[float] = []
    for _ in range(rounds):
        visitor.open("services?range=6h")
        visitor.page.locator("tbody tr").first.wait_for()
        usable.append(visitor.page.evaluate("performance.now()"))
        painted.append(
            visitor.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
        )
    return [
        Row("First contentful paint, p50", statistics.median(painted), 400, "ms"),
        Row("Services usable, p50", statistics.median(usable), 1000, "ms"),
    ]


def _metrics(session: Any) -> float:
    found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return 1000 * (found["ScriptDuration"] + found["LayoutDuration"] + found["RecalcStyleDuration"])


def scrolled(visitor: Visitor, what: str, selector: str) -> list[Row]:
    """Scroll a list, and count what each frame costs."""
    session = visitor.context.new_cdp_session(visitor.page)
    session.send("Performance.enable")
    before = _metrics(session)
    deltas, long = visitor.page.evaluate(_SCROLL, [selector, FRAMES, STEP_PX])
    spent = _metrics(session) - before
    return [
        Row(f"{what}: script, style and layout a frame, mean", spent / FRAMES, 10, "ms"),
        Row(f"{what}: frames p95", _percentile(deltas, 95), FRAMES_P95_MS, "ms"),
        Row(f"{what}: longest task", max(long, default=0.0), LONG_TASK_MS, "ms"),
    ]


def _percentile(values: list[float], share: int) -> float:
    return statistics.quantiles(values, n=100)[share - 1]


def large_trace(visitor: Visitor, up: Up, spans: int, budget_ms: float) -> list[Row]:
    """From a click in the list of traces to drawn spans, and scrolling through them."""
    trace_id = send_large_trace(up, spans)
    with up.api() as client:
        while client.get(f"/traces/{trace_id}/summary").json().get("span_count") != spans:
            time.sleep(0.2)
    visitor.open("traces?q=service:large&range=15m")
    link = f'a[href*="{trace_id}"]'
    visitor.page.locator(link).wait_for()
    opened = visitor.page.evaluate(_OPENED, [link, "[role=treegrid] [role=row]"])
    rows = [Row(f"{spans:,} spans, from click to drawn", opened, budget_ms, "ms")]
    return rows + scrolled(visitor, f"{spans:,} spans", "[role=treegrid]")


def chart(visitor: Visitor, up: Up) -> list[Row]:
    """From the answer to the drawn chart of ten series of ten thousand points: more than the page itself asks for."""
    now = time.time_ns() // 10**9 * 10**9
    step_ns = 10**9
    for number in range(CHART_SERIES):
        points = [
            {
                "timeUnixNano": str(now - at * step_ns),
                "asDouble": number * 10 + (at * 7919 % 997) / 100,
                "attributes": [{"key": "line", "value": {"stringValue": str(number)}}],
            }
            for at in range(CHART_POINTS)
        ]
        metric = {"name": "bench.chart", "gauge": {"dataPoints": points}}
        send(up, "metrics", {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]})
    up.settle()

    def by_the_second(route: Any) -> None:
        asked = route.request.post_data_json | {"step": 1}
        route.continue_(post_data=json.dumps(asked))

    visitor.page.route("**/metrics/formulas", by_the_second)
    asked = quote(json.dumps([{"m": "bench.chart", "a": "avg", "by": ["line"]}]))
    taken: list[float] = []
    for _ in range(CHART_ROUNDS):
        visitor.open(f"metrics?range={CHART_POINTS}s&m={asked}")
        taken.append(visitor.page.evaluate(_DRAWN, CHART_SERIES * CHART_POINTS))
    visitor.page.unroute("**/metrics/formulas")
    return [Row("100,000 points, from the answer to drawn, p50", statistics.median(taken), 150, "ms")]


def typing(visitor: Visitor) -> list[Row]:
    """From a key to the next frame, while there is data."""
    visitor.open("logs?range=6h")
    visitor.page.get_by_role("grid", name="Log records").get_by_role("row").first.wait_for()
    visitor.page.evaluate(_KEYS)
    visitor.page.get_by_label("Query").press_sequentially("service:checkout severity>=warn body:declined", delay=40)
    visitor.page.wait_for_timeout(300)
    rows = [Row("Key to next frame, p95", _percentile(visitor.page.evaluate("window.keyTimes"), 95), 50, "ms")]
    visitor.open("logs?range=6h")
    visitor.page.get_by_role("grid", name="Log records").get_by_role("row").first.wait_for()
    return rows + scrolled(visitor, "Log records, as they load", '[role=grid][aria-label="Log records"]')


def tail(visitor: Visitor, up: Up, seconds: float) -> list[Row]:
    """Follow records as they arrive, and look at frames and memory."""
    visitor.open("logs?view=tail")
    visitor.page.get_by_text("Live").first.wait_for()
    session = visitor.context.new_cdp_session(visitor.page)
    session.send("Performance.enable")
    heaps: list[float] = []
    visitor.page.evaluate(
        """() => { window.frames_ = []; let last = performance.now();
            const next = (now) => { window.frames_.push(now - last); last = now; requestAnimationFrame(next); };
            requestAnimationFrame(next); }"""
    )
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "chatty"}}]}
    began = time.monotonic()
    number = 0
    while (now := time.monotonic() - began) < seconds:
        records = [
            {"timeUnixNano": str(time.time_ns()), "severityNumber": 9, "body": {"stringValue": f"record {number + at}"}}
            for at in range(round(TAIL_PER_S * TAIL_EVERY_S))
        ]
        number += len(records)
        send(up, "logs", {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]})
        session.send("HeapProfiler.collectGarbage")
        found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        heaps.append(found["JSHeapUsedSize"] / 1e6)
        visitor.page.wait_for_timeout(max(0.0, 1000 * (now + TAIL_EVERY_S - (time.monotonic() - began))))
    half = len(heaps) // 2
    grown = statistics.mean(heaps[-5:]) - statistics.mean(heaps[half : half + 5])
    return [
        Row(
            f"Tail, {TAIL_PER_S} records a second: frames p95",
            _percentile(visitor.page.evaluate("window.frames_"), 95),
            FRAMES_P95_MS,
            "ms",
        ),
        Row("Tail: heap grown in the second half", max(0.0, grown), 5, "MB"),
    ]


def main() -> int:
    """Measure everything, and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="loads of the first page")
    parser.add_argument("--tail-s", type=float, default=300, help="how long the tail is followed; 0: not at all")
    parser.add_argument("--history", default="1h", help="of the demo")
    asked = parser.parse_args()
    if chromium() is None:
        print("There is no Chromium: apt-get install chromium", file=sys.stderr)
        return 1
    rows = sizes()
    with tempfile.TemporaryDirectory() as data:
        up = Up(Path(data) / "data")
        up.start()
        try:
            up.run("demo", "--history", asked.history)
            with launched() as browser:
                visitor = Visitor(browser, up)
                visitor.log_in()
                rows += first_paint(visitor, asked.rounds)
                for spans, budget_ms in zip(SPANS, (1000, 3000), strict=True):
                    rows += large_trace(visitor, up, spans, budget_ms)
                rows += chart(visitor, up)
                rows += typing(visitor)
                if asked.tail_s:
                    rows += tail(visitor, up, asked.tail_s)
        finally:
            up.kill()
    table = Table("", "measured", "budget", "")
    for row in rows:
        table.add_row(
            row.what, f"{row.value:.1f} {row.unit}", f"{row.budget:g} {row.unit}", "" if row.is_kept else "over"
        )
    Console(width=110).print(table)
    print(json.dumps([asdict(row) for row in rows]))
    return 0 if all(row.is_kept for row in rows) else 2


if __name__ == "__main__":
    sys.exit(main())
