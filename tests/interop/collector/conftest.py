"""Real collectors with the README's configuration, and a table of what happened to the items they accepted."""

import importlib.util
import os
import re
import signal
import subprocess
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from support.up import free_ports

HERE = Path(__file__).parent
README = HERE.parents[2] / "README.md"
START_S = 30
STOP_S = 30
ROWS = pytest.StashKey[list]()
SIGNALS = {"traces": "spans", "logs": "log_records", "metrics": "metric_points"}


@dataclass(frozen=True)
class Way:
    """How a collector sends.

    Attributes:
        hurry: retry after a fraction of a second and not after five: more requests meet each fault.
    """

    transport: str
    compression: str
    hurry: bool = True

    def __str__(self) -> str:
        return f"{self.transport}-{self.compression}"


class Collector:
    """A collector as the README configures it, except for addresses, folders and the key."""

    def __init__(self, binary, folder, up, key, way, *, batch_s=None):
        ports = free_ports(3)
        self.binary, self.folder = binary, folder
        self.otlp_target = f"127.0.0.1:{ports[0]}"
        self.telemetry_url = f"http://127.0.0.1:{ports[2]}/metrics"
        self.lines = folder / "lines" / "app.log"
        self.lines.parent.mkdir(parents=True)
        self.log = folder / "collector.log"
        self.process = None
        exporter = {"gRPC": "otlp_grpc/duoscope", "HTTP": "otlp_http/duoscope"}[way.transport]
        (folder / "readme.yaml").write_text(
            replaced(
                configuration(),
                {
                    "127.0.0.1:14317": self.otlp_target,
                    "127.0.0.1:14318": f"127.0.0.1:{ports[1]}",
                    "127.0.0.1:4317": up.grpc_target,
                    "127.0.0.1:4318": up.otlp_url.removeprefix("http://"),
                    "/var/lib/otelcol": str(folder / "storage"),
                    "/var/log/example": str(self.lines.parent),
                    "<API key>": key,
                    "collection_interval: 30s": "collection_interval: 3s",
                    "exporters: [otlp_grpc/duoscope]": f"exporters: [{exporter}]",
                },
            )
        )
        override = f"""
processors:
  batch:
    timeout: {"200ms" if batch_s is None else f"{batch_s}s"}
exporters:
  {exporter}:
    compression: {way.compression}
    retry_on_failure: {"{initial_interval: 200ms, max_interval: 2s}" if way.hurry else "{}"}
service:
  telemetry:
    metrics:
      level: normal
      readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {ports[2]}}}}}}}}}]
"""
        (folder / "override.yaml").write_text(override)

    def start(self):
        files = [f"--config={self.folder / name}.yaml" for name in ("readme", "override")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([self.binary, *files], stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def _answers(self):
        try:
            self.counts()
        except httpx.TransportError:
            return False
        return True

    def counts(self):
        """Its own counts: items by (what, signal, receiver or exporter), by (what, signal), and "batched"."""
        sums = defaultdict(int)
        found = re.findall(
            r"^otelcol_(receiver_accepted|exporter_sent)_(spans|log_records|metric_points)\w*\{([^}]*)\} (\S+)$",
            text := httpx.get(self.telemetry_url, timeout=10).text,
            re.MULTILINE,
        )
        signals = {unit: name for name, unit in SIGNALS.items()}
        for what, unit, labels, value in found:
            part = re.search(r'(?:receiver|exporter)="([^"]+)"', labels)[1]
            sums[what, signals[unit], part] += int(float(value))
            sums[what, signals[unit]] += int(float(value))
        for value in re.findall(r"^otelcol_processor_batch_batch_send_size_sum\{.*\} (\S+)$", text, re.MULTILINE):
            sums["batched"] += int(float(value))
        return sums

    def refused(self):
        """Its own report of data that it gave up."""
        lines = self.log.read_text().splitlines()
        return [line[:1000] for line in lines if "Dropping data" in line or "Partial success" in line]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(STOP_S) == 0, self.log.read_text()

    def kill(self):
        """Kill it, if it runs."""
        if self.process:
            self.process.kill()
            self.process.wait()


def configuration():
    """The configuration in README.md."""
    (found,) = re.findall(r"^```yaml\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    return found


def replaced(text, replacements):
    """Replace everything that must differ in a test. Fails if the README has no such text."""
    for old, new in replacements.items():
        # Not within a longer number or path: 127.0.0.1:4317 is also a part of nothing else.
        text, count = re.subn(rf"(?<![\w]){re.escape(old)}(?![\w])", lambda _, new=new: new, text)
        assert count, f"README.md's collector configuration has no {old}"
    return text


@pytest.fixture(scope="session")
def binary():
    """The collector that `make interop-collector` built."""
    spec = importlib.util.spec_from_file_location("collector_build", HERE / "build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    if not build.is_built():
        pytest.skip("the collector is not built: `make interop-collector` does it, with a Go toolchain")
    return str(build.BINARY)


@pytest.fixture(scope="session")
def ways():
    """The ways that duoscope accepts: gRPC has gzip only. The first one has the README's patience between retries."""
    return [Way("gRPC", "gzip", hurry=False), Way("gRPC", "none"), Way("HTTP", "gzip"), Way("HTTP", "zstd")]


@pytest.fixture
def collectors(binary, tmp_path):
    """Starts collectors; at the end they are killed if they still run."""
    started = []

    def start(up, key, way, **options):
        folder = tmp_path / str(way)
        folder.mkdir()
        collector = Collector(binary, folder, up, key, way, **options)
        started.append(collector)
        collector.start()
        return collector

    yield start
    for collector in started:
        collector.kill()


@pytest.fixture
def new_tenant():
    """Makes a tenant of a running duoscope: its API as its user sees it, and its key."""

    def make(up, name):
        made = up.admin("create-tenant", name, "--organization", name, "--mfa-optional")["tenant_id"]
        email = f"{name}@example.com".lower()
        user = up.admin("create-user", email, "--tenant", made, "--role", "developer", "--generate")
        key = up.admin("create-api-key", "--tenant", made)["api_key"]
        return lambda: up.api(user["email"], user["password"]), key

    return make


@pytest.fixture
def rows(request):
    """The rows of the table at the end: add (signal, way, accepted, stored, doubled, lost)."""
    return request.config.stash.setdefault(ROWS, [])


def pytest_terminal_summary(terminalreporter, config):
    rows = config.stash.get(ROWS, [])
    if not rows or not os.environ.get("COLLECTOR_TABLE"):
        return
    line = "{:<21} {:<9} {:<11} {:>9} {:>9} {:>7} {:>5}".format
    terminalreporter.write_line("")
    terminalreporter.write_line(line("signal", "transport", "compression", "accepted", "stored", "doubled", "lost"))
    for kind, way, *counts in rows:
        shown = (f"{count:,}" for count in counts)
        terminalreporter.write_line(line(kind, way.transport, way.compression, *shown))


def pytest_configure(config):
    config.stash.setdefault(ROWS, [])
