"""A DNS server on loopback: over UDP, and over TCP for answers too large for UDP. Messages are real DNS messages."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest


@dataclass
class Zone(asyncio.DatagramProtocol):
    """The server's records and behaviour, which a test reads and changes.

    Attributes:
        texts: TXT records by name.
        aliases: CNAME records by name.
        rcode: the answer to everything, unless NOERROR.
        is_silent: answers nothing.
        asked: queried names, with the transport.
    """

    texts: dict[str, list[str]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    is_silent: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        wire = self.answer(data, "udp")
        if wire is not None:
            self.transport.sendto(wire, addr)

    def answer(self, wire: bytes, transport: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        name = query.question[0].name
        self.asked.append((name.to_text(omit_final_dot=True), transport))
        self.heard.set()
        if self.is_silent:
            return None
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        target = self.aliases.get(name.to_text(omit_final_dot=True))
        if target is not None:
            reply.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", f"{target}."))
        texts = self.texts.get(target or name.to_text(omit_final_dot=True))
        if self.rcode != dns.rcode.NOERROR or texts is None:
            reply.set_rcode(self.rcode if self.rcode != dns.rcode.NOERROR else dns.rcode.NXDOMAIN)
        elif texts:
            owner = f"{target}." if target else name
            reply.answer.append(dns.rrset.from_text_list(owner, 60, "IN", "TXT", [_quoted(text) for text in texts]))
        if transport == "tcp":
            return reply.to_wire()
        encoded = reply.to_wire(max_size=65535)
        if len(encoded) <= 512:
            return encoded
        truncated = dns.message.make_response(query)
        truncated.flags |= dns.flags.TC
        return truncated.to_wire()

    async def serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            wire = self.answer(await reader.readexactly(length), "tcp")
            if wire is not None:
                writer.write(struct.pack("!H", len(wire)) + wire)
                await writer.drain()


def _quoted(text: str) -> str:
    """Character strings of 200, as zones have them: one holds at most 255 octets."""
    return " ".join(f'"{text[at : at + 200]}"' for at in range(0, max(len(text), 1), 200))


@asynccontextmanager
async def _running() -> AsyncGenerator[Zone]:
    zone, loop = Zone(), asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        server = await asyncio.start_server(zone.serve_tcp, "127.0.0.1", 0)
        await stack.enter_async_context(server)
        zone.port = server.sockets[0].getsockname()[1]
        transport, _ = await loop.create_datagram_endpoint(lambda: zone, local_addr=("127.0.0.1", zone.port))
        stack.callback(transport.close)
        yield zone


@pytest.fixture
async def zone():
    async with _running() as zone:
        yield zone
