"""OTLP/JSON bodies: made protobuf by the decoder (`decoder/json/`), after which they go the way of everything else."""

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
"""Some 100 us; more is read in a thread."""


async def to_protobuf(signal: Signal, body: bytes, reservation: Reservation) -> tuple[bytes, str]:
    """The same request as serialized protobuf, and what to tell its sender of the first fault in it, if there is one.

    What is wrong in an item costs that item. `body` is already reserved; afterwards only the answer is.

    Raises:
        DuoscopeError: INVALID for what is no request of this signal in OTLP/JSON, with where and why, TOO_LARGE beyond
            INGEST_REQUEST_BYTES_MAX as protobuf, UNAVAILABLE where there is no room for it now.
    """
    size = len(body)
    # By far most become shorter, so that more is only asked for when it is needed.
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
