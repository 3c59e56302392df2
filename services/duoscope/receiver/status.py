"""The one table from error kinds to OTLP statuses, and the messages that both transports answer with.

Of these, clients retry UNAVAILABLE and RESOURCE_EXHAUSTED with RetryInfo on gRPC, 429 and 503 on HTTP (OTLP 1.11,
"Failures"); every other status makes a client drop the data.
"""

import math
from dataclasses import dataclass, replace
from typing import Final

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind, unavailable
from duoscope.receiver.signals import Signal

STATUSES: Final[dict[ErrorKind, tuple[grpc.StatusCode, int]]] = {
    ErrorKind.INVALID: (grpc.StatusCode.INVALID_ARGUMENT, 400),
    ErrorKind.UNAUTHENTICATED: (grpc.StatusCode.UNAUTHENTICATED, 401),
    ErrorKind.FORBIDDEN: (grpc.StatusCode.PERMISSION_DENIED, 403),
    ErrorKind.NOT_FOUND: (grpc.StatusCode.UNIMPLEMENTED, 404),
    ErrorKind.METHOD_NOT_ALLOWED: (grpc.StatusCode.UNIMPLEMENTED, 405),
    ErrorKind.CONFLICT: (grpc.StatusCode.FAILED_PRECONDITION, 409),
    ErrorKind.OUTDATED: (grpc.StatusCode.FAILED_PRECONDITION, 412),
    ErrorKind.TOO_LARGE: (grpc.StatusCode.RESOURCE_EXHAUSTED, 413),
    ErrorKind.UNSUPPORTED_MEDIA: (grpc.StatusCode.INVALID_ARGUMENT, 415),
    ErrorKind.RATE_LIMITED: (grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
    ErrorKind.UNAVAILABLE: (grpc.StatusCode.UNAVAILABLE, 503),
    ErrorKind.INTERNAL: (grpc.StatusCode.INTERNAL, 500),
}


_RETRYABLE: Final = frozenset({ErrorKind.RATE_LIMITED, ErrorKind.UNAVAILABLE})

_REJECTED_FIELD: Final = 1
_MESSAGE_FIELD: Final = 2
"""The same numbers in the partial success of every signal; only the names differ."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The result of an accepted request.

    Attributes:
        rejected: number of items that were left out; spans, log records or data points.
        message: why, in English, for the developer at the other end; empty when there is nothing to say.
    """

    rejected: int = 0
    message: str = ""

    def with_remark(self, remark: str) -> "Accepted":
        """The same result with an additional message."""
        return replace(self, message="; ".join(filter(None, (self.message, remark)))) if remark else self


def retry_after_s(error: DuoscopeError) -> float | None:
    """Seconds after which the same request makes sense again; None if it never will."""
    if error.kind not in _RETRYABLE:
        return None
    return limits.INGEST_RETRY_AFTER_S if error.retry_after_s is None else error.retry_after_s


def rpc_status(error: DuoscopeError) -> Status:
    """The error as google.rpc.Status, with RetryInfo if and only if a retry makes sense."""
    status = Status(code=STATUSES[error.kind][0].value[0], message=error.message)
    status.details.add().Pack(ErrorInfo(reason=error.code, domain="duoscope"))
    if error.kind is ErrorKind.INVALID:
        violation = BadRequest.FieldViolation(description=error.message, reason=error.code.upper().replace("-", "_"))
        status.details.add().Pack(BadRequest(field_violations=[violation]))
    pause_s = retry_after_s(error)
    if pause_s is not None:
        delay = Duration()
        delay.FromMilliseconds(math.ceil(pause_s * 1000))
        status.details.add().Pack(RetryInfo(retry_delay=delay))
    return status


def response(signal: Signal, accepted: Accepted) -> Message:
    """The Export…ServiceResponse; `partial_success` stays unset when there is nothing to say (OTLP 1.11)."""
    message = signal.response()
    if accepted.rejected or accepted.message:
        partial: Message = getattr(message, "partial_success")  # noqa: B009 - `Message` does not know its kinds
        names = partial.DESCRIPTOR.fields_by_number
        setattr(partial, names[_REJECTED_FIELD].name, accepted.rejected)
        setattr(partial, names[_MESSAGE_FIELD].name, accepted.message)
    return message


def too_large() -> DuoscopeError:
    """The error for a request over the size limit, compressed or not. It must not be sent again."""
    megabytes = limits.INGEST_REQUEST_BYTES_MAX // 2**20
    return DuoscopeError(
        ErrorKind.TOO_LARGE,
        "request-too-large",
        f"A request may hold {megabytes} MiB after decompression, and JSON as protobuf; send smaller batches.",
    )


def too_slow() -> DuoscopeError:
    """The error for a sender that stopped in the middle. The data is not at fault."""
    return DuoscopeError(
        ErrorKind.UNAVAILABLE, "request-too-slow", "The request did not arrive in time; send it again."
    )


def unexpected() -> DuoscopeError:
    """The error for a defect of ours. Retryable: the data is not at fault and must not be dropped."""
    return DuoscopeError(
        ErrorKind.UNAVAILABLE, "internal-error", "The receiver failed on this request; send it again.", retry_after_s=5
    )


def busy() -> DuoscopeError:
    """The error on connections beyond the limit."""
    return unavailable(
        "The receiver has too many connections; send the same request again shortly.",
        code="too-many-connections",
        retry_after_s=limits.INGEST_RETRY_AFTER_S,
    )


def shutting_down() -> DuoscopeError:
    """The error for requests that arrive after the stop began."""
    return unavailable("The receiver is shutting down.", code="shutting-down", retry_after_s=1)


def no_memory() -> DuoscopeError:
    """The error for a request that found no memory."""
    return unavailable(
        "The receiver has no memory for this request now; send it again.",
        code="receiver-busy",
        retry_after_s=limits.INGEST_RETRY_AFTER_S,
    )


def elsewhere() -> DuoscopeError:
    """The error for a request that another receiver has not finished."""
    return unavailable(
        "Another receiver is storing the same request; send it again shortly.",
        code="request-elsewhere",
        retry_after_s=limits.INGEST_RETRY_AFTER_S,
    )


def disk_trouble() -> DuoscopeError:
    """The error for requests that cannot be written to the log."""
    return unavailable(
        "The receiver cannot write to its disk; send the same request again later.",
        code="spool-unavailable",
        retry_after_s=limits.INGEST_SPOOL_RETRY_AFTER_S,
    )
