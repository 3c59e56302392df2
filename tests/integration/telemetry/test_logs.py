"""Search and tail of log records."""

import asyncio
import random
from collections import Counter

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError
from duoscope.stores.clickhouse import Blocks
from duoscope.telemetry import logs, tail, windows
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
        otlp.logs(
            "pasted",
            {"time_unix_nano": start + 5, "body": 'user_id=42 at=Main.java:42 GET https://shop.example.com/cart?x=1 '
                                                  'level="not an attribute"'},
            {"time_unix_nano": start + 6, "attributes": {"level": "high", "größe": 5, "用户.名": "x", "e\u0301": "z",
                "é": "y", "resource.name": "R", "attributes.kind": "k"}},
            **{"resource.zone": "z"},
        ),
    )  # fmt: skip
    return telemetry_store.bind(scope)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [6, 5, 4, 3, 2, 1, 0]),
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
        ("-connection", [6, 5, 4, 3, 2]),
        ("severity>=warn", [1, 0]),
        ("severity:error OR service:cart", [4, 3, 0]),
        ("severity<warn service:ch*", [2]),
        ("service!=cart NOT (refused connection)", [6, 5, 2]),
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
        ("scope:test.*", [6, 5, 4, 3, 2, 1, 0]),
        ('body:"refused: no connection"', [1]),
        ("nothing:here", []),
        # Pasted text that looks like fields or is none is found where nothing has such an attribute.
        ("user_id=42", [5]),
        ("Main.java:42", [5]),
        ("at=Main.java:42 https://shop.example.com/cart?x=1", [5]),
        ('level="not an attribute"', [5]),
        ('"level"=high service:pasted', [6]),
        ("user_id=42 service:checkout", []),
        ("user_id=4", []),
        ("user_id!=42 service:pasted", [6, 5]),
        ("refused -user_id=42", [1, 0]),
        # Names beyond ASCII, and names that begin like places.
        ("größe:5", [6]),
        ("用户.名=x", [6]),
        ("é:y", [6]),
        ("resource.name:R*", [6]),
        ('"resource.name":R', [6]),
        ("attributes.kind=k", [6]),
        ("attributes.attributes.kind=k", [6]),
        ("resource.resource.zone:z", [6, 5]),
        ("resource.zone:z", [6, 5]),
        ("resource.größe:5", []),
    ],
)
async def test_search(reader, query, found):
    page = await logs.search(reader, HOUR, query)
    last_digits = [int(record.timestamp[-2]) for record in page.items]
    assert last_digits == found
    assert page.next_cursor is None


async def test_an_answer_without_items_says_what_was_looked_for_where(reader):
    page = await logs.search(reader, HOUR, 'service:pasted nosuch -größe:5 "no phrase" user.id=7 5xx:1 resource.a:b')
    assert page.items == []
    found, _, looked_for = (page.hint or "").partition(" match. Looked for: ")
    assert found == f"No log records from {rfc3339(HOUR.start_ns)} to {rfc3339(HOUR.end_ns)}"
    assert looked_for.rstrip(".").split("; ") == [
        "the field service (`service.name` of the resource) = pasted",
        "nosuch in the body (whole words, in any case)",
        "without an attribute größe of the record or its resource = 5",
        'the phrase "no phrase" in the body (as it stands, in any case)',
        "an attribute user.id of the record or its resource = 7, or the text in the body",
        "5xx:1 in the body (whole words, in any case",
        "for a field of such a name put the name in quotes)",
        "an attribute resource.a or a of the resource = b, or the text in the body",
    ]
    nothing = await logs.search(reader, TimeRange(1, 2))
    assert nothing.hint == f"No log records from {rfc3339(1)} to {rfc3339(2)}."
    long = await logs.search(reader, HOUR, " ".join(f"a{n}:{'x' * 70}" for n in range(90)))
    assert long.hint
    assert len(long.hint) < 3000
    assert "and 80 more" in long.hint


async def test_what_was_read_as_text_is_said_and_stays_so_on_later_pages(telemetry_store, deliver, otlp, new_scope):
    scope = new_scope()
    records = [{"time_unix_nano": HOUR.start_ns + n, "body": f"user_id=42 {n}"} for n in range(5)]
    await deliver(scope, otlp.logs("s", *records))
    reader = telemetry_store.bind(scope)
    page = await logs.search(reader, HOUR, "user_id=42", limit=2)
    assert page.hint == (
        "As attributes alone, `user_id=42` found nothing: here is what has the attribute, or the text in the body. For "
        "the text alone, put it in quotes."
    )
    shown = [record.body for record in page.items]
    while page.next_cursor:
        page = await logs.search(reader, HOUR, "user_id=42", limit=2, cursor=page.next_cursor)
        shown += [record.body for record in page.items]
        assert page.hint is None
    assert shown == [f"user_id=42 {n}" for n in (4, 3, 2, 1, 0)]
    # Where something has the attribute it is what was meant.
    await deliver(scope, otlp.logs("s", {"time_unix_nano": HOUR.start_ns, "attributes": {"user_id": 42}}))
    page = await logs.search(reader, HOUR, "user_id=42")
    assert ([record.attributes for record in page.items], page.hint) == ([{"user_id": 42}], None)


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


