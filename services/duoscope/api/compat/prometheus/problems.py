"""Errors in Prometheus' form: its clients do not read problem details."""

import logging
import math
from typing import Any, Final

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec

from duoscope.api.compat.prometheus.answers import PrometheusProblem
from duoscope.api.problems import on_gone, request_id
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.stores.clickhouse.questions import CANCELLED, GoneClientError
from duoscope.telemetry.promql.errors import ExpressionError

_log = logging.getLogger(__name__)
_OF_TYPE: Final = {
    "bad_data": 400,
    "execution": 422,
    "timeout": 503,
    "canceled": 503,
    "unavailable": 503,
    "internal": 500,
    "not_found": 404,
}
_OF_KIND: Final = {
    ErrorKind.INVALID: ("bad_data", 400),
    ErrorKind.UNAUTHENTICATED: ("unauthorized", 401),
    ErrorKind.FORBIDDEN: ("forbidden", 403),
    ErrorKind.NOT_FOUND: ("not_found", 404),
    ErrorKind.RATE_LIMITED: ("too_many_requests", 429),
    ErrorKind.UNAVAILABLE: ("unavailable", 503),
}
_EXPLAINED: Final = {
    400: "A parameter or the expression cannot be; `error` says where.",
    401: "No valid access token or API key.",
    403: "It may not read metrics.",
    429: "Too many at once; retry after the seconds in Retry-After.",
    422: "These data do not allow what the expression asks.",
    503: "It took too long, or the store is away.",
}


def documented() -> dict[int, ResponseSpec]:
    """The errors of every route here, for the OpenAPI document."""
    return {
        status: ResponseSpec(PrometheusProblem, generate_examples=False, description=text)
        for status, text in _EXPLAINED.items()
    }


def _problem(
    status: int, kind: str, message: str, headers: dict[str, str] | None = None
) -> Response[PrometheusProblem]:
    return Response(
        PrometheusProblem("error", kind, message),
        status_code=status,
        media_type=MediaType.JSON,
        headers=headers or {},
    )


def on_expression_error(_: Request[Any, Any, Any], error: ExpressionError) -> Response[PrometheusProblem]:
    """Answer an invalid expression or parameter."""
    return _problem(_OF_TYPE[error.error_type], error.error_type, error.message)


def on_duoscope_error(request: Request[Any, Any, Any], error: DuoscopeError) -> Response[PrometheusProblem]:
    """Answer a DuoscopeError, whose message is for the caller."""
    kind, status = _OF_KIND.get(error.kind, ("internal", 500))
    if error.code == CANCELLED:
        kind, status = "canceled", _OF_TYPE["canceled"]
    if error.detail or kind == "internal":
        extra = {"code": error.code, "detail": error.detail or "", "request_id": request_id(request)}
        _log.warning("request failed", extra=extra)
    headers: dict[str, str] = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after_s))
    if error.kind is ErrorKind.UNAUTHENTICATED:
        headers["www-authenticate"] = "Bearer"
    return _problem(status, kind, error.message, headers)


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[PrometheusProblem]:
    """Answer an exception of Litestar."""
    if error.status_code >= 500:  # noqa: PLR2004 - the server's fault
        return on_unexpected(request, error)
    return _problem(error.status_code, "bad_data", "The request is malformed.")


def on_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[PrometheusProblem]:
    """Answer a defect: the details go to the log."""
    _log.error("unexpected error", exc_info=error, extra={"request_id": request_id(request)})
    return _problem(500, "internal", "Something went wrong on our side. Quote the request id when you report it.")


HANDLERS: Final[dict[Any, Any]] = {
    ExpressionError: on_expression_error,
    DuoscopeError: on_duoscope_error,
    GoneClientError: on_gone,
    HTTPException: on_http_exception,
    Exception: on_unexpected,
}
