"""The one table from kinds of error to OTLP statuses, and the google.rpc.Status both transports answer with.

Retryable for clients are, of these, UNAVAILABLE and RESOURCE_EXHAUSTED with RetryInfo on gRPC, 429 and 503 on HTTP
(OTLP 1.11, "Failures"); everything else makes a client drop the data.
"""

import math
from typing import Final

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from duoscope.kernel.errors import DuoscopeError, ErrorKind

STATUSES: Final[dict[ErrorKind, tuple[grpc.StatusCode, int]]] = {
    ErrorKind.INVALID: (grpc.StatusCode.INVALID_ARGUMENT, 400),
    ErrorKind.UNAUTHENTICATED: (grpc.StatusCode.UNAUTHENTICATED, 401),
    ErrorKind.FORBIDDEN: (grpc.StatusCode.PERMISSION_DENIED, 403),
    ErrorKind.NOT_FOUND: (grpc.StatusCode.UNIMPLEMENTED, 404),
    ErrorKind.METHOD_NOT_ALLOWED: (grpc.StatusCode.UNIMPLEMENTED, 405),
    ErrorKind.CONFLICT: (grpc.StatusCode.ABORTED, 409),
    ErrorKind.TOO_LARGE: (grpc.StatusCode.RESOURCE_EXHAUSTED, 413),
    ErrorKind.UNSUPPORTED_MEDIA: (grpc.StatusCode.INVALID_ARGUMENT, 415),
    ErrorKind.RATE_LIMITED: (grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
    ErrorKind.UNAVAILABLE: (grpc.StatusCode.UNAVAILABLE, 503),
    ErrorKind.INTERNAL: (grpc.StatusCode.INTERNAL, 500),
}


def rpc_status(error: DuoscopeError) -> Status:
    """The error as google.rpc.Status, with RetryInfo where a retry makes sense."""
    status = Status(code=STATUSES[error.kind][0].value[0], message=error.message)
    status.details.add().Pack(ErrorInfo(reason=error.code, domain="duoscope"))
    if error.retry_after_s is not None:
        delay = Duration()
        delay.FromMilliseconds(math.ceil(error.retry_after_s * 1000))
        status.details.add().Pack(RetryInfo(retry_delay=delay))
    return status


def unexpected() -> DuoscopeError:
    """What a client is told when we are at fault. Retryable: the data is not at fault and must not be dropped."""
    return DuoscopeError(
        ErrorKind.UNAVAILABLE, "internal-error", "The receiver failed on this request; send it again.", retry_after_s=5
    )
