"""The connections of a port: how many there are in all and by address, and which gives way when there are too many.

A connection that has not sent a request yet gives way to a new one, the oldest first, and so does one that has been
idle for a while. A request that is being received or answered is never cut off for others. So a flood of silent
connections shuts nobody out, from whatever address it comes.
"""

import ipaddress
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

IDLE_SPARED_S: Final = 5.0
"""How long a connection is spared after an answer: its client may be about to send another request."""
_IPV6_PREFIX: Final = 64
"""One customer usually has a whole network of this size; its addresses count as one."""
_EXEMPT: Final = "proxies"


class Peer:
    """One connection.

    Args:
        origin: the address or network under which it counts.
        close: closes it at once.
    """

    __slots__ = ("close", "crowded", "left", "origin")

    def __init__(self, origin: str, close: Callable[[], None], *, crowded: bool = False) -> None:
        self.origin = origin
        self.close = close
        self.crowded = crowded
        """Whether it came beyond the limit, while nobody could give way: it is told so."""
        self.left = False


class _Origin:
    """The connections from one address: silent and idle ones in the order in which they became so."""

    __slots__ = ("count", "idle", "silent")

    def __init__(self) -> None:
        self.count = 0
        self.silent: dict[Peer, float] = {}
        self.idle: dict[Peer, float] = {}


class Peers:
    """The connections of one port."""

    def __init__(self, connections_max: int, address_max: int, exempt: Sequence[Network] = ()) -> None:
        """Create an empty set. `exempt` are networks, such as those of trusted proxies, whose addresses have no limit
        of their own.
        """
        self._connections_max = connections_max
        self._address_max = address_max
        self._hard_max = connections_max + max(1, connections_max // 4)
        self._address_hard_max = address_max + max(1, address_max // 4)
        self._exempt = tuple(exempt)
        self._origins: dict[str, _Origin] = {}
        self.count = 0
        self.evicted = 0

    def admit(self, address: str | None, close: Callable[[], None], now: float) -> Peer | None:
        """Admit a new connection. Returns None if it must be closed without an answer.

        Args:
            address: of the other end.
            close: closes the connection; called when it has to give way.
            now: by the event loop's clock.
        """
        name = _origin_of(address, self._exempt)
        origin = self._origins.setdefault(name, _Origin())
        limited = name != _EXEMPT
        while limited and origin.count >= self._address_max and self._make_way(origin, now):
            pass
        while self.count >= self._connections_max and self._make_way(self._fullest(), now):
            pass
        crowded = self.count >= self._connections_max or (limited and origin.count >= self._address_max)
        # A quarter more than the limit get an answer that says so; connections beyond that get none.
        if limited and origin.count >= self._address_hard_max:
            return self._refuse(name, origin)
        if self.count >= self._hard_max:
            return self._refuse(name, origin)
        peer = Peer(name, close, crowded=crowded)
        origin.count += 1
        origin.silent[peer] = now
        self.count += 1
        # The connection that gave way may have been the last of this address, which then needs a new entry.
        self._origins[name] = origin
        return peer

    def busy(self, peer: Peer) -> None:
        """Note that a request of the connection is being received or answered."""
        origin = self._origins.get(peer.origin)
        if origin is not None and not peer.left:
            origin.silent.pop(peer, None)
            origin.idle.pop(peer, None)

    def idle(self, peer: Peer, now: float) -> None:
        """Note that the connection's request was answered, and it has no other."""
        origin = self._origins.get(peer.origin)
        if origin is not None and not peer.left:
            origin.idle[peer] = now

    def leave(self, peer: Peer) -> None:
        """Note that the connection is closed."""
        if peer.left:
            return
        peer.left = True
        origin = self._origins[peer.origin]
        origin.silent.pop(peer, None)
        origin.idle.pop(peer, None)
        origin.count -= 1
        self.count -= 1
        if not origin.count:
            del self._origins[peer.origin]

    def _fullest(self) -> _Origin:
        return max(self._origins.values(), key=lambda origin: (len(origin.silent), len(origin.idle)))

    def _make_way(self, origin: _Origin, now: float) -> bool:
        """Close the oldest connection that may be closed. Returns whether there was one."""
        victim = next(iter(origin.silent), None)
        if victim is None:
            victim, since = next(iter(origin.idle.items()), (None, now))
            if victim is None or now - since < IDLE_SPARED_S:
                return False
        self.evicted += 1
        close = victim.close
        self.leave(victim)
        close()
        return True

    def _refuse(self, name: str, origin: _Origin) -> None:
        if not origin.count:
            self._origins.pop(name, None)


@lru_cache(maxsize=4096)
def _origin_of(address: str | None, exempt: tuple[Network, ...]) -> str:
    """The address or network under which a connection counts. Remembered: a flood comes from few addresses."""
    if address is None:
        return ""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    found = getattr(found, "ipv4_mapped", None) or found
    if any(found.version == network.version and found in network for network in exempt):
        return _EXEMPT
    if found.version == 6:  # noqa: PLR2004 - IPv6
        return str(ipaddress.ip_network((found, _IPV6_PREFIX), strict=False))
    return str(found)
