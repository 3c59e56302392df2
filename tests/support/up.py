"""A whole duoscope in a separate process, for tests from outside."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest


class Up:
    """A `duoscope up` in a separate process, on free ports."""

    COMMAND = (sys.executable, "-c", "import sys; from duoscope.cli import run; sys.exit(run())")
    START_S = 240
    STOP_S = 10

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.api_port, self.grpc_port, self.http_port = free_ports(3)
        self.log = data_dir.with_name(f"{data_dir.name}.log")
        self.process: subprocess.Popen[bytes] | None = None
        self.environment: dict[str, str] = {}

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def grpc_target(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def otlp_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def api_log(self) -> Path:
        return self.log

    @property
    def known(self) -> dict[str, str]:
        """The credentials that the first start wrote."""
        return json.loads((self.data_dir / "credentials.json").read_text())

    @property
    def key(self) -> str:
        return self.known["api_key"]

    def start(self) -> float:
        """Start it. Returns the seconds until it was ready."""
        ports = {"--api-port": self.api_port, "--otlp-grpc-port": self.grpc_port, "--otlp-http-port": self.http_port}
        options = [str(part) for option in ports.items() for part in option]
        began = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.COMMAND, "up", *options, "--data-dir", str(self.data_dir)],
                stdout=log,
                stderr=log,
                env=os.environ | self.environment,
            )
        while not self._ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() - began < self.START_S, self.log.read_text()
            time.sleep(0.02)
        return time.monotonic() - began

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.api_url}/health/ready", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def settle(self) -> None:
        """Wait until everything acknowledged is stored."""
        deadline = time.monotonic() + self.START_S
        while any(path.suffix in {".growing", ".segment"} for path in (self.data_dir / "ingest").iterdir()):
            assert time.monotonic() < deadline, self.log.read_text()[-4000:]
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop it, and check that it ends cleanly and in time."""
        assert self.process is not None
        self.process.send_signal(number)
        try:
            assert self.process.wait(self.STOP_S) == 0, self.log.read_text()
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill it (kill -9), if it still runs."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run another `duoscope` command on the same data folder. Returns its output."""
        done = subprocess.run(
            [*self.COMMAND, *arguments, "--data-dir", str(self.data_dir)],
            capture_output=True,
            text=True,
            check=False,
            timeout=self.START_S,
            env=os.environ | self.environment,
        )
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    def admin(self, *arguments: str) -> Any:
        return json.loads(self.run("admin", *arguments, "--json"))

    @contextmanager
    def api(self, email: str | None = None, password: str | None = None) -> Generator[httpx.Client]:
        """The API as a user sees it; by default, as the admin of the first start."""
        login = {
            "email": email or self.known["admin_email"],
            "password": password or self.known["admin_password"],
        }
        with httpx.Client(base_url=f"{self.api_url}/api/v1", timeout=30) as client:
            answer = client.post("/auth/login", json=login)
            assert answer.status_code == 200, answer.text
            client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
            yield client


def free_ports(count: int) -> list[int]:
    """Ports that no one listens on, all different.

    Below those that the system gives to outgoing connections, one of which could take the port of a server that is
    killed and started again.
    """
    ports: list[int] = []
    sockets: list[socket.socket] = []
    try:
        while len(ports) < count:
            port = random.randrange(10_000, 32_000)
            sockets.append(socket.socket())
            with suppress(OSError):
                sockets[-1].bind(("127.0.0.1", port))
                ports.append(port)
    finally:
        for each in sockets:
            each.close()
    return ports


@pytest.fixture(scope="session")
def start_up(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., AbstractContextManager[Up]]:
    """Starts a duoscope with its own data folder and variables; at the end it is killed if it still runs."""

    @contextmanager
    def starting(**environment: str) -> Generator[Up]:
        up = Up(tmp_path_factory.mktemp("up") / "data")
        up.environment |= environment
        try:
            up.start()
            yield up
        finally:
            up.kill()

    return starting


@pytest.fixture(scope="session")
def running(start_up: Callable[..., AbstractContextManager[Up]]) -> Generator[Up]:
    """One duoscope for all tests that only talk to it, which must stop cleanly at the end."""
    with start_up() as up:
        yield up
        up.stop()
