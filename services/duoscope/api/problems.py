"""Errors as RFC 9457 problem details: the one place that maps error kinds, and Litestar's exceptions, to HTTP.

A problem says what went wrong and what to do; internals go to the log, with the request's id in both.
"""

import logging
import math
import re
from http import HTTPStatus
from typing import Annotated, Any, Final, cast

from litestar import MediaType, Request, Response
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.api import validation_messages
from duoscope.kernel.errors import DuoscopeError, ErrorKind, Place
from duoscope.net.bodies import GoneError
from duoscope.stores.clickhouse.questions import GoneClientError

CLIENT_GONE: Final = 499
"""The status in the log and the metrics when the client disconnected first; the same as in nginx."""
MEDIA_TYPE: Final = "application/problem+json"
_log = logging.getLogger(__name__)

STATUSES: Final = {
    ErrorKind.INVALID: HTTPStatus.BAD_REQUEST,
    ErrorKind.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    ErrorKind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorKind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorKind.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    ErrorKind.CONFLICT: HTTPStatus.CONFLICT,
    ErrorKind.OUTDATED: HTTPStatus.PRECONDITION_FAILED,
    ErrorKind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorKind.UNSUPPORTED_MEDIA: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ErrorKind.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorKind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorKind.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}
# Litestar's own exceptions: the code, and a sentence of ours in place of its own.
_OF_LITESTAR: Final = {
    HTTPStatus.NOT_FOUND: ("not-found", "There is nothing at this path; GET /schema lists what there is."),
    HTTPStatus.METHOD_NOT_ALLOWED: ("method-not-allowed", "This path does not take that method."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("request-too-large", "The request body is too large."),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ("unsupported-media-type", "Send the body as application/json."),
}
_MISSING: Final = re.compile(r"Missing required \w+ parameter '(?P<name>[^']+)'")
_INTERNAL: Final = ("internal-error", "Something went wrong on our side. Quote the request id when you report it.")


class FieldProblem(Struct, frozen=True):
    """The error in one field of the request."""

    field: str
    message: str


class Problem(Struct, frozen=True):
    """RFC 9457 problem details."""

    type: Annotated[str, Meta(examples=["urn:duoscope:problem:invalid-query"])]
    title: Annotated[str, Meta(description="The status's phrase.", examples=["Bad Request"])]
    status: Annotated[int, Meta(examples=[400])]
    code: Annotated[str, Meta(description="Stable; programs may match on it.", examples=["invalid-query"])]
    detail: Annotated[
        str,
        Meta(
            description="What went wrong and what to do.",
            examples=["Query, character 1: x>y compares numbers, and 'y' is none."],
        ),
    ]
    request_id: Annotated[str, Meta(description="Also in the header x-request-id and in the server's log.")]
    errors: Annotated[
        list[FieldProblem] | UnsetType, Meta(description="The invalid fields of a malformed request.")
    ] = UNSET
    field: Annotated[
        str | UnsetType,
        Meta(description="Of a mistake in a query: the field of the request that it is in.", examples=["query"]),
    ] = UNSET
    position: Annotated[
        int | UnsetType,
        Meta(description="Where in that text the mistake begins, in characters from 0.", examples=[10]),
    ] = UNSET
    length: Annotated[
        int | UnsetType,
        Meta(description="How many characters are wrong; 0 where something is missing.", examples=[4]),
    ] = UNSET
    choices: Annotated[
        list[str] | UnsetType,
        Meta(description="What may stand in place of them, if that is little.", examples=[["ok", "error", "unset"]]),
    ] = UNSET


_EXPLAINED: Final = {
    400: "The request has the wrong form, or asks for what cannot be: `detail` says where.",
    401: "No valid access token; log in, or refresh it.",
    403: "The user lacks the permission.",
    404: "No such thing, or none that the caller may know of.",
    409: "It collides with what there is, such as a name that is taken, or the last admin: `code` says which.",
    412: "What `If-Match` names is no longer the newest: read it again.",
    429: "Too many for now; retry after the seconds in Retry-After.",
    503: "A store is away or too busy; retry after the seconds in Retry-After.",
}


def documented(*statuses: int) -> dict[int, ResponseSpec]:
    """The problems of a route, for the OpenAPI document."""
    return {
        status: ResponseSpec(
            Problem,
            generate_examples=False,
            description=_EXPLAINED[status],
            media_type=cast("MediaType", MEDIA_TYPE),
        )
        for status in statuses
    }


def on_duoscope_error(request: Request[Any, Any, Any], error: DuoscopeError) -> Response[Problem]:
    """Answer a DuoscopeError, whose message is for the caller."""
    if error.kind is ErrorKind.INTERNAL or error.detail:
        level = logging.ERROR if error.kind is ErrorKind.INTERNAL else logging.WARNING
        extra = {"code": error.code, "detail": error.detail or "", "request_id": request_id(request)}
        _log.log(level, "request failed", extra=extra)
    headers: dict[str, str] = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after_s))
    if error.kind is ErrorKind.UNAUTHENTICATED:
        headers["www-authenticate"] = "Bearer"
    return _response(request, STATUSES[error.kind], error.code, error.message, headers=headers, place=error.place)


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    """Answer an exception of Litestar."""
    status = HTTPStatus(error.status_code)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return on_unexpected(request, error)
    fields = _fields(request, error) if isinstance(error, ValidationException) else []
    if fields:
        detail = " ".join(
            f"{problem.field}: {problem.message}" if problem.field else problem.message for problem in fields
        )
        return _response(request, status, "invalid-request", detail, errors=fields)
    fallback = ("invalid-request", "The request is malformed: the body must be a JSON object of the documented form.")
    code, detail = _OF_LITESTAR.get(status, fallback)
    return _response(request, status, code, detail, headers=dict(error.headers or {}))


