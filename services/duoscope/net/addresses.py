"""Internet addresses: of clients, as the transports report them, and of networks in settings."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_address(text: str | None) -> Address | None:
    """Parse an IP address, without its zone. An IPv4 address that came over IPv6 becomes IPv4. Returns None if it is
    invalid.
    """
    if not text:
        return None
    try:
        address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Parse addresses and CIDR networks. Returns them sorted, without repetition; an address is a network of one.

    Raises:
        ValueError: names the text that is neither, or has bits set beyond its prefix.
    """
    found: set[Network] = set()
    for text in texts:
        try:
            found.add(ipaddress.ip_network(text.strip()))
        except ValueError:
            raise ValueError(text) from None
    return tuple(sorted(found, key=lambda network: (network.version, network)))


def is_within(address: Address | None, networks: Iterable[Network]) -> bool:
    """Whether one of the networks contains the address. No network contains an unknown address (None)."""
    return address is not None and any(address.version == n.version and address in n for n in networks)


@lru_cache(maxsize=10_000)
def peer_address(peer: str) -> str | None:
    """The host of a gRPC peer: `ipv4:192.0.2.1:5000`, `ipv6:%5B2001:db8::1%5D:5000`. None for a Unix socket."""
    kind, _, rest = unquote(peer).partition(":")
    if kind not in ("ipv4", "ipv6"):
        return None
    return rest.rpartition(":")[0].strip("[]")
