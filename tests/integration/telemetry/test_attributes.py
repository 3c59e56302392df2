"""Attributes of spans and log records: searched by value and type, and read alone, whichever way they are stored."""

import json
import re

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.stores.clickhouse import attribute_indexes
from duoscope.stores.clickhouse.reach import Guides
from duoscope.telemetry import logs, traces
from duoscope.telemetry.language import Signal, compile_query
from duoscope.telemetry.times import TimeRange

NOW = now_unix_nano()
AROUND = TimeRange(NOW - 3600 * 10**9, NOW + 3600 * 10**9)
ATTRIBUTES = [
    {"k": 1},
    {"k": "1"},
    {"k": 1.0},
    {"k": True},
    {"k": "true"},
    {"k": ""},
    {"k": None},
    {},
    {"k": [1, "a"]},
    {"k": 1e-7},
    {"k": -0.0},
    {"k": float("nan")},
    {"k": 2**53 + 1},
    {"k": b"\x01"},
    {"k": {"k": 1}, "k.k": 2, "": 3, "odd name": 4, "é": "x"},
]


INDEXED = frozenset(
    (column, name) for column in ("log_attributes_typed", "span_attributes_typed") for name in ("k", "k.k")
)


@pytest.fixture(params=["own", "resource"])
async def reader(request, telemetry_store, deliver, otlp, new_scope):
    """A record for each of `ATTRIBUTES`, which are its own, or its resource's."""
    scope = new_scope()
    requests = []
    for number, attributes in enumerate(ATTRIBUTES):
        record = {"time_unix_nano": NOW + number, "body": str(number)}
        if request.param == "own":
            requests.append(otlp.logs("s", record | {"attributes": attributes}))
        else:
            requests.append(otlp.logs("s", record, **attributes))
    await deliver(scope, *requests)
    return telemetry_store.bind(scope)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("k:1", {0, 1, 2, 8}),
        ("k:1.0", {0, 2, 8}),
        ("k:1e0", {0, 2, 8}),
        ("k:true", {3, 4}),
        ('k:""', {5}),
        ("k:0", {10}),
        ("k:-0.0", {10}),
        ("k:1e-07", {9}),
        ("k:0.0000001", {9}),
        ("k:nan", {11}),
        (f"k:{2**53 + 1}", {12}),
        (f"k:{2**53 + 2}", set()),
        ("k:null", set()),
        ("k>0 k<2", {0, 1, 2, 8, 9}),
        ("k:*", {*range(15)} - {7}),
        ("k.k:2", {14}),
        ("k.k:1", {14}),
        ("k:a", {8}),
        ('"odd name":4', {14}),
        ("é:x", {14}),
        ("k!=1", {*range(15)} - {0, 1, 2, 8}),
        ("-k:*", {7}),
        ("-k>0", {*range(15)} - {0, 1, 2, 8, 9, 12}),
        ('k:"[1,\\"a\\"]"', {8}),
    ],
)
async def test_equality_is_by_value_and_type(reader, query, found):
    """Also where columns have an index, so that a query says what excludes most before it says what it means."""
    for reader._guides in (Guides(), Guides(indexed=INDEXED)):
        page = await logs.search(reader, AROUND, query)
        assert {int(record.body) for record in page.items} == found


async def test_types_come_back(telemetry_store, deliver, otlp, new_scope):
    scope = new_scope()
    sent = {"whole": 3.0, "zero": -0.0, "int": 3, "text": "3", "a": 1, "a.b": 2.0, "list": [1.0, 1], "large": 1e300}
    await deliver(scope, otlp.logs("s", {"time_unix_nano": NOW, "attributes": sent}))
    (record,) = (await logs.search(telemetry_store.bind(scope), AROUND, "")).items
    assert json.dumps(record.attributes, sort_keys=True) == json.dumps(sent, sort_keys=True)


