"""Search and tail of log records."""

import asyncio

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError
from duoscope.telemetry import logs
from duoscope.telemetry.times import TimeRange
from duoscope.telemetry.values import rfc3339

# A whole hour that is over, and young enough for the shortest retention.
_START_NS = (now_unix_nano() // (3600 * 10**9) - 2) * 3600 * 10**9
HOUR = TimeRange(_START_NS, _START_NS + 3600 * 10**9)


@pytest.fixture
async def reader(telemetry_store, deliver, otlp, new_scope):
    scope = new_scope()
    start = HOUR.start_ns
    await deliver(
        scope,
        otlp.logs(
            "checkout",
            {"time_unix_nano": start, "body": "Connection refused by upstream", "severity_number": 17, "attributes": {
                "http.route": "/api/{id}", "http.response.status_code": 503, "retry": True, "ratio": 0.25,
                "path": "C:\\x"}},
            {"time_unix_nano": start + 1, "body": "refused: no connection", "severity_number": 13,
             "trace_id": b"t" * 16, "span_id": b"s" * 8, "event_name": "denied", "attributes": {"empty": ""}},
            {"time_unix_nano": start + 2, "body": {"order": [1, 2]}, "severity_number": 9},
            **{"k8s.pod.name": "checkout-1", "replicas": 3},
        ),
        otlp.logs(
            "cart",
            {"time_unix_nano": start + 3, "body": "added 100% of item_1", "severity_number": 9},
            {"observed_time_unix_nano": start + 4, "body": "ünïcode Wörd"},
            {"time_unix_nano": HOUR.end_ns, "body": "too late"},
            **{"http.route": "from the resource"},
        ),
    )  # fmt: skip
    return telemetry_store.bind(scope)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [4, 3, 2, 1, 0]),
        ("connection", [1, 0]),
        ("REFUSED connection", [1, 0]),
        ('"connection refused"', [0]),
        ("connection.refused", []),
        ("conn*", [1, 0]),
        ("nnecti", []),
        ("wörd", [4]),
        ('"100%"', [3]),
        ("item_1", [3]),
        ("order", [2]),
        ("-connection", [4, 3, 2]),
        ("severity>=warn", [1, 0]),
        ("severity:error OR service:cart", [4, 3, 0]),
        ("severity<warn service:ch*", [2]),
        ("service!=cart NOT (refused connection)", [2]),
        ('http.route="/api/{id}"', [0]),
        ("http.route:*", [4, 3, 0]),
        ("resource.http.route:*", [4, 3]),
        ("attributes.http.route:*", [0]),
        ("http.response.status_code:503", [0]),
        ("http.response.status_code>=500", [0]),
        ("-http.response.status_code>=500 service:checkout", [2, 1]),
        ("http.response.status_code!=503 service:checkout", [2, 1]),
        ("retry:true", [0]),
        ("ratio<0.5", [0]),
        ("ratio:0.25", [0]),
        ('path:"C:\\\\x"', [0]),
        ('empty:""', [1]),
        ("k8s.pod.name:*-1", [2, 1, 0]),
        ("resource.replicas:3", [2, 1, 0]),
        ("replicas>2", [2, 1, 0]),
        ("trace_id:" + "74" * 16, [1]),
        ("span_id:*", [1]),
        ("event:denied", [1]),
        ("scope:test.*", [4, 3, 2, 1, 0]),
        ('body:"refused: no connection"', [1]),
        ("nothing:here", []),
    ],
)
async def test_search(reader, query, found):
    page = await logs.search(reader, HOUR, query)
    last_digits = [int(record.timestamp[-2]) for record in page.items]
    assert last_digits == found
    assert page.next_cursor is None


