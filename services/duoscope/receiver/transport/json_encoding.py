"""OTLP/JSON bodies: the decoder (`decoder/json/`) converts them to protobuf, which then takes the usual path."""

from functools import partial
from typing import Final

from duoscope.kernel import limits
from duoscope.kernel.errors import invalid
from duoscope.receiver.admission.memory import Reservation
from duoscope.receiver.decoder import JSON_GROWTH_MAX, NoRoomError, NotJsonError, from_json
from duoscope.receiver.signals import Signal
from duoscope.receiver.status import too_large
from duoscope.receiver.transport.compression import in_thread

_INLINE_BYTES_MAX: Final = 32 * 1024
"""About 100 us; larger bodies are read in a thread."""


async def to_protobuf(signal: Signal, body: bytes, reservation: Reservation) -> tuple[bytes, str]:
    """The same request as serialized protobuf, and a message about its first error, if there is one.

    An error in an item rejects that item. `body` is already reserved; afterwards only the result is.

    Raises:
        DuoscopeError: INVALID for a body that is not a request of this signal in OTLP/JSON, with where and why,
            TOO_LARGE beyond INGEST_REQUEST_BYTES_MAX as protobuf, UNAVAILABLE if there is no room for it now.
    """
    size = len(body)
    # By far most become shorter, so more is reserved only when it is needed.
    for room in (size, min(JSON_GROWTH_MAX * size, limits.INGEST_REQUEST_BYTES_MAX)):
        reservation.resize(size + 2 * room)
        read = partial(from_json, signal.kind, body, room)
        try:
            raw, fault = read() if size <= _INLINE_BYTES_MAX else await in_thread(read)
        except NoRoomError:
            continue
        except NotJsonError as error:
            raise invalid(
                f"The body is not a valid {signal.request.DESCRIPTOR.name} in OTLP/JSON: {error.fault}.",
                code="malformed-request",
            ) from error
        reservation.resize(len(raw))
        return raw, f"first in the JSON: {fault}" if fault else ""
    raise too_large()
