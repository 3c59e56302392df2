"""The API's port among strangers: connections that say nothing, half or too slowly, and what every answer carries."""

import asyncio
import contextlib
import logging

import httpx

from duoscope.kernel import limits
from duoscope.net import http_listener
from support.listening import connected, listening, until

LOGIN = b"POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"


async def rest(reader):
    with contextlib.suppress(ConnectionError):
        return await reader.read()
    return b""


async def test_silent_connections_shut_nobody_out(api):
    """S1: sockets of one byte each, as many as somebody likes, from the same address as everybody else."""
    async with listening(api.app, 64, 32) as server, contextlib.AsyncExitStack() as stack:
        answers = []
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            for _ in range(20):
                for _ in range(20):
                    reader, writer = await stack.enter_async_context(connected(server))
                    writer.write(b"G")
                answers.append((await client.get("/health/live")).status_code)
                async with httpx.AsyncClient(base_url=server.url, timeout=60) as newcomer:
                    answers.append((await newcomer.get("/health/live")).status_code)
        assert answers == [200] * 40
        assert server._state.peers.count <= 33
        assert await rest(reader) is not None


async def test_half_a_request_has_an_end(api, monkeypatch, caplog):
    """S2: of headers, of a body whose sender pauses, and of one that is refused before it is there."""
    monkeypatch.setattr(limits, "HTTP_HEADERS_MAX_S", 0.2)
    monkeypatch.setattr(limits, "HTTP_BODY_PAUSE_MAX_S", 0.2)
    monkeypatch.setattr(limits, "HTTP_DISCARD_MAX_S", 0.2)
    async with listening(api.app) as server, contextlib.AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(connected(server)) for _ in range(3)]
        for (_, writer), said in zip(wires, (b"POST /api/v1/auth/lo", LOGIN + b"{", LOGIN[:-2] + b"a: b"), strict=True):
            writer.write(said)
        headers, body, trailing = [await rest(reader) for reader, _ in wires]
        assert (headers, trailing) == (b"", b"")
        assert body.startswith(b"HTTP/1.1 503 ")
        assert b'"code":"request-too-slow"' in body
        assert b"retry-after: " in body
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_who_has_read_all_is_let_be(api, monkeypatch, caplog):
    monkeypatch.setattr(http_listener, "_SWEEP_S", 0.01)
    async with listening(api.app) as server, httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        for _ in range(3):
            assert (await client.get("/health/live")).status_code == 200
            await until(lambda: not server._state.writing)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_who_does_not_read_is_cut_off(monkeypatch, caplog):
    monkeypatch.setattr(limits, "HTTP_UNREAD_MAX_S", 0.1)
    monkeypatch.setattr(http_listener, "_SWEEP_S", 0.05)
    caplog.set_level(logging.INFO)
    ended = asyncio.Event()

    async def much(_scope, _receive, send):
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(1000):
                await send({"type": "http.response.body", "body": bytes(2**16), "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            ended.set()

    async with listening(much) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**10)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await ended.wait()
        got = len(await rest(reader))
        writer.close()
    assert got < 1000 * 2**16
    assert any("did not read" in record.message for record in caplog.records)
    async with listening(much) as server, httpx.AsyncClient(timeout=60) as client:
        assert len((await client.get(server.url)).content) == 1000 * 2**16


async def test_a_client_that_goes_away_is_no_error(api, caplog):
    async with listening(api.app) as server:
        async with connected(server) as (_, writer):
            writer.write(LOGIN + b"{")
            await writer.drain()
            await until(lambda: server._state.tasks)
        await until(lambda: not server._state.tasks)
    assert [record for record in caplog.records if record.exc_info or record.levelno >= logging.WARNING] == []


async def test_every_answer_says_what_it_is_to_browsers(api, new_scope):
    headers = await api.headers(new_scope())
    async with listening(api.app) as server, httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        answers = [
            await client.get(path)
            for path in ("/", "/schema", "/schema/openapi.json", "/health/live", "/metrics", "/nothing", "/invitation")
        ]
        answers.append(await client.get("/api/v1/services"))
        answers.append(await client.get("/api/v1/services", headers=headers))
        answers.append(await client.options("/api/v1/services"))
        answers.append(await client.get("/", headers={"x": "y" * limits.HTTP_HEADERS_BYTES_MAX}))
        assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 200, 404, 200, 401, 200, 204, 431]
    for answer in answers:
        policy = answer.headers.get_list("content-security-policy")
        assert len(policy) == 1, answer.request.url
        assert policy[0].startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in policy[0]
        assert "unsafe" not in policy[0]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
    for page in (answers[1], answers[6]):
        assert "style-src 'sha256-" in page.headers["content-security-policy"]


async def test_https_lasts_where_users_connect_over_it(api):
    api.app.is_https = True
    async with listening(api.app) as server, httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        for path in ("/", "/schema", "/health/live", "/nothing", "/api/v1/services"):
            answer = await client.get(path)
            assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains", path


async def test_the_port_says_no_in_problem_details(api):
    async with listening(api.app, 1) as server, contextlib.AsyncExitStack() as stack:
        _, writer = await stack.enter_async_context(connected(server))
        writer.write(LOGIN)
        await until(lambda: server._state.tasks)
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            answer = await client.get("/health/live")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "too-many-connections"
    assert int(answer.headers["retry-after"]) > 0
