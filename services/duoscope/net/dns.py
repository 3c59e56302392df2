"""Queries for TXT records (DNS) that do not block the event loop."""

import asyncio
import itertools
from dataclasses import dataclass
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.rdtypes.ANY.TXT
import dns.resolver

from duoscope.kernel.errors import invalid
from duoscope.net.addresses import parse_address

ANSWER_S_MAX: Final = 5.0
"""For all servers together, including repeated queries."""
_ONE_SERVER_S: Final = 2.0
RECORDS_MAX: Final = 20
RECORD_CHARS_MAX: Final = 300
_PORT: Final = 53


@dataclass(frozen=True, slots=True)
class TxtAnswer:
    """The result of a query: the records' texts, or the problem if no server gave an answer."""

    texts: tuple[str, ...]
    problem: str | None = None


def parse_servers(text: str) -> tuple[tuple[str, int], ...]:
    """Parse a setting such as `10.0.0.53, 127.0.0.1:5353, [::1]:53` into addresses with ports.

    Host names are refused, since they would have to be resolved first.

    Raises:
        DuoscopeError: INVALID `invalid-settings` for what is not an address.
    """
    try:
        return tuple(_server(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise invalid(
            f"DUOSCOPE_DNS_SERVERS: {str(error)!r} is not an address, with or without a port, such as 10.0.0.53 or "
            "127.0.0.1:5353.",
            code="invalid-settings",
        ) from error


def _server(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    if text.startswith("["):
        address, _, port = text[1:].partition("]")
        port = port.removeprefix(":") or str(_PORT)
    elif not address or ":" in address:
        address, port = text, str(_PORT)
    parsed = parse_address(address)
    if parsed is None or not port.isascii() or not port.isdigit() or not 0 < int(port) < 2**16:
        raise ValueError(text)
    return str(parsed), int(port)


class TxtRecords:
    """Queries the given servers, or the system's if none are given."""

    def __init__(self, servers: tuple[tuple[str, int], ...] = ()) -> None:
        self._servers = servers

    async def find(self, name: str) -> TxtAnswer:
        """Query the TXT records of a name. Returns their texts, whole and in no particular order; none if the name has
        none.
        """
        try:
            # Reads the system's configuration again, which may change while the process runs.
            resolver = await asyncio.to_thread(self._resolver)
            answer = await resolver.resolve(f"{name}.", "TXT", search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return TxtAnswer(())
        except dns.exception.Timeout:
            return TxtAnswer((), f"No DNS server answered within {ANSWER_S_MAX:.0f} seconds.")
        except dns.resolver.NoResolverConfiguration:
            return TxtAnswer((), "This system names no DNS server; DUOSCOPE_DNS_SERVERS can.")
        except (dns.exception.DNSException, OSError):
            return TxtAnswer((), "The DNS servers could not say: they failed, or the name is too long.")
        records = (record for record in answer if isinstance(record, dns.rdtypes.ANY.TXT.TXT))
        texts = (b"".join(record.strings).decode("utf-8", "backslashreplace") for record in records)
        return TxtAnswer(tuple(text[:RECORD_CHARS_MAX] for text in itertools.islice(texts, RECORDS_MAX)))

    def _resolver(self) -> dns.asyncresolver.Resolver:
        resolver = dns.asyncresolver.Resolver(configure=not self._servers)
        if self._servers:
            resolver.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in self._servers]
        resolver.timeout, resolver.lifetime = _ONE_SERVER_S, ANSWER_S_MAX
        return resolver
