"""A deployment whose parts can be killed one by one."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from duoscope.stores.embedded import EmbeddedPostgres
from support.up import free_ports

START_S = 240
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "3"))
THOROUGH = ROUNDS > 10
"""Whether this is `make faults`; a short form of it is part of the suite."""
only_thorough = pytest.mark.skipif(not THOROUGH, reason="takes long: a part of `make faults`")

COMMAND = (sys.executable, "-c", "import sys; from duoscope.cli import run; sys.exit(run())")


class Process:
    """A part of the deployment."""

    def __init__(self, command, log, env=None):
        self._command, self.log, self._env = command, log, env
        self.process = None

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, env=self._env)

    def kill(self, number=signal.SIGKILL):
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(START_S)

    def signal(self, number):
        self.process.send_signal(number)

    def wait_for(self, is_ready):
        deadline = time.monotonic() + START_S
        while not is_ready():
            assert self.process.poll() is None, self.log.read_text()[-4000:]
            assert time.monotonic() < deadline, self.log.read_text()[-4000:]
            time.sleep(0.02)


def answers(url):
    try:
        return httpx.get(url, timeout=5).status_code < 500
    except httpx.TransportError:
        return False


class Receiver(Process):
    """An OTLP receiver of its own process and folder."""

    def __init__(self, command, env, folder, ports, log=None):
        self.grpc_port, self.http_port, self.metrics_port = ports
        self.folder = folder
        options = ["--otlp-grpc-port", str(ports[0]), "--otlp-http-port", str(ports[1])]
        options += ["--metrics-port", str(ports[2]), "--data-dir", str(folder)]
        super().__init__([*command, "receiver", *options], log or folder.with_suffix(".log"), env)

    def start(self):
        super().start()
        self.wait_for(lambda: answers(f"http://127.0.0.1:{self.http_port}/v1/logs"))

    @property
    def known_keys_at(self):
        """When the receiver wrote down the keys that it knows."""
        path = self.folder / "api-keys.cache"
        return path.stat().st_mtime_ns if path.exists() else 0

    def batches(self, suffix=".segment"):
        return sorted((self.folder / "ingest").glob(f"*{suffix}"))

    @property
    def waiting(self):
        """Segments that are not stored yet."""
        return self.batches() + self.batches(".growing")


class Postgres:
    """The deployment's own PostgreSQL, which comes back to the same address."""

    def __init__(self, folder):
        self._folder = folder
        self._server = None

    async def start(self):
        self._server = await EmbeddedPostgres.start(self._folder)
        self.service_dsn, self.admin_dsn = self._server.address.service_dsn, self._server.address.admin_dsn

    async def stop(self):
        await self._server.stop()


class Deployment:
    """Two receivers and an API over PostgreSQL and a ClickHouse front; see clickhouse_front.py."""

    def __init__(self, folder: Path, postgres, receivers):
        self.folder, self._command = folder, COMMAND
        command, ports = COMMAND, free_ports(2 + 3 * receivers)
        self.front_port, self.api_port, *receiver_ports = ports
        self.env = os.environ | {
            "DUOSCOPE_POSTGRES_DSN": postgres.service_dsn,
            "DUOSCOPE_POSTGRES_ADMIN_DSN": postgres.admin_dsn,
            "DUOSCOPE_CLICKHOUSE_DSN": f"clickhouse://d:d@127.0.0.1:{self.front_port}/default?compress=0",
            "DUOSCOPE_SECRET_KEY": "f" * 64,
        }
        front = [sys.executable, str(Path(__file__).with_name("clickhouse_front.py")), str(folder / "clickhouse")]
        self.front = Process([*front, str(self.front_port)], folder / "front.log")
        data = str(folder / "api")
        self.api_process = Process(
            [*command, "api", "--api-port", str(self.api_port), "--data-dir", data], folder / "api.log", self.env
        )
        self.receivers = [
            Receiver(command, self.env, folder / f"receiver{n}", receiver_ports[3 * n - 3 : 3 * n])
            for n in range(1, receivers + 1)
        ]

    @property
    def processes(self):
        return [*self.receivers, self.api_process, self.front]

    def start(self):
        (self.folder / "clickhouse").mkdir(parents=True, exist_ok=True)
        self.start_front()
        self.run("migrate", "up")
        self.api_process.start()
        self.api_process.wait_for(lambda: answers(f"http://127.0.0.1:{self.api_port}/health/ready"))
        for receiver in self.receivers:
            receiver.start()

    def start_front(self):
        self.front.start()
        self.front.wait_for(lambda: answers(f"http://127.0.0.1:{self.front_port}/ping"))

    def stop(self):
        for each in self.processes:
            if each.process is not None and each.process.poll() is None:
                each.signal(signal.SIGCONT)
                each.kill()

    def settle(self, pause_s=120):
        """Wait until nothing waits on any disk; it may take long, but not so long for the next segment."""

        def waiting():
            return sum(len(each.waiting) for each in self.receivers)

        left, deadline = waiting(), time.monotonic() + pause_s
        while left:
            assert time.monotonic() < deadline, [receiver.log.read_text()[-2000:] for receiver in self.receivers]
            time.sleep(0.05)
            if (now_left := waiting()) < left:
                deadline = time.monotonic() + pause_s
            left = now_left

    def fault(self, **options):
        httpx.post(f"http://127.0.0.1:{self.front_port}/fault", params=options).raise_for_status()

    def query(self, sql):
        """Run a statement of ClickHouse's."""
        httpx.post(f"http://127.0.0.1:{self.front_port}/", content=sql.encode(), timeout=START_S).raise_for_status()

    def run(self, *arguments, env=None):
        done = subprocess.run(
            [*self._command, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=START_S,
            env=self.env | (env or {}),
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def api_log(self):
        return self.api_process.log

    @property
    def known(self):
        return json.loads((self.folder / "api" / "credentials.json").read_text())

    def tenant(self, name):
        """A new tenant."""
        return made_tenant(self, name)


def made_tenant(deployment, name):
    """A new tenant: its key, its key's id, and a way to read it over the API."""
    arguments = ("--organization", "Faults", "--mfa-optional", "--json")
    made = json.loads(deployment.run("admin", "create-tenant", name, *arguments))
    tenant_id = made["tenant_id"]
    key = json.loads(deployment.run("admin", "create-api-key", "--name", name, "--tenant", tenant_id, "--json"))
    email = f"{name}@example.com"
    arguments = ("--tenant", tenant_id, "--role", "admin", "--generate", "--json")
    user = json.loads(deployment.run("admin", "create-user", email, *arguments))
    return Tenant(deployment, name, key["api_key"], key.get("api_key_id", ""), email, user["password"])


@dataclass
class Tenant:
    """Somebody who sends and reads."""

    deployment: Deployment
    name: str
    key: str
    key_id: str
    email: str
    password: str

    @contextmanager
    def api(self):
        url = f"http://127.0.0.1:{self.deployment.api_port}/api/v1"

        def explain(response):
            if response.status_code == 500:
                response.read()
                log = self.deployment.api_log.read_text().splitlines()
                about = [line for line in log if response.json()["request_id"] in line]
                raise AssertionError("\n".join([response.text, *about]))

        with httpx.Client(base_url=url, timeout=60, event_hooks={"response": [explain]}) as client:
            answer = client.post("/auth/login", json={"email": self.email, "password": self.password})
            assert answer.status_code == 200, answer.text
            client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
            yield client