async def test_a_record_in_full(reader):
    (record,) = (await logs.search(reader, HOUR, "event:denied")).items
    assert record.timestamp == rfc3339(_START_NS + 1)
    assert record.observed_timestamp is None
    assert (record.severity_number, record.severity_text, record.event_name) == (13, "", "denied")
    assert (record.trace_id, record.span_id) == ("74" * 16, "73" * 8)
    assert record.attributes == {"empty": ""}
    assert record.resource.attributes == {"service.name": "checkout", "k8s.pod.name": "checkout-1", "replicas": 3}
    assert record.scope.name == "test.logger"
    (record,) = (await logs.search(reader, HOUR, "order")).items
    assert record.body == {"order": [1, 2]}
    assert record.trace_id is None
    assert record.span_id is None


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 29, 30])
async def test_pages_are_complete_and_stable_under_ties_and_new_data(telemetry_store, deliver, otlp, new_scope, limit):
    scope = new_scope()
    # Three nanoseconds with ten records each, of which five cannot be told apart.
    records = [
        {"time_unix_nano": HOUR.start_ns + moment, "body": f"{min(number, 5)}"}
        for moment in range(3)
        for number in range(10)
    ]
    await deliver(scope, otlp.logs("s", *records))
    reader = telemetry_store.bind(scope)
    bodies, cursor = [], None
    while True:
        page = await logs.search(reader, HOUR, limit=limit, cursor=cursor)
        bodies += [(record.timestamp, record.body) for record in page.items]
        if not (cursor := page.next_cursor):
            break
        assert len(page.items) == limit
        await deliver(scope, otlp.logs("s", {"time_unix_nano": HOUR.end_ns - 1, "body": "new"}))
    in_one_go = await logs.search(reader, HOUR, "-new", limit=100)
    assert bodies == [(record.timestamp, record.body) for record in in_one_go.items]
    assert len(bodies) == 30


async def test_refused(reader):
    for limit in (0, 1001):
        with pytest.raises(DuoscopeError, match="`limit` must be from 1 to 1000"):
            await logs.search(reader, HOUR, limit=limit)
    cursor = (await logs.search(reader, HOUR, limit=1)).next_cursor
    with pytest.raises(DuoscopeError, match="does not belong"):
        await logs.search(reader, HOUR, "word", limit=1, cursor=cursor)


async def test_words_are_found_through_the_index(reader):
    condition = logs.compile_query("connection", logs.Signal.LOGS)
    assert condition is not None
    plan = await reader.query(
        f"EXPLAIN indexes = 1 SELECT 1 FROM @logs WHERE {condition.sql}", condition.parameters, name="test"
    )
    assert any("by_word" in row["explain"] for row in plan)


async def test_tail_yields_what_arrives_once_each(telemetry_store, deliver, otlp, new_scope):
    scope = new_scope()
    now = now_unix_nano()
    polls: asyncio.Queue[None] = asyncio.Queue()
    await deliver(scope, otlp.logs("s", {"time_unix_nano": now, "body": "before wanted"}))
    tail = logs.tail(telemetry_store.bind(scope), "wanted", wait=polls.get)
    first = asyncio.create_task(anext(tail))
    await asyncio.sleep(0)
    polls.put_nowait(None)
    assert (await first).items == []
    # Late, twins, and one that does not match.
    await deliver(
        scope,
        otlp.logs(
            "s",
            {"time_unix_nano": now - 10**9, "body": "late wanted"},
            {"time_unix_nano": now + 1, "body": "twin wanted"},
            {"time_unix_nano": now + 1, "body": "twin wanted"},
            {"time_unix_nano": now + 2, "body": "other"},
        ),
    )
    polls.put_nowait(None)
    batch = await anext(tail)
    assert [record.body for record in batch.items] == ["late wanted", "twin wanted", "twin wanted"]
    assert not batch.gap
    polls.put_nowait(None)
    assert (await anext(tail)).items == []
    many = [{"time_unix_nano": now + 10 + n, "body": "wanted"} for n in range(logs.TAIL_ROWS_MAX + 1)]
    await deliver(scope, otlp.logs("s", *many))
    polls.put_nowait(None)
    batch = await anext(tail)
    assert len(batch.items) == logs.TAIL_ROWS_MAX
    assert batch.gap
    await tail.aclose()


async def test_tail_refuses_a_query_with_a_mistake(reader):
    with pytest.raises(DuoscopeError, match="character 1"):
        await anext(logs.tail(reader, "severity:loud"))
