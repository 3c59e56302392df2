"""What is noticed when an evaluator dies: its leases are free at once, and the watchdog gets no more pings."""

import asyncio
import contextlib

import pytest

from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import alert_rules
from duoscope.net.outbound import Outbound
from duoscope.worker.watchdog import ping

PLATFORM = PlatformScope(reason="a test")


@contextlib.asynccontextmanager
async def living(evaluator):
    """An evaluator that holds its number."""
    task = asyncio.create_task(evaluator.hold_number())
    while evaluator.number is None and not task.done():  # noqa: ASYNC110 - it tells in no other way
        await asyncio.sleep(0)
    assert not task.done()
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def lease(watched, number):
    async with watched.metadata.open_platform(PLATFORM, "test.lease") as tx:
        return await alert_rules.lease(tx, lease_s=60, of_tenant_max=2, leased_by=number)


async def due_in(watched, minutes):
    async with watched.metadata.open(watched.scope, "test.due") as tx:
        await tx.execute("UPDATE alert_rules SET due_at = now() + make_interval(mins => $1)", minutes)


async def test_leases_of_an_evaluator_that_died_are_free_at_once(watched):
    await watched.rule({"kind": "promql", "expression": "depth"}, {"kind": "any"})
    evaluator = watched.evaluator()
    async with living(evaluator):
        first = await lease(watched, evaluator.number)
        assert await lease(watched, 1) is None
        number = evaluator.number
    assert evaluator.number is None
    # PostgreSQL ends the session when it notices that the connection is gone: wait for that.
    async with watched.metadata.open(watched.scope, "test.wait") as tx:
        await tx.execute("SELECT pg_advisory_xact_lock($1::int4, $2::int4)", alert_rules.EVALUATORS, number)
    assert (await lease(watched, 1)).fence == first.fence + 1


async def test_a_lease_without_a_number_ends_by_time(watched):
    await watched.rule({"kind": "promql", "expression": "depth"}, {"kind": "any"})
    assert await lease(watched, None)
    assert await lease(watched, 1) is None


@pytest.fixture
async def watchdog():
    """A server that notes who pings, and answers what the test says."""
    pings, answers = [], ["204 No Content"]

    async def serve(reader, writer):
        pings.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        writer.write(f"HTTP/1.1 {answers[0]}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/ping/7", pings, answers


async def test_the_watchdog_is_pinged_while_rules_are_evaluated_in_time(watched, watchdog):
    url, pings, answers = watchdog
    outbound, evaluator = Outbound("127.0.0.0/8"), watched.evaluator()
    try:
        await watched.rule({"kind": "promql", "expression": "depth"}, {"kind": "any"})
        await due_in(watched, 1)
        await ping(evaluator, outbound, url)
        assert pings == [b"GET /ping/7 HTTP/1.1"]
        answers[0] = "500 Oops"
        with pytest.raises(DuoscopeError, match="answered 500"):
            await ping(evaluator, outbound, url)
        await due_in(watched, -5)
        with pytest.raises(DuoscopeError, match=r"evaluated 3.. s late"):
            await ping(evaluator, outbound, url)
        assert len(pings) == 2
        # A tenant that has used up its own query time makes nobody else's alerts late.
        async with watched.metadata.open(watched.scope, "test.spend") as tx:
            await alert_rules.spend(tx, seconds=61, seconds_max=60)
        answers[0] = "200 OK"
        await ping(evaluator, outbound, url)
    finally:
        await outbound.close()
    with pytest.raises(DuoscopeError, match="address is not allowed"):
        await ping(evaluator, Outbound(""), url)
