"""Requests to addresses that people configured, such as identity providers: none of them may reach our own network.

Every address that a name resolves to is looked at when the connection is made, against explicit lists, and the
connection goes to the address that was looked at: a name that changes its mind in between (DNS rebinding) gains
nothing. Redirects are not followed, proxies of the environment not used, answers bounded in size and time. It is https
only, but for loopback addresses that the operator has allowed (DUOSCOPE_OUTBOUND_NETWORKS).
"""

import asyncio
import ipaddress
import json
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import urlsplit

import certifi
import httpcore

from duoscope.kernel.errors import DuoscopeError, ErrorKind, unavailable

TIMEOUT_S: Final = 10.0
"""For a whole request, from the name's resolution to the answer's last byte."""
ANSWER_BYTES_MAX: Final = 1024 * 1024
CONNECTIONS_MAX: Final = 20
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
"""IANA's special-purpose registry, multicast and what is reserved."""
_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
"""All there is of IPv6 outside special purposes: leaves out mapped addresses, NAT64 and local ones of every kind."""
_FORBIDDEN_V6: Final = tuple(
    ipaddress.IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
"""Within it: protocol assignments with Teredo, documentation, and 6to4, which carries any IPv4 address."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever the status says."""

    status: int
    body: bytes = field(repr=False)

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object; ValueError for anything else."""
        value = json.loads(self.body)
        if not isinstance(value, dict):
            raise ValueError("the answer is no JSON object")  # noqa: TRY004 - like other bodies that are none
        return cast("dict[str, Any]", value)


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks of a setting, separated by commas or spaces.

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
    """Whether a request may go to the address: a public one, or one that the operator has allowed."""
    if any(address in network for network in allowed if network.version == address.version):
        return True
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _FORBIDDEN_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _FORBIDDEN_V6)


class Outbound:
    """An HTTP client for addresses that somebody else chose."""

    def __init__(self, networks: str = "") -> None:
        allowed = parse_networks(networks)
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
    ) -> Answer:
        """One request and its answer.

        Raises:
            DuoscopeError: INVALID `address-refused` for a URL or an address that may not be asked; UNAVAILABLE
                `outbound-failed` for what does not answer, or not within the limits.
        """
        parts = _checked(url)
        sent: dict[bytes | str, bytes | str] = {"host": parts.netloc, "user-agent": "duoscope"}
        sent["accept-encoding"] = "identity"
        sent.update({name.lower(): value for name, value in (headers or {}).items()})
        if content is not None:
            sent["content-length"] = str(len(content))
        try:
            async with (
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
                return Answer(response.status, bytes(body))
        except (TimeoutError, OSError, httpcore.NetworkError, httpcore.TimeoutException) as error:
            raise _failed(url, f"{type(error).__name__}: {error}") from error
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol, httpcore.ProxyError) as error:
            raise _failed(url, f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Let go of idle connections."""
        for pool in self._pools.values():
            await pool.aclose()


class _Guard(httpcore.AsyncNetworkBackend):
    """Connects to addresses that it has looked at, and to no others."""

    def __init__(self, allowed: tuple[Network, ...], *, loopback_only: bool) -> None:
        # Typed by hand: httpcore stands in for it where anyio is missing.
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
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        # All of them: a name with one good and one bad address is up to something.
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


def _checked(url: str) -> Any:
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError as error:
        raise _refused("this is no URL.") from error
    if parts.scheme not in {"https", "http"} or not parts.hostname or parts.username is not None or not port_is_fine:
        raise _refused("it takes https://host/path, without a name and password in it.")
    return parts


def _refused(why: str) -> DuoscopeError:
    return DuoscopeError(
        ErrorKind.INVALID,
        "address-refused",
        "This address may not be asked: it takes https and a public address.",
        detail=why,
    )


def _failed(url: str, why: str) -> DuoscopeError:
    return unavailable(
        "The other side did not answer as it should; try again later.",
        code="outbound-failed",
        retry_after_s=RETRY_AFTER_S,
        detail=f"{url}: {why}",
    )
