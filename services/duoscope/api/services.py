"""What the API is given to work with."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from prometheus_client import REGISTRY, CollectorRegistry

from duoscope.identity.access import Access
from duoscope.identity.invitations import Invitations
from duoscope.identity.passwords import SlowHasher
from duoscope.identity.sessions import Sessions
from duoscope.identity.tokens import AccessTokens
from duoscope.kernel.settings import Settings
from duoscope.stores.clickhouse import TelemetryStore
from duoscope.stores.postgres import MetadataStore

Check = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ApiServices:
    """The parts of the process that routes use.

    Attributes:
        metadata, telemetry: the stores.
        sessions, tokens, access: for logging in, for checking who calls, and what they may do.
        hasher: for passwords of people.
        invitations: how people come.
        settings: of the process.
        registry: the process's own metrics, shown at /metrics.
        readiness: further checks for /health/ready by the part's name; a check raises DuoscopeError unless it is ready.
        stopping: when it is set, streams end, so that the process can.
    """

    metadata: MetadataStore
    telemetry: TelemetryStore
    sessions: Sessions
    tokens: AccessTokens
    access: Access
    hasher: SlowHasher
    invitations: Invitations
    settings: Settings
    registry: CollectorRegistry = REGISTRY
    readiness: Mapping[str, Check] = field(default_factory=dict[str, Check])
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
