"""OTLP/gRPC: three `Export` methods over raw bytes.

grpcio decompresses gzip and enforces the size limit; it is given no deserialiser, so that malformed bytes are answered
by us (its own answer would be UNKNOWN with Python text inside) and never become objects twice.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError
from duoscope.receiver.ingest import Ingest
from duoscope.receiver.signals import SIGNALS, Signal
from duoscope.receiver.status import STATUSES, rpc_status, unexpected

_log = logging.getLogger(__name__)

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", limits.INGEST_REQUEST_BYTES_MAX),
    # The collector pings every 10 s by default; grpcio takes more than two pings in five minutes for abuse.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.so_reuseport", 0),
)

_Context = grpc.aio.ServicerContext[bytes, bytes]


class GrpcServer:
    """Serves `ingest` on one address. `port` is the bound port, also when 0 was asked for."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self._server = grpc.aio.server(options=_OPTIONS)
        for signal in SIGNALS:
            method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(self._export(signal))
            self._server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(signal.grpc_service, {"Export": method}),)
            )
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Raises:
            RuntimeError: the address cannot be bound.
        """
        self.port = self._server.add_insecure_port(f"{host}:{port}")
        await self._server.start()

    async def stop(self, grace_s: float) -> None:
        """Take no new call; let running ones end for `grace_s`."""
        await self._server.stop(grace_s)

    def _export(self, signal: Signal) -> Callable[[bytes, _Context], Awaitable[bytes]]:
        async def export(raw: bytes, context: _Context) -> bytes:
            try:
                headers = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
                principal = await self._ingest.authenticate(headers, signal)
                await self._ingest.accept(principal, signal, raw)
            except DuoscopeError as error:
                await _abort(context, error)
            except Exception:  # noqa: BLE001 - the client must hear that the data is not at fault
                _log.exception("%s over gRPC failed", signal.name)
                await _abort(context, unexpected())
            # A response without partial_success is empty on the wire and means full success.
            return b""

        return export


async def _abort(context: _Context, error: DuoscopeError) -> Any:
    status = rpc_status(error)
    metadata = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(STATUSES[error.kind][0], error.message, metadata)
