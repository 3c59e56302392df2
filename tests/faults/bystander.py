"""A tenant that uses the API and sends telemetry while strangers attack, and the effects it notices."""

import resource
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import httpx

PAUSE_S = 0.02
PATIENCE_S = 900
CALLS = (
    ("POST", "/api/v1/logs/search", {"limit": 20}),
    ("GET", "/health/ready", None),
    ("GET", "/api/v1/services", None),
    ("POST", "/api/v1/traces/search", {"limit": 20}),
)


@dataclass(frozen=True)
class Felt:
    """One line of the table. Times are milliseconds: of half of the calls, and of all but the slowest hundredth."""

    stranger: str
    reads: int
    p50_before: float
    p99_before: float
    p50_during: float
    p99_during: float
    times: float
    sends: int
    send_p99_before: float
    send_p99_during: float
    refused: int


class Bystander:
    """Calls the API one call after the other, every second one on a connection of its own; others send meanwhile."""

    def __init__(self, tenant, url, sending):
        self._tenant, self._url, self._sending = tenant, url, sending
        self._took, self._sent_before = [], 0
        self._before = 0
        self.refused = []
        self._more = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._call_on)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def wait_for(self, reads):
        """Until he has called so many times more, and something was sent as well."""
        until = len(self._took) + reads
        with self._more:
            assert self._more.wait_for(lambda: len(self._took) >= until, PATIENCE_S), len(self._took)
        self._sending.wait_for(reads // 10, PATIENCE_S)

    def harm_begins(self):
        """What comes from now on is felt under harm."""
        self._before, self._sent_before = len(self._took), len(self._sending.books.seconds)
        self.harm_is_under_way()

    def harm_is_under_way(self):
        """What came since the harm began is left out: the strangers were still on their way."""
        self._since, self._sent_since = len(self._took), len(self._sending.books.seconds)

    def felt(self, stranger):
        """The row."""
        sent = self._sending.books.seconds
        before, during = (percentiles(part) for part in (self._took[: self._before], self._took[self._since :]))
        sent_before, sent_during = (percentiles(part) for part in (sent[: self._sent_before], sent[self._sent_since :]))
        return Felt(
            stranger,
            len(self._took),
            *before,
            *during,
            round(during[1] / before[1], 1),
            len(sent),
            sent_before[1],
            sent_during[1],
            len(self.refused) + self._sending.books.retries + len(self._sending.books.rejected),
        )

    def _call_on(self):
        with self._tenant.api() as signed_in, httpx.Client(base_url=self._url, timeout=PATIENCE_S) as client:
            client.headers["authorization"] = signed_in.headers["authorization"]
            number = 0
            while not self._stop.is_set():
                method, path, body = CALLS[number % len(CALLS)]
                number += 1
                # Asked to be closed after an answer, a connection makes room for a new one.
                headers = {"connection": "close"} if number % 2 else {}
                began = time.monotonic()
                try:
                    answer = client.request(method, path, json=body, headers=headers)
                    refused = f"{answer.status_code} {answer.text[:200]}" if answer.status_code != 200 else ""
                except httpx.TransportError as error:
                    refused = repr(error)
                took = time.monotonic() - began
                with self._more:
                    self._took.append(took)
                    if refused:
                        self.refused.append(f"{path}: {refused}")
                    self._more.notify_all()
                self._stop.wait(PAUSE_S)


def percentiles(seconds):
    """p50 and p99, in milliseconds."""
    cuts = quantiles(seconds, n=100, method="inclusive")
    return round(1000 * cuts[49], 1), round(1000 * cuts[98], 1)


@contextmanager
def strangers(kind, port, count, token=""):
    """Strangers at work; yields their processes. As many as it takes for a process's open files."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    each = min(count, 6000, most - 100)
    counts = [min(each, count - start) for start in range(0, count, each)]
    script = str(Path(__file__).with_name("strangers.py"))
    made = [
        subprocess.Popen(
            [sys.executable, script, kind, str(port), str(some), token],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for some in counts
    ]
    try:
        for process in made:
            assert process.stdout.readline() == "ready\n"
        yield made
    finally:
        for process in made:
            process.kill()
            process.communicate()
