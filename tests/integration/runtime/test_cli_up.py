"""`duoscope up`, `demo` and `health` as a user meets them: processes, a folder, free ports, signals."""

import json
import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from duoscope.cli import cli

COMMAND = (sys.executable, "-c", "import sys; from duoscope.cli import run; sys.exit(run())")
FREE_PORTS = ("--api-port", "0", "--otlp-grpc-port", "0", "--otlp-http-port", "0")
START_S = 240
STOP_S = 15


class Running:
    """A `duoscope up` and what it has printed."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        with (data_dir.parent / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "up", *FREE_PORTS, "--data-dir", str(data_dir)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.printed: list[str] = []

    def wait_for(self, pattern: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line)
            if found := re.search(pattern, line):
                return found[0]
        raise AssertionError("".join(self.printed) + (self.data_dir.parent / "log").read_text())

    def stop(self, number: int) -> str:
        started = time.monotonic()
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=STOP_S)
        assert time.monotonic() - started < 10
        return rest


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("up") / "data"


def _run(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=START_S, env=dict(os.environ)
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_a_first_start_tells_everything_once_and_a_demo_finds_it(data_dir, tmp_path):
    up = Running(data_dir)
    try:
        up.wait_for("Ctrl-C stops")
        told = "".join(up.printed)
        path = data_dir / "credentials.json"
        known = json.loads(path.read_text())
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for value in known.values():
            assert value in told
        assert f"endpoint: {known['otlp_grpc_endpoint'].removeprefix('http://')}\n" in told
        again = _run("admin", "collector-config", "--data-dir", str(data_dir))
        assert again.startswith("# For a collector on another machine, put this machine's name in place of 127.0.0.1, ")
        assert again in told
        other = _run(
            *("admin", "collector-config", "--api-key", "tfk-other", "--host", "0.0.0.0", "--data-dir", str(data_dir))
        )
        assert other.startswith(
            "# For a collector on another machine, put this machine's name in place of 127.0.0.1.\n"
        )
        assert other.count("authorization: Bearer tfk-other\n") == 2

        api_port = known["api_url"].rpartition(":")[2]
        assert _run("health", "api", "--api-port", api_port) == "api: ok\n"
        ports = [known[f"otlp_{kind}_endpoint"].rpartition(":")[2] for kind in ("grpc", "http")]
        assert _run("health", "receiver", "--otlp-grpc-port", ports[0], "--otlp-http-port", ports[1])
        assert "in use by another duoscope" in _run("up", *FREE_PORTS, "--data-dir", str(data_dir), code=1)
        assert "in use by another duoscope" in _run("migrate", "status", "--data-dir", str(data_dir), code=1)
        assert known["tenant_id"] in _run("admin", "list-tenants", "--data-dir", str(data_dir))
        proves = ("admin", "verify-domain", "Example.com", "--data-dir", str(data_dir), "--organization")
        assert "example.com is the organization's, by operator." in _run(*proves, "default")
        assert json.loads(_run(*proves, "default", "--json"))["verified_by"] == "operator"
        assert "No such organization" in _run(*proves, "nobody", code=1)

        outage = ("--scenario", "checkout-outage", "--duration", "3", "--rate", "40")
        said = _run("demo", *outage, "--data-dir", str(data_dir))
        counted = re.search(r"Done: (\d+) spans, (\d+) log records, (\d+) metric points accepted", said)
        assert counted is not None
        assert all(int(count) > 0 for count in counted.groups())
        assert "Not accepted" not in said
        suggested = [shlex.split(line)[1:] for line in said.splitlines() if line.startswith("  duoscope ")]
        assert [arguments[0] for arguments in suggested] == ["services", "trace", "logs", "metrics"]
        services, trace, logs, _ = (_run(*arguments) for arguments in suggested)
        metrics = _run("metrics", "sum by (job) (shop_requests_total)", "--data-dir", str(data_dir))
        assert re.search(r"^frontend +\d+ .* logs, metrics, traces$", services, re.MULTILINE)
        assert re.search(r"━.* (ms|s)( |$)", trace, re.MULTILINE)
        assert "ERROR" in logs or logs.startswith("No log records")
        assert "▁" in metrics
        assert "POST /checkout" in _run("traces", "service.version:1.4.0 status:error", "--data-dir", str(data_dir))
        _logs_in_and_out(known, tmp_path)
        assert _readable_by_others(data_dir) == []
        assert "does not know this API key" in _run("demo", "--api-key", "x", "--data-dir", str(data_dir), code=1)
    finally:
        rest = up.stop(signal.SIGINT)
    assert rest.splitlines()[-1] == "Stopped."
    assert up.process.returncode == 0
    assert "no answer on port" in _run("health", "api", "--api-port", api_port, code=1)


def _logs_in_and_out(known, home):
    """Without a data folder, as on another machine: with a password, then with a key."""

    def run(*arguments, typed=""):
        done = CliRunner(env={"XDG_CONFIG_HOME": str(home)}).invoke(
            cli, [*arguments, "--data-dir", str(home)] if arguments[0] != "logout" else arguments, input=typed
        )
        return done.output + str(done.exception or "")

    kept = home / "duoscope" / "login.json"
    assert "Nobody is logged in" in run("services")
    login = ("login", "--url", known["api_url"], "--email", known["admin_email"])
    assert "Logged in" not in run(*login, typed="wrong\n")
    assert not kept.exists()
    assert f"as {known['admin_email']}" in run(*login, typed=f"{known['admin_password']}\n")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert known["admin_password"] not in kept.read_text()
    assert "frontend" in run("services")
    stale = json.loads(kept.read_text()) | {"access_ends_at": 0}
    kept.write_text(json.dumps(stale))
    assert "frontend" in run("services")
    assert json.loads(kept.read_text())["refresh_token"] != stale["refresh_token"]
    assert "Logged out" in run("logout")
    assert not kept.exists()
    with_key = ("login", "--url", known["api_url"], "--with-api-key")
    assert "Logged in" not in run(*with_key, typed="tfk-nobody.x\n")
    assert "with an API key" in run(*with_key, typed=f"{known['read_api_key']}\n")
    assert '"name": "frontend"' in run("services", "--json")
    assert "Logged out" in run("logout")


def test_a_collector_configuration_without_a_key_says_how_to_get_one(tmp_path):
    assert "create-api-key" in _run("admin", "collector-config", "--data-dir", str(tmp_path), code=1)


def test_ports_that_are_the_same_are_named(tmp_path):
    said = _run("up", "--otlp-grpc-port", "5317", "--otlp-http-port", "5317", "--data-dir", str(tmp_path), code=2)
    assert said.endswith("--otlp-http-port and --otlp-grpc-port cannot both be 5317: give each a port of its own.\n")


def test_ports_that_are_taken_are_named_together_before_anything_is_made(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        api, grpc = (each.getsockname()[1] for each in (one, other))
        folder = tmp_path / "data"
        start = ("up", "--api-port", str(api), "--otlp-grpc-port", str(grpc), "--otlp-http-port", "0")
        said = _run(*start, "--data-dir", str(folder), code=1)
        assert f"127.0.0.1:{grpc} and 127.0.0.1:{api}" in said
        assert "--otlp-grpc-port" in said
        assert "--api-port" in said
        assert "First start" not in said
        assert not folder.exists()


def test_a_later_start_says_little_and_stops_on_sigterm(data_dir):
    up = Running(data_dir)
    try:
        up.wait_for("Credentials of the first start")
        assert json.loads((data_dir / "credentials.json").read_text())["api_key"] not in "".join(up.printed)
    finally:
        rest = up.stop(signal.SIGTERM)
    assert rest.splitlines()[-1] == "Stopped."
    assert up.process.returncode == 0


def test_a_demo_ends_soon_and_says_why_when_duoscope_stops_meanwhile(data_dir):
    up = Running(data_dir)
    try:
        up.wait_for("Credentials of the first start")
        key = json.loads((data_dir / "credentials.json").read_text())["api_key"]
        endpoint = re.search(r"OTLP/gRPC (\S+)", "".join(up.printed))
        assert endpoint is not None
        demo = subprocess.Popen(
            [*COMMAND, "demo", "--duration", "8", "--endpoint", endpoint[1], "--api-key", key],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert demo.stdout is not None
        said = demo.stdout.readline()
        assert "Sending to" in said
    finally:
        up.stop(signal.SIGTERM)
    rest, _ = demo.communicate(timeout=8 + 15)
    assert demo.returncode == 1
    assert f"the receiver stopped answering at {endpoint[1]}" in rest.splitlines()[-1]
    assert "read it back" not in rest


def _readable_by_others(folder: Path) -> list[str]:
    """The files of the folder that other accounts could read."""
    return [str(path) for path in folder.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o077]