def on_gone(request: Request[Any, Any, Any], error: GoneError | GoneClientError) -> Response[None]:
    """The client disconnected before its answer was complete: nobody reads this one, and nothing is wrong."""
    del request, error
    return Response(None, status_code=CLIENT_GONE)


def on_deep_nesting(request: Request[Any, Any, Any], error: RecursionError) -> Response[Problem]:
    """Answer a body with too deep nesting for its parser; logged, in case it was a defect of ours."""
    _log.warning("recursion limit reached", exc_info=error, extra={"request_id": request_id(request)})
    return _response(request, HTTPStatus.BAD_REQUEST, "invalid-request", "The request body is nested too deeply.")


def on_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Answer a defect: the details go to the log, and the answer has only the id to find them by."""
    _log.error("unexpected error", exc_info=error, extra={"request_id": request_id(request)})
    return _response(request, HTTPStatus.INTERNAL_SERVER_ERROR, *_INTERNAL)


def request_id(request: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The id that `api/observability.py` gave the request."""
    return str(request.scope.get("state", {}).get("request_id", ""))


def _fields(request: Request[Any, Any, Any], error: ValidationException) -> list[FieldProblem]:
    found: list[FieldProblem] = []
    if missing := _MISSING.match(error.detail):
        found.append(FieldProblem(missing["name"], "This parameter is required."))
    for entry in cast("list[Any]", error.extra or []):
        if isinstance(entry, dict):
            parts = cast("dict[str, Any]", entry)
            key, message = str(parts.get("key", "")), str(parts.get("message", "")).replace("`", "'")
            if key == "data":  # the handlers' parameter, of which no client knows; alone, it is what is missing
                key, message = "body", "A JSON object is required" if message == "'data'" else message
            else:
                message = _plain(request, key, message, in_body=parts.get("source") == "body")
            found.append(FieldProblem(key, message if message.endswith(".") else f"{message}."))
    return found


def _plain(request: Request[Any, Any, Any], key: str, message: str, *, in_body: bool) -> str:
    parameters = request.route_handler.parsed_fn_signature.parameters
    name, path = ("data", key) if in_body else (key, "")
    return validation_messages.plain(message, parameters[name].annotation, path) if name in parameters else message


def _response(
    request: Request[Any, Any, Any],
    status: HTTPStatus,
    code: str,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    errors: list[FieldProblem] | UnsetType = UNSET,
    place: Place | None = None,
) -> Response[Problem]:
    where: dict[str, Any] = {}
    if place is not None:
        where = {"field": place.field, "position": place.position, "length": place.length}
        where |= {"choices": list(place.choices)} if place.choices else {}
    identifier = f"urn:duoscope:problem:{code}"
    return Response(
        Problem(identifier, status.phrase, status, code, detail, request_id(request), errors, **where),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=headers or {},
    )
