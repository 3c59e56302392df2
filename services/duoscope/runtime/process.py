"""What the parts of one process share: its settings, stores and keys, and the stack of what is stopped at its end."""

import asyncio
import dataclasses
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Final, Protocol

from duoscope.api.dependencies import Check
from duoscope.background.driver import Driver
from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.identity.operators.bootstrap import FirstStart
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.kernel.settings import Settings
from duoscope.secrets.keys import SecretKeys
from duoscope.stores.clickhouse import TelemetryStore
from duoscope.stores.postgres import MetadataStore

_REACHED_AS: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared, not bound
"""For each address that stands for all of this machine's, one that a client on it can use."""


@dataclass(frozen=True, slots=True)
class Started:
    """The addresses of a started process.

    Attributes:
        settings: with the ports that were actually bound.
        first_start: what bootstrap created or found; None if it did not run.
        api_url, otlp_grpc_endpoint, otlp_http_endpoint: for users and collectors on this machine.
    """

    settings: Settings
    first_start: FirstStart | None
    api_url: str
    otlp_grpc_endpoint: str
    otlp_http_endpoint: str


@dataclass(slots=True)
class Process:
    """A process while its parts start. A part registers its end with `stack`, so that parts stop in reverse order.

    Attributes:
        settings: a part that binds a port writes its number here.
        parts: the names of the parts of this process.
        listening: the sockets of the HTTP ports by the names of their settings, bound before the stores open.
        waiting_since: when the oldest request was acknowledged that a receiver of this process has not stored.
        readiness: the checks of `/health/ready`, by name.
        first_start: set by the part that runs bootstrap.
    """

    settings: Settings
    parts: frozenset[str]
    stop: asyncio.Event
    stack: AsyncExitStack
    driver: Driver
    listening: dict[str, socket.socket]
    metadata: MetadataStore
    telemetry: TelemetryStore
    keys: SecretKeys
    hasher: SlowHasher
    verifier: ApiKeyVerifier
    waiting_since: Callable[[], datetime | None] = lambda: None
    readiness: dict[str, Check] = field(default_factory=dict[str, Check])
    first_start: FirstStart | None = None

    def bound(self, **ports: int) -> None:
        """Record the ports that were bound, by the names of their settings."""
        self.settings = dataclasses.replace(self.settings, **ports)

    def oldest_waiting(self) -> datetime | None:
        """`waiting_since` of the receiver, whether it has started by now or not."""
        return self.waiting_since()

    @property
    def started(self) -> Started:
        """The addresses of everything that has started so far."""
        host = _REACHED_AS.get(self.settings.host, self.settings.host)
        scheme = "https" if self.settings.otlp_tls_cert else "http"
        return Started(
            settings=self.settings,
            first_start=self.first_start,
            api_url=self.settings.public_url or f"http://{host}:{self.settings.api_port}",
            otlp_grpc_endpoint=f"{scheme}://{host}:{self.settings.otlp_grpc_port}",
            otlp_http_endpoint=f"{scheme}://{host}:{self.settings.otlp_http_port}",
        )


class Part(Protocol):
    """One of the parts that a process may consist of, created from the settings before anything is opened.

    Attributes:
        http_port: the name of the setting with the HTTP port that it listens on; empty if none.
    """

    http_port: ClassVar[str]

    def __init__(self, settings: Settings) -> None:
        """Read what the part needs from files. Raises INVALID if it cannot."""
        ...

    async def start(self, process: Process) -> None:
        """Start the part, and register its end with the process."""
        ...
