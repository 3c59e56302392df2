"""Items counted and measured by fields and by time, compared with what Python counts and what a search finds."""

import dataclasses
import math
import random
import statistics
from collections import Counter

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError
from duoscope.telemetry import logs
from duoscope.telemetry.aggregates.buckets import BUCKETS_MAX, buckets
from duoscope.telemetry.aggregates.heatmap import heatmap
from duoscope.telemetry.aggregates.histogram import histogram
from duoscope.telemetry.aggregates.measures import Measure
from duoscope.telemetry.aggregates.table import Asked, aggregate
from duoscope.telemetry.language import Signal
from duoscope.telemetry.times import SECOND_NS, TimeRange

_START_NS = (now_unix_nano() // (3600 * 10**9) - 2) * 3600 * 10**9
HOUR = TimeRange(_START_NS, _START_NS + 3600 * 10**9)
MINUTE_NS = 60 * SECOND_NS
KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")


def _records():
    """Two hundred records, whose fields are of every kind, or not there."""
    pick = random.Random(11)
    for number in range(200):
        attributes = {
            "code": pick.choice([200, 404, 500, "500", 500.0, True]),
            "took": pick.choice([number, number / 4, str(number), "soon", math.nan, math.inf, [1, 2], None]),
            "user": f"u{pick.randrange(40)}",
            "labels": {"team": pick.choice(["red", "blue"])},
            "only.some": "x" * 300 + str(number % 2),
            "wide": [{"n": number % 3}],
        }
        kept = {name: value for name, value in attributes.items() if pick.random() > 0.2}
        yield {
            "time_unix_nano": HOUR.start_ns + pick.randrange(3600 * SECOND_NS),
            "severity_number": pick.choice([0, 0, 9, 17, 21, 24]),
            "severity_text": pick.choice(["", "WARN"]),
            "body": f"line {number % 7}",
            "trace_id": pick.choice([b"", b"t" * 16]),
            "attributes": kept,
        }


def _spans():
    pick = random.Random(12)
    for number in range(150):
        start = HOUR.start_ns + pick.randrange(3600 * SECOND_NS)
        yield {
            "trace_id": (number // 3 + 1).to_bytes(16, "big"),
            "span_id": (number + 1).to_bytes(8, "big"),
            "name": f"op{number % 4}",
            "kind": pick.randrange(6),
            "status": pick.randrange(3),
            "start_time_unix_nano": start,
            "end_time_unix_nano": start + pick.choice([0, 1, 2, 1023, 1024, pick.randrange(10**10)]),
            "attributes": {"http.route": pick.choice(["/a", "/b"])} if number % 5 else {},
        }


@pytest.fixture(scope="module")
def records():
    return list(_records())


@pytest.fixture(scope="module")
def spans():
    return list(_spans())


@pytest.fixture
async def reader(stored, otlp, records, spans):
    return await stored(
        otlp.logs("shop", *records[:150], region="eu"), otlp.logs("", *records[150:]), otlp.spans("shop", *spans)
    )


_COUNT = (Measure(),)


def _asked(signal=Signal.LOGS, query="", measures=_COUNT, **more):
    return Asked(signal, HOUR, query, measures, **more)


def _level(record):
    number = record["severity_number"] or (13 if record["severity_text"] == "WARN" else 0)
    return [None, "trace", "debug", "info", "warn", "error", "fatal"][(number + 3) // 4]


async def test_a_histogram_counts_each_record_in_its_step(reader, records):
    for step, step_ns in (("1m", MINUTE_NS), (600, 600 * SECOND_NS), ("7m", 7 * MINUTE_NS)):
        found = await histogram(reader, Signal.LOGS, HOUR, "", buckets(HOUR, step), by="severity")
        assert found.step_ns == step_ns
        first = HOUR.start_ns // step_ns
        expected = Counter((_level(r), r["time_unix_nano"] // step_ns - first) for r in records)
        shown = {(s.value, at): n for s in found.series for at, n in enumerate(s.counts) if n}
        assert shown == expected
        assert found.count == 200
        assert all(len(series.counts) == found.bucket_count for series in found.series)
        assert [s.count for s in found.series] == sorted((sum(s.counts) for s in found.series), reverse=True)
    whole = await histogram(reader, Signal.LOGS, HOUR, "line", buckets(HOUR, None))
    assert (whole.by, [s.value for s in whole.series], whole.step_ns) == (None, [None], 30 * SECOND_NS)
    nothing = await histogram(reader, Signal.LOGS, HOUR, "nosuch", buckets(HOUR, "30m"))
    assert (nothing.count, [s.counts for s in nothing.series]) == (0, [[0, 0]])
    assert "No log records" in (nothing.hint or "")
    assert (await histogram(reader, Signal.LOGS, HOUR, "nosuch", buckets(HOUR, "1h"), by="user")).series == []


async def test_what_is_beyond_the_limit_is_summed(reader, records):
    users = Counter(r["attributes"].get("user") for r in records)
    found = await aggregate(reader, _asked(group_by=["user"], limit=5, buckets=buckets(HOUR, "10m")))
    ranked = sorted(users, key=lambda name: (-users[name], name or ""))
    assert [row.group[0] for row in found.rows] == ranked[:5]
    assert [row.values for row in found.rows] == [[users[name]] for name in ranked[:5]]
    assert found.other is not None
    assert (found.other.group_count, found.other.values) == (len(users) - 5, [sum(users[n] for n in ranked[5:])])
    assert sum(found.other.series[0]) == found.other.values[0]
    assert found.total == [200]
    least = await aggregate(reader, _asked(group_by=["user"], limit=1, order="asc"))
    assert least.rows[0].values == [min(users.values())]
    bars = await histogram(reader, Signal.LOGS, HOUR, "", buckets(HOUR, "1h"), by="user", limit=2)
    assert [(s.is_other, s.count) for s in bars.series] == [
        *((False, users[name]) for name in ranked[:2]),
        (True, 200 - sum(users[name] for name in ranked[:2])),
    ]


@pytest.mark.parametrize("query", ["", "severity>=error", "line 3", "-user:u1* code:500"])
async def test_each_group_is_what_a_search_for_its_value_finds(reader, query):
    for field in (
        "severity",
        "service",
        "user",
        "body",
        "labels.team",
        "resource.region",
        "attributes.user",
        "trace_id",
    ):
        found = await aggregate(reader, _asked(query=query, group_by=[field], limit=100))
        assert found.other is None
        assert found.total == [sum(row.values[0] for row in found.rows)]
        absent = [row for row in found.rows if row.group == [None]]
        for row in found.rows[:4] + absent:
            (value,) = row.group
            if field == "severity":
                term = "severity:0" if value is None else f"severity:{value}"
            else:
                term = f"-{field}:*" if value is None else f'{field}:"{value}"'
            page = await logs.search(reader, HOUR, f"({query}) {term}" if query else term, limit=1000)
            assert len(page.items) == row.values[0], term


def _numbers(records):
    for record in records:
        value = record["attributes"].get("took")
        if isinstance(value, int | float | str) and math.isfinite(number := _number(value)):
            yield number


def _number(value):
    return math.nan if value == "soon" else float(value)


async def test_measures_are_of_the_numbers_of_a_field(reader, records):
    numbers = sorted(_numbers(records))
    functions = ("count", "sum", "avg", "min", "max", "p0", "p50", "p90", "p99.9", "p100")
    found = await aggregate(reader, _asked(measures=[Measure(name, "took") for name in functions]))
    of = dict(zip(functions, found.total, strict=True))
    assert of["count"] == sum("took" in r["attributes"] and r["attributes"]["took"] is not None for r in records)
    assert (of["min"], of["max"], of["p0"], of["p100"]) == (numbers[0], numbers[-1], numbers[0], numbers[-1])
    assert of["sum"] == pytest.approx(sum(numbers))
    assert of["avg"] == pytest.approx(statistics.mean(numbers))
    assert of["p50"] == pytest.approx(statistics.median(numbers))
    assert of["p90"] == pytest.approx(statistics.quantiles(numbers, n=10, method="inclusive")[8])
    assert found.measures[:2] == ["count(took)", "sum(took)"]
    assert found.rows[0].values == found.total
    distinct = await aggregate(
        reader, _asked(measures=[Measure("distinct", "user"), Measure("distinct", "user", "severity:error")])
    )
    errors = [r for r in records if _level(r) == "error"]
    assert distinct.total == [len({r["attributes"].get("user") for r in among} - {None}) for among in (records, errors)]
    severities = await aggregate(reader, _asked(measures=[Measure("max", "severity"), Measure("min", "severity")]))
    assert severities.total == [24, 9]
    nothing = await aggregate(
        reader, _asked(query="nosuch", measures=[Measure(), Measure("sum", "took"), Measure("p50", "took")])
    )
    assert (nothing.rows, nothing.total) == ([], [0, 0, None])
    texts = await aggregate(reader, _asked(measures=[Measure("avg", "user"), Measure("sum", "user")]))
    assert texts.total == [None, 0]


async def test_groups_of_five_fields_and_values_of_every_kind(reader, records):
    fields = ["service", "code", "labels", "wide.n", "only.some"]
    found = await aggregate(reader, _asked(group_by=fields, limit=1000))
    assert sum(row.values[0] for row in found.rows) == 200
    codes = {row.group[1] for row in found.rows}
    assert codes == {"200", "404", "500", "true", None}
    assert {row.group[2] for row in found.rows} == {'{"team":"red"}', '{"team":"blue"}', None}
    assert {row.group[3] for row in found.rows} == {"0", "1", "2", None}
    # Values that differ after so many characters are one.
    assert {row.group[4] for row in found.rows} == {"x" * 256, None}


async def test_red_of_spans_by_any_field(reader, spans):
    measures = [
        Measure(),
        Measure(query="status:error"),
        *(Measure(name, "duration") for name in ("p50", "p95", "max")),
        Measure("p95", "duration", "status:error"),
    ]
    found = await aggregate(
        reader,
        _asked(Signal.TRACES, measures=measures, group_by=["http.route"], order_by=4, buckets=buckets(HOUR, 3600)),
    )
    by_route = {}
    for span in spans:
        by_route.setdefault(span["attributes"].get("http.route"), []).append(span)
    assert {row.group[0] for row in found.rows} == set(by_route)
    for row in found.rows:
        among = by_route[row.group[0]]
        durations = [s["end_time_unix_nano"] - s["start_time_unix_nano"] for s in among]
        assert row.values[:2] == [len(among), sum(s["status"] == 2 for s in among)]
        assert row.values[2] == pytest.approx(statistics.median(durations))
        assert row.values[4] == max(durations)
        assert row.series == [[value] for value in row.values]
    assert [row.values[4] for row in found.rows] == sorted((row.values[4] for row in found.rows), reverse=True)
    bars = await histogram(reader, Signal.TRACES, HOUR, "", buckets(HOUR, "1h"), by="kind")
    assert {s.value: s.count for s in bars.series} == Counter(KINDS[s["kind"]] for s in spans)


async def test_a_heatmap_counts_each_span_in_its_cell(reader, spans):
    found = await heatmap(reader, HOUR, "", buckets(HOUR, "10m"))
    assert found.count == sum(found.counts) == len(spans)
    assert sum(found.error_counts) == sum(s["status"] == 2 for s in spans)
    cells = Counter()
    for at, least, count in zip(found.buckets, found.durations_ns, found.counts, strict=True):
        cells[at, least] += count
    for (at, least), count in cells.items():
        most = least * 2**0.25 if least else 0
        expected = sum(
            (s["start_time_unix_nano"] - HOUR.start_ns) // (10 * MINUTE_NS) == at
            and least <= s["end_time_unix_nano"] - s["start_time_unix_nano"] < max(most, least + 1)
            for s in spans
        )
        assert count == expected, (at, least)
    assert (await heatmap(reader, HOUR, "nosuch", buckets(HOUR, "10m"))).hint


async def test_pasted_text_is_counted_as_the_search_shows_it(stored, otlp):
    reader = await stored(otlp.logs("s", {"time_unix_nano": HOUR.start_ns, "body": "user_id=42 gone"}))
    found = await histogram(reader, Signal.LOGS, HOUR, "user_id=42", buckets(HOUR, "1h"))
    assert (found.count, (found.hint or "")[:21]) == (1, "As attributes alone, ")


EXTREMES = [
    TimeRange(_START_NS, _START_NS + 1),
    TimeRange(0, 400 * 86_400 * SECOND_NS),
    TimeRange(2**63 - 2, 2**63 - 1),
]


@pytest.mark.parametrize("times", EXTREMES)
async def test_extreme_ranges(reader, times):
    for step in (None, 3600 * 24 * 400):
        cut = buckets(times, step)
        assert 1 <= cut.count <= 200
        assert cut.start_ns <= times.start_ns < cut.start_ns + cut.step_ns
        found = await histogram(reader, Signal.LOGS, times, "", cut, by="service")
        assert found.bucket_count == cut.count
        asked = dataclasses.replace(_asked(measures=[Measure("p100", "took")]), times=times, buckets=cut)
        await aggregate(reader, asked)
        await heatmap(reader, times, "", cut)


@pytest.mark.parametrize("step", ["1ns", "0", 0, -1, "401d", "9" * 400 + "s", "soon", "", "1e3", 10**12])
def test_refused_steps(step):
    with pytest.raises(DuoscopeError, match="`step`") as raised:
        buckets(HOUR, step)
    assert raised.value.code == "invalid-step"


def test_the_least_step_that_is_named_is_taken():
    for seconds in (1, 59, 3600, 86_400, 399 * 86_400):
        times = TimeRange(_START_NS + 1, _START_NS + 1 + seconds * SECOND_NS)
        with pytest.raises(DuoscopeError) as raised:
            buckets(times, "1ns")
        named = raised.value.message.partition("take at least ")[2].partition(",")[0]
        assert buckets(times, named).count <= BUCKETS_MAX


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"group_by": [""]}, "A field has a name"),
        ({"group_by": ["a\0b"]}, "A field has a name"),
        ({"group_by": ["duration"]}, "duration is a field of traces, not of logs"),
        ({"group_by": list("abcdef")}, "up to 5 different"),
        ({"group_by": ["a", "a"]}, "up to 5 different"),
        ({"measures": []}, "1 to 10 measures"),
        ({"measures": [Measure("p101", "x")]}, "p0 to p100"),
        ({"measures": [Measure("median", "x")]}, "p0 to p100"),
        ({"measures": [Measure("p50")]}, "give `field`"),
        ({"measures": [Measure("sum", "kind")]}, "kind is a field of traces"),
        ({"measures": [Measure(query="a:")]}, "Query, character 3"),
        ({"query": "(a"}, "Query, character 1"),
        ({"order_by": 1}, "`order_by`"),
        ({"limit": 0}, "`limit`"),
        ({"limit": 1000, "buckets": buckets(HOUR, 1), "group_by": ["a"]}, "take a larger `step`"),
    ],
)
async def test_refused(telemetry_store, new_scope, asked, message):
    reader = telemetry_store.bind(new_scope())
    with pytest.raises(DuoscopeError, match=message):
        await aggregate(reader, _asked(**asked))


async def test_bad_parameters_are_answered(api, new_scope):
    headers = await api.headers(new_scope())
    for path in ("logs/histogram", "traces/histogram", "traces/heatmap"):
        for bad in ("step=0", "start=x", "query=(", "step=1ns", "limit=0" if "hist" in path else "step=%00"):
            answer = await api.client.get(f"/api/v1/{path}?{bad}", headers=headers)
            assert answer.status_code == 400, (path, bad)
        assert (await api.client.get(f"/api/v1/{path}", headers=headers)).status_code == 200
    for path in ("logs/aggregate", "traces/aggregate"):
        for bad in ({"step": "0"}, {"measures": []}, {"order": "up"}, {"limit": 1001}, {"x": 1}, {"group_by": [1]}):
            answer = await api.client.post(f"/api/v1/{path}", json=bad, headers=headers)
            assert answer.status_code == 400, (path, bad)
        whole = await api.client.post(
            f"/api/v1/{path}", json={"step": "auto", "group_by": ["service"]}, headers=headers
        )
        assert whole.status_code == 200
