"""Requests to configured addresses: never into our own network, whatever a name, a number or a provider says."""

import asyncio
import contextlib
import ipaddress
import socket
import threading

import pytest

from duoscope.kernel.errors import DuoscopeError
from duoscope.net import outbound as module
from duoscope.net.outbound import Outbound, allowed_networks, is_reachable


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.9.9.9", "169.254.169.254", "172.16.0.1"),
        *("172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.1"),
        *("203.0.113.9", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1"),
        *("100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1", "fd12::1"),
        *("fe80::1", "fec0::1", "ff02::1"),
    ],
)
def test_special_addresses_are_out_of_reach(address):
    assert not is_reachable(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450:4001::1"])
def test_public_addresses_are_reachable(address):
    assert is_reachable(ipaddress.ip_address(address))


def test_what_the_operator_allows_is_reachable_and_nothing_else():
    allowed = allowed_networks("127.0.0.0/8, fd00::/8")
    assert is_reachable(ipaddress.ip_address("127.0.0.1"), allowed)
    assert is_reachable(ipaddress.ip_address("fd00::1"), allowed)
    assert not is_reachable(ipaddress.ip_address("10.0.0.1"), allowed)
    assert not is_reachable(ipaddress.ip_address("::ffff:127.0.0.1"), allowed)
    with pytest.raises(DuoscopeError, match="DUOSCOPE_OUTBOUND_NETWORKS"):
        allowed_networks("127.0.0.1/8")


@pytest.fixture
async def server():
    """A server in loopback that counts connections and answers what it is told to."""

    class Server:
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
        connections = 0
        requests: list[bytes]

    told = Server()
    told.requests = []

    async def serve(reader, writer):
        told.connections += 1
        with contextlib.closing(writer):
            told.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(told.answer)
            await writer.drain()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    told.port = listening.sockets[0].getsockname()[1]
    yield told
    listening.close()
    await listening.wait_closed()


@pytest.fixture
def connect():
    """Requests with what the operator allows."""

    async def request(url: str, allowed: str = ""):
        outbound = Outbound(allowed)
        try:
            return await outbound.request("GET", url)
        finally:
            await outbound.close()

    return request


async def _refused(awaitable, code: str = "address-refused") -> None:
    with pytest.raises(DuoscopeError) as refused:
        await awaitable
    assert refused.value.code == code
    assert "127.0.0" not in refused.value.message


async def test_loopback_takes_leave(server, connect):
    for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]", "0.0.0.0"):
        await _refused(connect(f"http://{host}:{server.port}/"))
        await _refused(connect(f"https://{host}:{server.port}/"))
    assert server.connections == 0
    answer = await connect(f"http://127.0.0.1:{server.port}/path?x=1", "127.0.0.0/8")
    assert (answer.status, answer.body) == (200, b"hi")
    assert server.requests[0].startswith(b"GET /path?x=1 HTTP/1.1\r\n")
    assert f"host: 127.0.0.1:{server.port}".encode() in server.requests[0].lower()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com",
        "file:///etc/passwd",
        "//example.com",
        "https://",
        "https://a:b@example.com/",
        "http://x:99999/",
    ],
)
async def test_other_urls_are_none(connect, url):
    await _refused(connect(url, "127.0.0.0/8"))


async def test_a_name_is_judged_by_all_its_addresses_and_once(server, connect, monkeypatch):
    """DNS rebinding: the address that was looked at is the one that is connected to."""
    looked_up = []

    def getaddrinfo(host, port, **_):
        looked_up.append(host)
        answers = {"good.test": ["127.0.0.1"], "mixed.test": ["127.0.0.1", "10.0.0.1"], "away.test": []}[host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert (await connect(f"http://good.test:{server.port}/", "127.0.0.0/8")).status == 200
    assert looked_up == ["good.test"]
    assert b"host: good.test" in server.requests[0].lower()
    for name in ("mixed.test", "away.test"):
        await _refused(connect(f"http://{name}:{server.port}/", "127.0.0.0/8"))
    assert server.connections == 1


async def test_redirects_are_not_followed_and_answers_are_bounded(server, connect, monkeypatch):
    server.answer = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    assert (await connect(f"http://127.0.0.1:{server.port}/", "127.0.0.0/8")).status == 302
    monkeypatch.setattr(module, "ANSWER_BYTES_MAX", 10)
    server.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n" + b"x" * 11
    await _refused(connect(f"http://127.0.0.1:{server.port}/", "127.0.0.0/8"), "outbound-failed")
    server.answer = b"no HTTP at all\r\n\r\n"
    await _refused(connect(f"http://127.0.0.1:{server.port}/", "127.0.0.0/8"), "outbound-failed")
    monkeypatch.setattr(module, "TIMEOUT_S", 0.1)
    server.answer = b""
    await _refused(connect("http://127.0.0.1:1/", "127.0.0.0/8"), "outbound-failed")


async def test_who_is_silent_delays_their_own_share_and_nobody_else(server):
    """Neither by requests that are never answered nor by those that wait behind them."""
    taken = asyncio.Queue()

    async def say_nothing(reader, writer):
        taken.put_nowait(writer)
        with contextlib.closing(writer):
            await reader.read()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    outbound = Outbound("127.0.0.0/8")

    def ask():
        return asyncio.create_task(outbound.request("GET", f"http://127.0.0.1:{port}/", share="silent"))

    under_way = [ask() for _ in range(module.SHARE_REQUESTS_MAX + module.SHARE_WAITING_MAX)]
    connections = [await taken.get() for _ in range(module.SHARE_REQUESTS_MAX)]
    assert taken.empty(), "the others wait"
    await _refused(outbound.request("GET", f"http://127.0.0.1:{port}/", share="silent"), "outbound-failed")
    for share in ("another", None):
        answer = await outbound.request("GET", f"http://127.0.0.1:{server.port}/", share=share)
        assert answer.status == 200
    for task in under_way:
        task.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)
    assert outbound._shares == {}
    for connection in connections:
        connection.close()
    silent.close()
    await outbound.close()


async def test_names_that_nobody_resolves_delay_their_own_share_and_nobody_else(server, monkeypatch):
    answered, asked = threading.Event(), asyncio.Queue()
    loop = asyncio.get_running_loop()
    resolve = socket.getaddrinfo

    def getaddrinfo(host, port, **options):
        if host == "silent.test":
            loop.call_soon_threadsafe(asked.put_nowait, host)
            answered.wait()
            raise socket.gaierror("no answer")
        return resolve(host, port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    outbound = Outbound("127.0.0.0/8")

    def ask():
        return asyncio.create_task(outbound.request("GET", "https://silent.test/", share="silent"))

    under_way = [ask() for _ in range(module.SHARE_LOOKUPS_MAX)]
    for _ in under_way:
        await asked.get()
    await _refused(outbound.request("GET", "https://silent.test/", share="silent"), "outbound-failed")
    assert (await outbound.request("GET", f"http://localhost:{server.port}/", share="another")).status == 200
    answered.set()
    for task in under_way:
        await _refused(task, "outbound-failed")
    await outbound.close()