def _alike(otlp):
    """Records of one nanosecond, each with a twin, that differ from the first in one thing each."""
    plain = {"time_unix_nano": HOUR.start_ns, "body": "x"}
    others = (
        {"observed_time_unix_nano": 1}, {"observed_time_unix_nano": 2}, {"severity_number": 1}, {"severity_text": "x"},
        {"body": "y"}, {"body": 1}, {"body": "1"}, {"body": ""}, {"body": None}, {"event_name": "x"},
        {"trace_id": b"t" * 16}, {"span_id": b"s" * 8}, {"flags": 1}, {"attributes": {"a": 1}},
        {"attributes": {"a": "1"}}, {"dropped_attributes_count": 1},
    )  # fmt: skip
    request = otlp.logs("s", *(record for other in ({}, *others) for record in [plain | other] * 2))

    def origin(**changes):
        made = otlp.logs("s", plain, plain)
        of_resource, of_scope = made.resource_logs[0], made.resource_logs[0].scope_logs[0]
        for name, value in changes.items():
            match name.split("_", 1):
                case ["resource", field] if field != "schema_url":
                    target = of_resource.resource
                case ["resource", field]:
                    target = of_resource
                case ["scope", field] if field != "schema_url":
                    target = of_scope.scope
                case _:
                    target, field = of_scope, "schema_url"
            if field == "attributes":
                target.attributes.extend(otlp.attributes(value))
            else:
                setattr(target, field, value)
        return made

    return [
        request,
        otlp.logs("other", plain, plain),
        *(
            origin(**{name: value})
            for name, value in {
                "resource_attributes": {"a": 1}, "resource_dropped_attributes_count": 1, "resource_schema_url": "u",
                "scope_name": "n", "scope_version": "1", "scope_attributes": {"a": 1},
                "scope_dropped_attributes_count": 1, "scope_schema_url": "u",
            }.items()
        ),
    ]  # fmt: skip


@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_pages_of_records_that_differ_in_any_one_thing_are_the_whole_answer(
    telemetry_store, deliver, otlp, new_scope, limit
):
    scope = new_scope()
    for request in _alike(otlp):
        await deliver(scope, request)
    reader = telemetry_store.bind(scope)
    whole = [repr(record) for record in (await logs.search(reader, HOUR, limit=1000)).items]
    assert sorted(Counter(whole).values()) == [2] * 26
    shown, cursor = [], None
    while True:
        page = await logs.search(reader, HOUR, limit=limit, cursor=cursor)
        shown += [repr(record) for record in page.items]
        if not (cursor := page.next_cursor):
            break
    assert shown == whole


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


