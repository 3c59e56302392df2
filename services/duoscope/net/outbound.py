"""Requests to configured addresses, such as those of identity providers, which must not reach our own network.

Every address that a name resolves to is checked against explicit lists when the connection is made, and the connection
goes to the checked address: a name that resolves differently a moment later (DNS rebinding) gains nothing. Redirects
are not followed, proxies from the environment are not used, and answers are limited in size and time. Only https is
allowed, except for loopback addresses that the operator permits (DUOSCOPE_OUTBOUND_NETWORKS).

A slow or silent server delays only the requests of its own share, such as an organization's: each share has a limited
number of requests and name lookups in progress, and those that wait wait within their share.
"""

import asyncio
import contextlib
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import AsyncGenerator, Hashable, Iterable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, cast

import certifi
import httpcore

from duoscope.kernel.errors import DuoscopeError, ErrorKind, unavailable
from duoscope.net.urls import Url, parse_url

TIMEOUT_S: Final = 10.0
"""For a whole request, from resolving the name to the answer's last byte."""
ANSWER_BYTES_MAX: Final = 1024 * 1024
CONNECTIONS_MAX: Final = 400
SHARE_REQUESTS_MAX: Final = 4
"""Requests of one share in progress at once."""
SHARE_WAITING_MAX: Final = 32
"""Requests of one share that wait for one of them to end, for at most TIMEOUT_S; further ones fail at once."""
SHARE_LOOKUPS_MAX: Final = 2
"""Name lookups of one share in progress at once: a lookup continues even when nobody waits for it any more."""
LOOKUPS_MAX: Final = 128
"""Name lookups of all shares together; each takes a thread."""
RETRY_AFTER_S: Final = 5.0

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_FORBIDDEN_V4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
)
"""IANA's special-purpose registry, multicast and reserved networks."""
_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
"""Global unicast IPv6: excludes mapped addresses, NAT64 and local ones of every kind."""
_FORBIDDEN_V6: Final = tuple(
    ipaddress.IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
"""Within it: protocol assignments with Teredo, documentation, and 6to4, which can carry any IPv4 address."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of any status."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """By names in lower case; of a header that comes twice, the last."""

    def json_object(self) -> dict[str, Any]:
        """Parse the body as a JSON object. Raises ValueError for anything else."""
        value = json.loads(self.body)
        if not isinstance(value, dict):
            raise ValueError("the answer is no JSON object")  # noqa: TRY004 - like other bodies that are none
        return cast("dict[str, Any]", value)


def allowed_networks(text: str) -> tuple[Network, ...]:
    """Parse the networks of a setting, separated by commas or spaces.

    Raises:
        DuoscopeError: INVALID `invalid-settings`.
    """
    try:
        return tuple(ipaddress.ip_network(part) for part in text.replace(",", " ").split())
    except ValueError as error:
        raise DuoscopeError(
            ErrorKind.INVALID,
            "invalid-settings",
            f"DUOSCOPE_OUTBOUND_NETWORKS takes networks such as 127.0.0.0/8, separated by commas: {error}.",
        ) from error


def is_reachable(address: Address, allowed: Iterable[Network] = ()) -> bool:
    """Whether a request may go to the address: a public one, or one that the operator permits."""
    if any(address in network for network in allowed if network.version == address.version):
        return True
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _FORBIDDEN_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _FORBIDDEN_V6)


class Outbound:
    """An HTTP client for addresses that users configure."""

    def __init__(self, networks: str = "") -> None:
        allowed = allowed_networks(networks)
        self._shares: dict[Hashable, _Share] = {}
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
        self._pools = {
            "https": _pool(_Guard(allowed, loopback_only=False), context),
            "http": _pool(_Guard(allowed, loopback_only=True), context),
        }

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        share: Hashable = None,
    ) -> Answer:
        """Send one request and return its answer.

        Args:
            method: of the request.
            url: the address.
            headers: in addition to those that every request has.
            content: the request's body.
            share: who pays for it, such as an organization's id: a slow server of one share does not delay others.

        Raises:
            DuoscopeError: INVALID `address-refused` for a URL or an address that is not allowed; UNAVAILABLE
                `outbound-failed` if no answer comes within the limits.
        """
        parts = _checked(url)
        sent: dict[bytes | str, bytes | str] = {"host": parts.netloc, "user-agent": "duoscope"}
        sent["accept-encoding"] = "identity"
        sent.update({name.lower(): value for name, value in (headers or {}).items()})
        if content is not None:
            sent["content-length"] = str(len(content))
        try:
            async with (
                self._turn(url, share),
                asyncio.timeout(TIMEOUT_S),
                self._pools[parts.scheme].stream(
                    method,
                    url,
                    headers=sent,
                    content=content,
                ) as response,
            ):
                body = bytearray()
                async for chunk in response.aiter_stream():
                    body += chunk
                    if len(body) > ANSWER_BYTES_MAX:
                        raise _failed(url, f"the answer has more than {ANSWER_BYTES_MAX} bytes")
                read = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
                return Answer(response.status, bytes(body), read)
        except (TimeoutError, OSError, httpcore.NetworkError, httpcore.TimeoutException) as error:
            raise _failed(url, f"{type(error).__name__}: {error}") from error
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol, httpcore.ProxyError) as error:
            raise _failed(url, f"{type(error).__name__}: {error}") from error

    @asynccontextmanager
    async def _turn(self, url: str, share: Hashable) -> AsyncGenerator[None]:
        """Hold one of the share's slots. Raises UNAVAILABLE if none is free in time."""
        mine = self._shares.setdefault(share, _Share())
        if mine.users >= SHARE_REQUESTS_MAX + SHARE_WAITING_MAX:
            raise _failed(url, f"{mine.users} requests wait already")
        mine.users += 1
        token = _current.set(mine)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await mine.places.acquire()
            try:
                yield
            finally:
                mine.places.release()
        finally:
            _current.reset(token)
            mine.users -= 1
            if not mine.users and not mine.lookups and self._shares.get(share) is mine:
                del self._shares[share]

    async def close(self) -> None:
        """Close idle connections."""
        for pool in self._pools.values():
            await pool.aclose()


class _Share:
    """The requests in progress of one share."""

    __slots__ = ("lookups", "places", "users")

    def __init__(self) -> None:
        self.places = asyncio.Semaphore(SHARE_REQUESTS_MAX)
        self.users = 0
        self.lookups = 0


_current: ContextVar[_Share] = ContextVar("outbound share")


class _Guard(httpcore.AsyncNetworkBackend):
    """Connects only to addresses that it has checked."""

    def __init__(self, allowed: tuple[Network, ...], *, loopback_only: bool) -> None:
        # Written out, since httpcore substitutes its own type where anyio is missing.
        self._backend = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())
        self._allowed = allowed
        self._loopback_only = loopback_only

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await _looked_up(host, port)
        # All addresses must be allowed: a name with one good and one bad address is suspicious.
        if not addresses or not all(map(self._may_be_asked, addresses)):
            raise _refused(f"{host} is at {', '.join(map(str, addresses))}, which requests may not go to.")
        last: Exception | None = None
        for address in dict.fromkeys(addresses):
            try:
                return await self._backend.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except httpcore.ConnectError as error:
                last = error
        assert last is not None
        raise last

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def _may_be_asked(self, address: Address) -> bool:
        if self._loopback_only and not address.is_loopback:
            return False
        return is_reachable(address, self._allowed)


