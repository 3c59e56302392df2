"""The client that a request comes from: the connection's own address, unless a proxy that DUOSCOPE_TRUSTED_PROXIES
names speaks for another. X-Forwarded-For from anyone else is ignored.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from duoscope.kernel.errors import invalid
from duoscope.net.addresses import Network, is_within, parse_address, parse_networks

FORWARDED_FOR: Final = "x-forwarded-for"
_HEADER: Final = FORWARDED_FOR.encode()


def trusted_proxies(setting: str) -> tuple[Network, ...]:
    """Parse the networks of the setting. Raises INVALID `invalid-settings`."""
    try:
        return parse_networks(part for part in setting.replace(",", " ").split())
    except ValueError as error:
        raise invalid(
            f"DUOSCOPE_TRUSTED_PROXIES: {str(error)!r} is neither an address nor a network such as 10.0.0.0/8.",
            code="invalid-settings",
        ) from error


def client_address(peer: str | None, headers: Iterable[tuple[bytes, bytes]], trusted: Sequence[Network]) -> str | None:
    """The client's address of an HTTP request. `headers` are as ASGI has them: names in lower case, bytes."""
    if not trusted:
        return _numeric(peer)
    said = b",".join(value for name, value in headers if name == _HEADER)
    return client_behind(peer, said.decode("latin-1"), trusted)


def client_behind(peer: str | None, forwarded_for: str, trusted: Sequence[Network]) -> str | None:
    """The client's address behind trusted proxies.

    Each proxy appends the address that it received the request from, so the list is read from its end, over trusted
    proxies; the first address that is not trusted is the client. If a trusted proxy says nothing, or nonsense, its own
    address is used.

    Args:
        peer: the other end of the connection.
        forwarded_for: X-Forwarded-For as it was sent, several headers joined to one list; empty without.
        trusted: the proxies' networks.
    """
    if not trusted:
        return _numeric(peer)
    address = parse_address(peer)
    if address is None or not is_within(address, trusted):
        return str(address) if address else peer
    for text in reversed(forwarded_for.split(",")):
        said = parse_address(text.strip())
        if said is None:
            break
        address = said
        if not is_within(said, trusted):
            break
    return str(address)


@lru_cache(maxsize=10_000)
def _numeric(peer: str | None) -> str | None:
    """The address in canonical form. Cached, because ingest needs it for every request and a client sends many."""
    address = parse_address(peer)
    return str(address) if address else peer
