"""What one request asks of ClickHouse: counted as it is read, bounded, and ended when nobody wants it any more."""

import asyncio
import socket
import sys
import threading
from pathlib import Path

import pytest
import pytest_asyncio

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ids import new_id
from duoscope.kernel.settings import Settings
from duoscope.stores.clickhouse import SchemaAccount, TelemetryStore
from duoscope.stores.clickhouse.questions import Caller, asking, cancelled
from duoscope.stores.clickhouse.read_memory import reading
from support.listening import until

ENDLESS = "SELECT count() AS n FROM numbers(1000000000) WHERE NOT ignore(SHA512(toString(number)))"
ONE = "SELECT 1 AS one"
FRONT = Path(__file__).parents[2] / "faults" / "clickhouse_front.py"


@pytest_asyncio.fixture
async def server_store(tmp_path):
    """A store over the HTTP interface of a ClickHouse server, whose engine is in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(sys.executable, str(FRONT), str(tmp_path), str(port))
    settings = Settings(clickhouse_dsn=f"clickhouse://d:d@127.0.0.1:{port}/default?compress=0")
    async with asyncio.timeout(60):
        while True:
            try:
                account = await asyncio.to_thread(SchemaAccount.open, settings)
                break
            except DuoscopeError:
                await asyncio.sleep(0.1)  # a process tells nobody that it listens
    account.close()
    store = TelemetryStore(settings)
    try:
        yield store
    finally:
        await store.close()
        process.kill()
        await process.wait()


@pytest.fixture(params=["embedded", "server"])
def store(request):
    return request.getfixturevalue("telemetry_store" if request.param == "embedded" else "server_store")


async def runs(store, text="SHA512"):
    """Wait until a statement with this text runs in the engine."""
    sql = "SELECT count() FROM system.processes WHERE query LIKE {text:String} AND query NOT LIKE '%processes%'"
    async with asyncio.timeout(60):
        while not await store._watchers.run(
            lambda client: client.query(sql, parameters={"text": f"%{text}%"}).result_rows[0][0]
        ):
            pass


async def nothing_runs(store):
    sql = "SELECT count() FROM system.processes WHERE query LIKE '%SHA512%' AND query NOT LIKE '%processes%'"
    return not await store._watchers.run(lambda client: client.query(sql).result_rows[0][0])


async def test_a_question_that_is_ended_ends_its_statement_in_the_engine(store, new_scope):
    scope = new_scope()

    async def ask():
        with asking() as question:
            asked.append(question)
            await store.bind(scope).query(ENDLESS, name="test")

    asked = []
    task = asyncio.create_task(ask())
    await runs(store)
    # Long enough to be kept among the slowest.
    await until(lambda: asked[0].busy_s > 0.1)
    (seen,) = store.questions.at_work(scope.tenant_id)
    assert (seen.question_id, seen.is_running, seen.statements) == (asked[0].question_id, True, 1)
    store.questions.cancel(tenant_id=scope.tenant_id, question_id=seen.question_id)
    async with asyncio.timeout(10):
        with pytest.raises(DuoscopeError) as caught:
            await task
    assert (caught.value.kind, caught.value.code) == (ErrorKind.INVALID, "query-cancelled")
    assert await nothing_runs(store)
    assert not store._slots._running
    assert not store.questions.at_work(scope.tenant_id)
    (slow,) = store.questions.slowest(scope.tenant_id, 10)
    assert slow.was_ended
    with pytest.raises(DuoscopeError):
        store.questions.cancel(tenant_id=scope.tenant_id, question_id=seen.question_id)
    assert await store.bind(scope).query(ONE, name="test") == [{"one": 1}]


async def test_whoever_stops_to_wait_ends_the_statement_and_keeps_the_place_until_it_has_ended(store, new_scope):
    reader = store.bind(new_scope())
    task = asyncio.create_task(reader.row_binary(ENDLESS, name="test"))
    await runs(store)
    task.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await nothing_runs(store)
    assert not store._slots._running


async def test_an_ended_question_asks_nothing_more(telemetry_store, new_scope):
    with asking() as question:
        question.end(cancelled())
        with pytest.raises(DuoscopeError) as caught:
            await telemetry_store.bind(new_scope()).query(ONE, name="test")
    assert caught.value.code == "query-cancelled"


async def test_what_is_left_beside_a_statement_that_failed_ends_with_the_request(store, new_scope):
    reader = store.bind(new_scope())
    with reading(), asking():
        left = asyncio.ensure_future(reader.query(ENDLESS, name="test"))
        await runs(store)
    async with asyncio.timeout(20):
        with pytest.raises(DuoscopeError) as caught:
            await left
    assert caught.value.code == "request-over"
    assert await reader.query(ONE, name="test") == [{"one": 1}]


async def test_a_stop_ends_all_questions(tmp_path, new_scope, server_store):
    task = asyncio.create_task(server_store.bind(new_scope()).query(ENDLESS, name="test"))
    await runs(server_store)
    async with asyncio.timeout(20):
        await server_store.close()
        with pytest.raises(DuoscopeError) as caught:
            await task
    assert (caught.value.kind, caught.value.code) == (ErrorKind.UNAVAILABLE, "shutting-down")


async def test_what_is_read_is_counted_in_rows_and_in_binary(store, new_scope):
    reader = store.bind(new_scope())
    with asking() as question:
        await reader.query("SELECT max(number) AS n FROM numbers(1000)", name="test")
        assert (question.statements, question.read_rows, question.read_bytes) == (1, 1000, 8000)
        await reader.row_binary("SELECT max(number) AS n FROM numbers(500)", name="test")
        assert (question.statements, question.read_rows, question.read_bytes) == (2, 1500, 12000)
        assert question.busy_s > 0


@pytest.mark.parametrize(
    ("limited", "sql", "named"),
    [
        ({"query_rows": 1000}, "SELECT sum(number) AS n FROM numbers(100000)", ("1,000 rows", "query_rows")),
        ({"query_bytes": 1000}, "SELECT sum(number) AS n FROM numbers(100000)", ("1,000 bytes", "query_bytes")),
        ({"query_seconds": 1}, ENDLESS, ("1 s", "query_seconds")),
        (
            {"query_result_bytes": 2**20},
            "SELECT leftPad(toString(number), 1000) AS x FROM numbers(100000)",
            ("1,048,576 bytes", "query_result_bytes"),
        ),
        ({}, "SELECT groupArray(leftPad(toString(number), 100000)) AS x FROM numbers(100000)", ("2 GiB of memory",)),
    ],
)
async def test_a_limit_of_the_tenant_says_which_it_is(telemetry_store, new_scope, limited, sql, named):
    reader = telemetry_store.bind(new_scope(), Caller(new_id(), "user", "ada@example.com", limited))
    with pytest.raises(DuoscopeError) as caught:
        await reader.query(sql, name="test")
    assert (caught.value.kind, caught.value.code) == (ErrorKind.INVALID, "query-too-expensive")
    assert all(each in caught.value.message for each in named), caught.value.message


async def test_a_request_has_its_rows_in_all_its_statements_together(telemetry_store, new_scope):
    caller = Caller(new_id(), "user", "ada@example.com", {"query_rows": 2500})
    reader = telemetry_store.bind(new_scope(), caller)
    sql = "SELECT sum(number) AS n FROM numbers(1000)"
    with reading():
        await reader.query(sql, name="test")
        await reader.query(sql, name="test")
        with pytest.raises(DuoscopeError) as caught:
            await reader.query(sql, name="test")
    assert "2,500 rows" in caught.value.message
    await reader.query(sql, name="test")


async def test_what_is_computed_takes_turns_like_what_is_read_and_ends_when_unwanted(telemetry_store, new_scope):
    scope, computing, unwanted = new_scope(), threading.Semaphore(0), [threading.Event() for _ in range(3)]
    loop = asyncio.get_running_loop()

    async def compute(event):
        def work():
            computing.release()
            return event.wait(60)

        with asking():
            return await telemetry_store.bind(scope).compute(work, event)

    tasks = [asyncio.create_task(compute(event)) for event in unwanted]
    for _ in range(limits.READS_TENANT_MAX):
        assert await loop.run_in_executor(None, computing.acquire, True, 60)
    assert not computing.acquire(blocking=False)
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert unwanted[0].is_set()
    assert await loop.run_in_executor(None, computing.acquire, True, 60)  # the third has its slot
    for event in unwanted:
        event.set()
    assert await asyncio.gather(*tasks[1:]) == [True, True]
