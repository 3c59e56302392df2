"""What every HTTP request gets: an id, a line in the log, a count in the metrics."""

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from litestar import Litestar
from litestar.routes import HTTPRoute
from prometheus_client import Histogram

from duoscope.api import security_headers
from duoscope.api.problems import CLIENT_GONE
from duoscope.dashboards.sharing import TOKEN
from duoscope.kernel import limits
from duoscope.kernel.errors import unavailable
from duoscope.kernel.ids import new_id
from duoscope.net.addresses import Network
from duoscope.net.bodies import TimedBody
from duoscope.net.http_listener import CALL_WHEN_GONE
from duoscope.net.proxies import client_address
from duoscope.stores.clickhouse.questions import Described, GoneClientError, Question, asking, shown_bytes, shown_rows
from duoscope.stores.clickhouse.read_memory import reading

if TYPE_CHECKING:
    from litestar.types import LifeSpanReceive, LifeSpanScope, LifeSpanSend, Message, Receive, Scope, Send

_log = logging.getLogger(__name__)
_OFFERED_ID = re.compile(rb"(?i:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_HEADER = b"x-request-id"
ANSWERED: Final = "answered"
"""Key in a request's state: a function that is called with the answer's status."""
_ALLOW = b"allow"
_UNFINISHED = CLIENT_GONE
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Streams check whether their reader is still connected, for as long as they last."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_DURATION = Histogram(
    "duoscope_http_request_duration_seconds",
    "Time from a request's arrival to the end of its answer.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


class ObservedApp(Litestar):
    """A Litestar app that records every request, also those that reach no route.

    Inside it, `scope["client"]` is the client's own address, whatever proxies are in between.
    """

    trusted_proxies: Sequence[Network] = ()
    page_policies: Mapping[str, str] = MappingProxyType({})
    """The content security policies of pages, by their paths; other answers are not pages."""
    is_https: bool = False
    """Whether users connect over https, as the public address says."""

    @cached_property
    def _allowed(self) -> dict[str, bytes]:
        """The Allow header for OPTIONS, by path template.

        Litestar's own answer names only the methods of the first handler that was registered for the path.
        """
        return {
            route.path_format: ", ".join(sorted(route.methods)).encode()
            for route in self.routes
            if isinstance(route, HTTPRoute)
        }

    async def __call__(
        self,
        scope: "Scope | LifeSpanScope",
        receive: "Receive | LifeSpanReceive",
        send: "Send | LifeSpanSend",
    ) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        state: dict[str, Any] = scope.setdefault("state", {})
        identifier = state["request_id"] = _request_id(scope["headers"])
        host, port = scope["client"] or (None, 0)
        address = client_address(host, scope["headers"], self.trusted_proxies)
        scope["client"] = (address, port if address == host else 0) if address else None
        body = TimedBody(receive)
        started = time.perf_counter()
        status = _UNFINISHED

        async def observed_send(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # A stream notices by itself when its reader goes.
                call_when_gone(None)
                headers = [*message["headers"], (_HEADER, identifier.encode()), *cost_headers(question, status)]
                allowed = self._allowed.get(scope.get("path_template", "")) if scope["method"] == "OPTIONS" else None
                if allowed is not None:
                    headers = [*((name, value) for name, value in headers if name != _ALLOW), (_ALLOW, allowed)]
                policy = self.page_policies.get(scope["path"])
                message["headers"] = security_headers.secured(headers, policy, is_https=self.is_https)
            await send(message)  # pyright: ignore[reportArgumentType]

        async def timed_receive() -> Any:
            if scope["method"] in _WITHOUT_BODY:
                return await receive()
            try:
                return await body.receive()
            except TimeoutError:
                raise unavailable(
                    "The request did not arrive in time; send it again.",
                    code="request-too-slow",
                    retry_after_s=limits.READ_RETRY_AFTER_S,
                ) from None

        def described() -> Described:
            asked = scope["query_string"] or body.beginning
            text = asked.decode(errors="replace")[: limits.QUERY_SHOWN_CHARS_MAX]
            return Described(f"{scope['method']} {scope.get('path_template') or ''}", identifier, text)

        call_when_gone = (scope.get("extensions") or {}).get(CALL_WHEN_GONE) or _never
        try:
            with reading(), asking(described) as question:
                call_when_gone(lambda: question.end(GoneClientError()))
                await super().__call__(scope, timed_receive, observed_send)
        finally:
            duration_s = time.perf_counter() - started
            if (answered := state.get(ANSWERED)) is not None:
                answered(status)
            # The template, not the path: a path may contain ids, and any number of them.
            route = str(scope.get("path_template") or "none") if status != 404 else "none"  # noqa: PLR2004
            method = scope["method"] if scope["method"] in _METHODS else "other"
            _DURATION.labels(method, route, status).observe(duration_s)
            principal = scope.get("user")
            extra = {
                "method": method,
                "path": TOKEN.sub("***", scope["path"]),
                "status": status,
                "duration_ms": round(duration_s * 1000, 1),
                "request_id": identifier,
                "tenant_id": principal.scope.tenant_id if principal else "",
                "user_id": principal.user_id if principal else "",
            }
            _log.info("request", extra=extra)


def _never(_: Callable[[], None] | None) -> None:
    """In place of the listener's function, where there is no listener."""


def cost_headers(question: Question, status: int) -> list[tuple[bytes, bytes]]:
    """The headers with what an answer cost, if it took queries; for programs, and for the tools of browsers."""
    if not question.statements or status >= 400:  # noqa: PLR2004 - a problem says nothing of what was not found
        return []
    waited_ms, store_ms = question.waited_s * 1000, question.busy_s * 1000
    cost = (
        f"rows={shown_rows(question.read_rows)}, bytes={shown_bytes(question.read_bytes)}, "
        f"queries={question.statements}, windows={question.windows}, waited_ms={waited_ms:.1f}, store_ms={store_ms:.1f}"
    )
    timing = f"wait;dur={waited_ms:.1f}, store;dur={store_ms:.1f}"
    return [(b"duoscope-cost", cost.encode()), (b"server-timing", timing.encode())]


def _request_id(headers: Any) -> str:
    """The id from the caller, if it is a UUID, or a new one."""
    for name, value in headers:
        if name.lower() == _HEADER and _OFFERED_ID.fullmatch(value):
            return value.decode()
    return str(new_id())