async def test_more_names_than_columns(telemetry_store, deliver, otlp, new_scope):
    """Names beyond those with columns, and a query with more of them than it may read alone."""
    scope = new_scope()
    sent = {f"name.{number}": number for number in range(120)}
    await deliver(scope, otlp.logs("s", {"time_unix_nano": NOW, "attributes": sent}))
    reader = telemetry_store.bind(scope)
    (record,) = (await logs.search(reader, AROUND, " ".join(f"name.{n}:{n}" for n in range(0, 120, 10)))).items
    assert record.attributes == sent
    assert not (await logs.search(reader, AROUND, "name.119:1")).items


@pytest.mark.parametrize(("signal", "view"), [(Signal.LOGS, "logs"), (Signal.TRACES, "traces")])
async def test_equality_reads_the_column_of_the_attribute(telemetry_store, new_scope, signal, view):
    condition = compile_query("attributes.user.id:user-77", signal)
    plan = await telemetry_store.bind(new_scope()).query(
        f"EXPLAIN header = 1, actions = 1 SELECT count() FROM @{view} WHERE {condition.sql}",
        condition.parameters,
        name="test",
    )
    text = "\n".join(row["explain"] for row in plan)
    assert "_typed.user%2Eid.:`String`" in text
    assert "getSubcolumn" not in text


async def test_spans_are_found_by_attributes_of_every_kind(telemetry_store, deliver, otlp, new_scope):
    scope = new_scope()
    spans = [
        {
            "trace_id": bytes([number + 1]) * 16,
            "span_id": b"s" * 8,
            "start_time_unix_nano": NOW,
            "attributes": attributes,
        }
        for number, attributes in enumerate(ATTRIBUTES)
    ]
    await deliver(scope, otlp.spans("s", *spans))
    reader = telemetry_store.bind(scope)
    for query, found in (("k:1", {0, 1, 2, 8}), ("k:0.0", {10}), ("k>=0.5", {0, 1, 2, 8, 12}), ("k.k:2", {14})):
        page = await traces.search(reader, AROUND, query)
        assert {int(trace.trace_id[:2], 16) - 1 for trace in page.items} == found, query


@pytest.mark.parametrize("signal", [Signal.LOGS, Signal.TRACES])
async def test_a_rare_value_of_an_attribute_with_many_reads_few_granules(  # noqa: PLR0917
    telemetry_store, deliver, otlp, new_scope, monkeypatch, signal
):
    """Its index is chosen by what receivers counted; values without a column and resources do not hinder it."""
    scope = new_scope()
    name = f"many.{scope.tenant_id.hex}"

    def items(numbers):
        made = [{"attributes": {name: f"value-{number}"}} for number in numbers]
        if signal is Signal.LOGS:
            return otlp.logs("s", *({"time_unix_nano": NOW, **each} for each in made))
        ids = ({"trace_id": n.to_bytes(16, "big"), "span_id": b"s" * 8, "start_time_unix_nano": NOW} for n in numbers)
        return otlp.spans("s", *(one | each for one, each in zip(ids, made, strict=True)))

    await deliver(scope, items(range(1, 3_001)), with_values=True)
    monkeypatch.setattr(attribute_indexes, "ITEMS_MIN", 2_000)
    monkeypatch.setattr(attribute_indexes, "INDEXES_MAX", 20)
    for _ in range(2):
        await telemetry_store.know_indexes(choose=True)
    reader = telemetry_store.bind(scope)
    assert (signal.value.typed, name) in reader.indexed
    await deliver(scope, items(range(10_000, 60_000)))
    condition = compile_query(f"{name}:value-40000", signal, indexed=reader.indexed)
    asked = AROUND.parameters | condition.parameters
    where = f"FROM @{signal.name.lower()} WHERE {AROUND.CONDITION} AND {condition.sql}"
    assert await reader.query(f"SELECT count() AS n {where}", asked, name="test") == [{"n": 1}]
    plan = await reader.query(f"EXPLAIN indexes = 1 SELECT service_name {where}", asked, name="test")
    granules = [re.search(r"Granules: (\d+)/(\d+)", row["explain"]) for row in plan]
    left, of = next((int(each[1]), int(each[2])) for each in reversed(granules) if each)
    # What was there before the index, the value's, and perhaps one that the filter takes for it.
    assert left <= of // 2
    assert of >= 6