def _pool(guard: _Guard, context: ssl.SSLContext) -> httpcore.AsyncConnectionPool:
    return httpcore.AsyncConnectionPool(
        ssl_context=context, max_connections=CONNECTIONS_MAX, keepalive_expiry=30.0, network_backend=guard
    )


async def _looked_up(host: str, port: int) -> list[Address]:
    """Resolve a name in a thread of its own: the event loop has few threads, and others need them.

    Raises:
        OSError: there is no such name, or too many lookups are in progress.
    """
    share = _current.get()
    if share.lookups >= SHARE_LOOKUPS_MAX or _lookups.count >= LOOKUPS_MAX:
        raise OSError("other names are being looked up and not answered")
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[Address]] = loop.create_future()
    share.lookups += 1
    _lookups.count += 1

    def ended(found: list[Address] | Exception) -> None:
        share.lookups -= 1
        _lookups.count -= 1
        if answer.done():
            return
        if isinstance(found, Exception):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def look_up() -> None:
        found: list[Address] | Exception
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in entries]
        except (OSError, ValueError) as error:
            found = error if isinstance(error, OSError) else OSError(str(error))
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody asks any more
            loop.call_soon_threadsafe(ended, found)

    threading.Thread(target=look_up, name="look up a name", daemon=True).start()
    return await answer


class _Lookups:
    """Counts the lookups in progress."""

    count = 0


_lookups: Final = _Lookups()


def _checked(url: str) -> Url:
    try:
        return parse_url(url)
    except ValueError as error:
        raise _refused(f"{error}.") from error


def _refused(why: str) -> DuoscopeError:
    return DuoscopeError(
        ErrorKind.INVALID,
        "address-refused",
        "This address is not allowed: use https and a public address. The operator can allow other networks with "
        "DUOSCOPE_OUTBOUND_NETWORKS.",
        detail=why,
    )


def _failed(url: str, why: str) -> DuoscopeError:
    return unavailable(
        "The other server did not answer correctly; try again later.",
        code="outbound-failed",
        retry_after_s=RETRY_AFTER_S,
        detail=f"{url}: {why}",
    )
