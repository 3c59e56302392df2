"""The API's port: its connection limits, and the problem details for connections that reach no route."""

import json
import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from duoscope.api.problems import MEDIA_TYPE, STATUSES
from duoscope.api.security_headers import HEADERS
from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, unavailable
from duoscope.net.addresses import Network
from duoscope.net.http_listener import Application, Bounds, HttpServer, Receive, Refusals, Scope, Send


def http_server(application: Any, trusted: Sequence[Network] = (), *, bounds: Bounds | None = None) -> HttpServer:
    """The API's port, which serves `application`; connections of `trusted` proxies have no limit by address."""
    plain = b"".join(b"%b: %b\r\n" % header for header in (*HEADERS, (b"content-type", MEDIA_TYPE.encode())))
    busy = unavailable(
        "The API has too many connections; try again shortly.",
        code="too-many-connections",
        retry_after_s=limits.READ_RETRY_AFTER_S,
    )
    stopping = unavailable("duoscope is shutting down.", code="shutting-down", retry_after_s=limits.READ_RETRY_AFTER_S)
    return HttpServer(
        application, Refusals(_refusing, _problem, plain, busy, stopping), bounds or bounds_of(trusted=trusted)
    )


def bounds_of(
    connections_max: int = limits.API_CONNECTIONS_MAX,
    address_max: int = limits.API_CONNECTIONS_ADDRESS_MAX,
    trusted: Sequence[Network] = (),
) -> Bounds:
    """The limits of connections to the API."""
    return Bounds(connections_max, min(connections_max, address_max), limits.API_REQUEST_BYTES_MAX, trusted)


def _problem(error: DuoscopeError) -> bytes:
    status = STATUSES[error.kind]
    return json.dumps(
        {
            "type": f"urn:duoscope:problem:{error.code}",
            "title": status.phrase,
            "status": status,
            "code": error.code,
            "detail": error.message,
            "request_id": "",
        }
    ).encode()


def _refusing(error: DuoscopeError) -> Application:
    """An application that answers every request with `error`."""
    content = _problem(error)
    status: HTTPStatus = STATUSES[error.kind]
    headers = [
        *HEADERS,
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(content)).encode()),
        (b"retry-after", str(math.ceil(error.retry_after_s or limits.READ_RETRY_AFTER_S)).encode()),
    ]

    async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status.value, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return refuse
