"""A browser before a running duoscope: Debian's Chromium, driven by Playwright."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from support.up import Up

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
WAIT_MS = 60_000
"""For what must happen: the machine may be busy."""
_REFUSED = re.compile("Failed to load resource: the server responded with a status of")


def chromium() -> str | None:
    """The program, if it is there."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def launched() -> Generator[Browser]:
    """A browser."""
    with sync_playwright() as playwright:
        expect.set_options(timeout=WAIT_MS)
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """Somebody before a window of their own, with cookies of their own.

    Attributes:
        page: the first tab.
        complaints: what the browser's console said: errors, and violations of the content security policy.
        refusals: answers of the API that the console also shows, but which a test may have asked for.
    """

    def __init__(self, browser: Browser, up: Up, *, width: int = 1440, height: int = 900, theme: Any = "light") -> None:
        self.up = up
        self.context: BrowserContext = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,
            reduced_motion="reduce",
            permissions=["clipboard-read", "clipboard-write"],
        )
        self.context.set_default_timeout(WAIT_MS)
        self.complaints: list[str] = []
        self.refusals: list[str] = []
        self._may_be_refused = False
        self.page = self.tab()

    def tab(self) -> Page:
        """Another tab."""
        page = self.context.new_page()

        def heard(message: Any) -> None:
            if message.type != "error":
                return
            if not _REFUSED.match(message.text):
                self.complaints.append(message.text)
            elif not self._may_be_refused:
                self.refusals.append(message.text)

        page.on("console", heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def was_refused(self, times: int | None = None) -> None:
        """The API has refused something, as the test wanted: so often, or at least once and perhaps again. A page asks
        several questions of a query at once, and answers arrive, and are told, when they like.
        """
        deadline = time.monotonic() + WAIT_MS / 1000
        while len(self.refusals) < (times or 1):
            assert time.monotonic() < deadline, "nothing was refused"
            self.page.wait_for_timeout(20)
        assert times in {None, len(self.refusals)}, self.refusals
        self.refusals.clear()
        self._may_be_refused = times is None

    def log_in(self, *, email: str | None = None, password: str | None = None, address: str | None = None) -> None:
        """Log in, unless others are named as the admin of the first start, and keep the made password for now."""
        page = self.page
        page.goto(address or self.up.api_url)
        page.get_by_label("Email").fill(email or self.up.known["admin_email"])
        page.get_by_label("Password").fill(password or self.up.known["admin_password"])
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("button", name="Not now").click()
        page.wait_for_url("**/t/*/*")
        page.locator("#content").wait_for()

    def open(self, path: str) -> None:
        """Go to a page of the tenant."""
        self.page.goto(f"{self.up.api_url}/t/{self.up.known['tenant_id']}/{path}")


def wait_for(look: Callable[[], Any]) -> Any:
    """Look until there is something. Counts of fields and the like are stored some seconds after the items."""
    deadline = time.monotonic() + WAIT_MS / 1000
    while not (found := look()):
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.2)
    return found


def send_shop(up: Up, *, records: int = 60, name: str = "shop", ago_s: int = 0, version: str = "1.0") -> str:
    """Send a trace of three services, one of which failed, and records that belong to it. Returns the trace's id."""
    now = time.time_ns() - ago_s * 10**9
    trace_id = f"{now:032x}"

    def resource(service: str) -> dict[str, Any]:
        named = {"service.name": service, "service.version": version}
        return {"attributes": [{"key": key, "value": {"stringValue": value}} for key, value in named.items()]}

    def span(number: int, parent: int | None, name: str, took_ms: int, **more: Any) -> dict[str, Any]:
        start = now - 2 * 10**9 + number * 10**7
        return {
            "traceId": trace_id,
            "spanId": f"{number:016x}",
            **({"parentSpanId": f"{parent:016x}"} if parent else {}),
            "name": name,
            "kind": 2,
            "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(start + took_ms * 10**6),
            **more,
        }

    failed = {"status": {"code": 2, "message": "card declined"}}
    spans = [
        (f"{name}-frontend", span(1, None, "POST /checkout", 300)),
        (f"{name}-checkout", span(2, 1, "place order", 250)),
        (f"{name}-payment", span(3, 2, "charge card", 120, **failed)),
        (f"{name}-checkout", span(4, 2, "SELECT orders", 12)),
    ]
    logs = [
        {
            "timeUnixNano": str(now - 2 * 10**9 + (140 - number) * 10**6),
            "severityNumber": 17 if number % 10 == 0 else 9,
            "severityText": "ERROR" if number % 10 == 0 else "INFO",
            "body": {
                "stringValue": f"card of order {number} declined" if number % 10 == 0 else f"order {number} placed"
            },
            "attributes": [{"key": "order.id", "value": {"intValue": number}}],
            "traceId": trace_id,
            "spanId": f"{3:016x}",
        }
        for number in range(records)
    ]
    bodies = {
        "traces": {
            "resourceSpans": [{"resource": resource(of), "scopeSpans": [{"spans": [one]}]} for of, one in spans]
        },
        "logs": {"resourceLogs": [{"resource": resource(f"{name}-payment"), "scopeLogs": [{"logRecords": logs}]}]},
    }
    for signal, body in bodies.items():
        send(up, signal, body)
    return trace_id