@pytest.mark.parametrize("query", ["", "common", "rare -never", "service:nobody"])
async def test_windows_change_no_answer_and_no_cursor(  # noqa: PLR0917 - fixtures
    telemetry_store, deliver, otlp, new_scope, monkeypatch, query
):
    scope, pick = new_scope(), random.Random(3)
    # Dense at the end of the range and sparse before it, with many at the same times.
    ages = [int(10 ** pick.uniform(0, 12.5)) // 10**9 * 10**9 + pick.randrange(3) for _ in range(150)]
    records = [
        {"time_unix_nano": HOUR.end_ns - 2 - age, "body": f"{'common' if n % 9 else 'rare'} {n % 5}"}
        for n, age in enumerate(ages)
    ]
    await deliver(scope, otlp.logs("s", *records))
    reader = telemetry_store.bind(scope)
    whole, arrived = (await logs.search(reader, HOUR, query, limit=1000)).items, 0
    for first_ns, limit in ((windows.FIRST_NS, 60), (2, 70), (10**9, 7 if query.startswith("rare") else 50)):
        monkeypatch.setattr(windows, "FIRST_NS", first_ns)
        shown, cursor, before = [], None, arrived
        while True:
            page = await logs.search(reader, HOUR, query, limit=limit, cursor=cursor)
            shown += page.items
            if not (cursor := page.next_cursor):
                break
            assert len(page.items) == limit
            arrived += 1
            # What arrives later than the first page is not shown, whatever window it is in.
            late = {"time_unix_nano": HOUR.end_ns - 1, "body": "arrived later, common and rare"}
            await deliver(scope, otlp.logs("s", late))
        assert [record for record in shown if "later" not in record.body] == whole
        assert sum("later" in record.body for record in shown) <= before


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
    tailing = tail.tail(telemetry_store.bind(scope), "wanted", wait=polls.get)
    first = asyncio.create_task(anext(tailing))
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
    batch = await anext(tailing)
    assert [record.body for record in batch.items] == ["late wanted", "twin wanted", "twin wanted"]
    assert not batch.gap
    polls.put_nowait(None)
    assert (await anext(tailing)).items == []
    many = [{"time_unix_nano": now + 10 + n, "body": "wanted"} for n in range(tail.TAIL_ROWS_MAX + 1)]
    await deliver(scope, otlp.logs("s", *many))
    polls.put_nowait(None)
    batch = await anext(tailing)
    assert len(batch.items) == tail.TAIL_ROWS_MAX
    assert batch.gap
    await tailing.aclose()


async def test_a_tail_follows_arrival_whatever_the_time_and_through_merges(telemetry_store, deliver, otlp, new_scope):
    scope = new_scope()
    now, day = now_unix_nano(), 86_400 * 10**9
    merge = "OPTIMIZE TABLE logs_v3 FINAL"
    ages = {"now": 0, "three minutes": 180 * 10**9, "an hour": 3600 * 10**9, "yesterday": day, "days": 9 * day}
    polls: asyncio.Queue[None] = asyncio.Queue()
    for age in ages.values():
        await deliver(scope, otlp.logs("s", {"time_unix_nano": now - age, "body": "there before"}))
    tailing = tail.tail(telemetry_store.bind(scope), wait=polls.get)
    first = asyncio.create_task(anext(tailing))
    await asyncio.sleep(0)
    polls.put_nowait(None)
    assert (await first).items == []
    for merged in (False, True):
        for name, age in ages.items():
            await deliver(scope, otlp.logs("s", {"time_unix_nano": now - age, "body": name}))
            await deliver(new_scope(), otlp.logs("s", {"time_unix_nano": now - age, "body": "a stranger's"}))
        if merged:
            # What came is in one part with what was there.
            await telemetry_store._writers.run(lambda client: client.command(merge))
        polls.put_nowait(None)
        assert [record.body for record in (await anext(tailing)).items] == list(ages)[::-1]
        await telemetry_store._writers.run(lambda client: client.command(merge))
        polls.put_nowait(None)
        assert (await anext(tailing)).items == []
    await tailing.aclose()


async def test_a_look_of_the_tail_reads_parts_with_new_blocks_alone(telemetry_store, deliver, otlp, new_scope):
    scope = new_scope()
    reader = telemetry_store.bind(scope)
    for number in range(3):
        await deliver(scope, otlp.logs("s", {"time_unix_nano": HOUR.start_ns, "body": f"{number}"}))
    known = tail.KnownBlocks()
    known.add(await reader.log_blocks())
    await deliver(scope, otlp.logs("s", {"time_unix_nano": HOUR.start_ns, "body": "new"}))
    (fresh,) = known.add(await reader.log_blocks(changed_within_s=1))
    plan = await reader.query(
        f"EXPLAIN indexes = 1 SELECT body FROM @log_arrivals WHERE {tail._NEW}",
        {"partitions": [fresh.partition], "lows": [fresh.low], "highs": [fresh.high]},
        name="test",
    )
    assert any("Parts: 1/1" in row["explain"] for row in plan), plan


@pytest.mark.parametrize("seed", range(20))
def test_every_block_is_new_once(seed):
    chance = random.Random(seed)
    known, seen, stored = tail.KnownBlocks(), set(), []
    for number in range(1, 120):
        partition = chance.choice("ab")
        stored.append(Blocks(partition, number, number))
        if chance.random() < 0.3:
            # A merge of neighbours in a partition.
            own = [part for part in stored if part.partition == partition]
            merged = own[chance.randrange(len(own)) :][: chance.randint(2, 9)]
            stored = [part for part in stored if part not in merged]
            stored.append(Blocks(partition, merged[0].low, merged[-1].high))
            stored.sort(key=lambda part: part.low)
        if chance.random() < 0.4:
            fresh = known.add(chance.sample(stored, len(stored)))
            ranges = [(b.partition, n) for b in fresh for n in range(b.low, b.high + 1)]
            assert len(ranges) == len(set(ranges))
            assert not seen & set(ranges)
            seen |= set(ranges)
            now = {(part.partition, n) for part in stored for n in range(part.low, part.high + 1)}
            assert now <= seen
    known.add(stored)
    assert known.add(stored) == []


async def test_tail_refuses_a_query_with_a_mistake(reader):
    with pytest.raises(DuoscopeError, match="character 1"):
        await anext(tail.tail(reader, "severity:loud"))
