"""The receiver part: OTLP over gRPC and HTTP, admission, the request log and its way to ClickHouse."""

import asyncio
from typing import ClassVar

from duoscope.kernel import limits
from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.kernel.settings import Settings
from duoscope.net import ports
from duoscope.net.proxies import trusted_proxies
from duoscope.net.tls import TlsFiles
from duoscope.receiver.admission.receivers import Receivers
from duoscope.receiver.durability.leases import IngestLeases
from duoscope.receiver.durability.request_log import RequestLog
from duoscope.receiver.ingest import Ingest
from duoscope.receiver.transport.grpc_server import GrpcServer
from duoscope.receiver.transport.http_server import HttpApplication, http_server
from duoscope.runtime.descriptors import allow_open_files
from duoscope.runtime.process import Process
from duoscope.stores.embedded import TokenLogs


class ReceiverPart:
    """The receiver part of a process."""

    http_port: ClassVar[str] = "otlp_http_port"

    def __init__(self, settings: Settings) -> None:
        """Read the TLS files. Raises INVALID if they do not belong together."""
        self._tls = TlsFiles.of(settings)

    async def start(self, process: Process) -> None:
        """Load the request log, then listen."""
        ingest, receivers = await self._open_ingest(process)
        process.readiness["ingest"] = ingest.ready
        await self._listen(process, ingest, receivers)

    async def _open_ingest(self, process: Process) -> tuple[Ingest, Receivers]:
        """Create the `Ingest` and the counter of receivers. With an embedded ClickHouse there is one receiver, so
        nothing is counted.
        """
        settings = process.settings
        log = await asyncio.to_thread(RequestLog.open, settings.data_dir / "ingest")
        receivers = Receivers(process.metadata, log.receiver_id, process.oldest_waiting)
        shared = not settings.embedded_clickhouse
        tokens = None if shared else TokenLogs(settings.data_dir / "clickhouse")
        if tokens:  # those of a process that was killed
            await asyncio.to_thread(tokens.sync)
        ingest = Ingest(
            process.telemetry,
            process.verifier,
            log,
            IngestLimits.parse(settings.ingest_limits),
            IngestLeases(process.metadata, log.receiver_id) if shared else None,
            receivers=lambda: receivers.count,
            driver=process.driver,
            acknowledge=settings.acknowledge,
            sync_store=tokens.sync if tokens else None,
            readers_wait=not shared,  # one process has the embedded engine
        )
        await ingest.start()
        process.stack.push_async_callback(ingest.close)
        process.telemetry.read_after(ingest.settled)
        process.waiting_since = ingest.waiting_since
        if shared:
            await receivers.start(process.driver)
            process.stack.push_async_callback(receivers.close)
        return ingest, receivers

    async def _listen(self, process: Process, ingest: Ingest, receivers: Receivers) -> None:
        settings = process.settings
        connections_max = min(limits.INGEST_CONNECTIONS_MAX, allow_open_files())
        trusted = trusted_proxies(settings.trusted_proxies)
        grpc = GrpcServer(ingest, self._tls, trusted, connections_max=connections_max)
        http = http_server(HttpApplication(ingest, trusted), self._tls, trusted, connections_max=connections_max)
        try:
            await grpc.start(settings.host, settings.otlp_grpc_port)
        except RuntimeError as error:
            raise ports.taken(settings.host, {"otlp_grpc_port": settings.otlp_grpc_port}) from error
        await http.start(process.listening[self.http_port])

        async def drain() -> None:
            """Stop both transports at once: neither accepts new requests while the other finishes its last, and other
            receivers get this one's share.
            """
            grace_s = limits.INGEST_DRAIN_MAX_S
            await asyncio.gather(http.stop(grace_s), grpc.stop(grace_s), receivers.close())

        process.stack.push_async_callback(drain)
        process.bound(otlp_grpc_port=grpc.port)
