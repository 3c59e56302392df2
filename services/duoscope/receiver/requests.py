"""A request on its way into the log."""

import asyncio
from dataclasses import dataclass, field

from duoscope.identity.api_keys.verifier import IngestPrincipal
from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.receiver.admission.tenant_series import bounds_of
from duoscope.receiver.decoder import Outcome
from duoscope.receiver.durability.records import Record
from duoscope.receiver.signals import Signal


@dataclass(slots=True, eq=False)
class Request:
    """One waiting request. `done` is resolved exactly once; `applied` has the limits of its tenant."""

    principal: IngestPrincipal
    signal: Signal
    raw: bytes
    digest: str
    received_ns: int
    done: asyncio.Future[Outcome]
    applied: IngestLimits = field(default_factory=IngestLimits)

    @property
    def key(self) -> str:
        """The identity of the request, as `Record.key`."""
        return f"{self.principal.scope.tenant_id}/{self.digest}"

    def record(self) -> Record:
        """The request as it goes into the log, not decoded yet."""
        return Record(
            self.signal.kind,
            self.principal.scope,
            self.principal.api_key_id,
            self.digest,
            self.received_ns,
            self.principal.retention_days,
            bounds_of(self.applied),
            self.raw,
        )

    def resolve(self, outcome: Outcome | Exception) -> None:
        """Answer the request; a second answer is ignored."""
        if self.done.done():
            return
        if isinstance(outcome, Exception):
            self.done.set_exception(outcome)
        else:
            self.done.set_result(outcome)