def send_fan(up: Up, services: int, *, name: str = "fan", key: str | None = None) -> str:
    """Send a trace in which one service calls all others. Returns its id."""
    start = time.time_ns() - 60 * 10**9

    def span(at: int) -> dict[str, Any]:
        spans = [
            {
                "traceId": f"{start:032x}",
                "spanId": f"{at + 1:016x}",
                **({"parentSpanId": f"{1:016x}"} if at else {}),
                "name": f"serve {name}",
                "kind": 2,
                "startTimeUnixNano": str(start + at * 10**6),
                "endTimeUnixNano": str(start + (at + 1) * 10**6),
            }
        ]
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": f"{name}-{at}"}}]}
        return {"resource": resource, "scopeSpans": [{"spans": spans}]}

    send(up, "traces", {"resourceSpans": [span(at) for at in range(services)]}, key=key)
    return f"{start:032x}"


def send_large_trace(up: Up, spans: int) -> str:
    """Send a trace of so many spans: a root, and calls below each other in sixes. Returns its id."""
    start = time.time_ns() - 60 * 10**9
    trace_id = f"{start:032x}"

    def span(at: int) -> dict[str, Any]:
        parent = None if at == 0 else 0 if at % 6 == 1 else at - 1
        begun = start + at * 10**6
        return {
            "traceId": trace_id,
            "spanId": f"{at + 1:016x}",
            **({} if parent is None else {"parentSpanId": f"{parent + 1:016x}"}),
            "name": "needle" if at == spans // 2 else f"call {at % 6}",
            "kind": 1,
            "startTimeUnixNano": str(begun),
            "endTimeUnixNano": str(start + (spans + 10) * 10**6 if at == 0 else begun + (7 - at % 6) * 10**6),
        }

    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "large"}}]}
    for first in range(0, spans, 2000):
        made = [span(at) for at in range(first, min(first + 2000, spans))]
        send(up, "traces", {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": made}]}]})
    return trace_id


def send_gap(up: Up, *, hours: int) -> str:
    """Send a trace of some ms, hours of waiting, and some ms again. Returns its id."""
    start = time.time_ns() - (hours * 3600 + 60) * 10**9
    after = start + hours * 3600 * 10**9
    end = after + 9 * 10**6

    def span(number: int, begun: int, ended: int) -> dict[str, Any]:
        return {
            "traceId": f"{start:032x}",
            "spanId": f"{number:016x}",
            **({"parentSpanId": f"{1:016x}"} if number > 1 else {}),
            "name": f"step {number}",
            "kind": 1,
            "startTimeUnixNano": str(begun),
            "endTimeUnixNano": str(ended),
        }

    spans = [
        span(1, start, end),
        span(2, start + 10**6, start + 3 * 10**6),
        span(3, after, after + 4 * 10**6),
        span(4, after + 4 * 10**6, after + 8 * 10**6),
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "sleepy"}}]}
    send(up, "traces", {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]})
    return f"{start:032x}"


def send_metrics(up: Up, trace_id: str) -> None:
    """Send ten minutes of a histogram and a counter of two services, with a measurement from within the trace."""
    now = time.time_ns()

    def points(service: str, slow: int) -> dict[str, Any]:
        histogram: list[dict[str, Any]] = []
        counter: list[dict[str, Any]] = []
        for minute in range(10):
            end = now - (9 - minute) * 60 * 10**9
            of = {
                "startTimeUnixNano": str(end - 60 * 10**9),
                "timeUnixNano": str(end),
                "attributes": [{"key": "route", "value": {"stringValue": f"/{minute % 2}"}}],
            }
            exemplar = {"timeUnixNano": str(end), "asDouble": 0.3, "traceId": trace_id, "spanId": f"{3:016x}"}
            histogram.append(
                of
                | {"explicitBounds": [0.1, 1], "bucketCounts": ["9", str(slow), "0"]}
                | {"count": str(9 + slow), "sum": 1.5, "exemplars": [exemplar] if minute == 7 and slow else []}
            )
            counter.append(of | {"asInt": str(6 + slow)})
        delta = {"aggregationTemporality": 1}
        metrics = [
            {
                "name": "shop.latency",
                "unit": "s",
                "description": "How long",
                "histogram": {"dataPoints": histogram} | delta,
            },
            {"name": "shop.orders", "unit": "{order}", "sum": {"dataPoints": counter, "isMonotonic": True} | delta},
        ]
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
        return {"resource": resource, "scopeMetrics": [{"metrics": metrics}]}

    send(up, "metrics", {"resourceMetrics": [points("shop-frontend", 0), points("shop-payment", 3)]})


def send(up: Up, signal: str, body: dict[str, Any], *, key: str | None = None) -> None:
    """Send a request of OTLP in JSON, which must be taken; with another tenant's key, into that tenant."""
    answer = post(up, signal, body, key=key)
    assert answer.status_code == 200, answer.text


def post(up: Up, signal: str, body: dict[str, Any], *, key: str | None = None) -> httpx.Response:
    """Send a request of OTLP in JSON."""
    return httpx.post(
        f"{up.otlp_url}/v1/{signal}",
        content=json.dumps(body),
        headers={"authorization": f"Bearer {key or up.key}", "content-type": "application/json"},
        timeout=60,
    )


def end_proof(up: Up) -> None:
    """Let the logins of all sessions be an hour old, so that what needs a recent one asks for it."""
    sockets = (up.data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[4]
    # In a process of its own: Playwright keeps an event loop running in this thread.
    program = (
        "import asyncio, asyncpg, sys\n"
        "async def main():\n"
        "    owner = await asyncpg.connect(host=sys.argv[1], database='duoscope', user='duoscope_owner')\n"
        "    await owner.execute(\"UPDATE user_sessions SET authenticated_at = now() - interval '1 h'\")\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", program, sockets], check=True, timeout=60)
