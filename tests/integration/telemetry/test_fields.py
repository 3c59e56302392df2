"""Fields and their most frequent values, from counts that receivers make."""

import itertools

import pytest

from duoscope.kernel import limits
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.ids import new_id
from duoscope.receiver.decoder import Bounds
from duoscope.receiver.durability.records import Record
from duoscope.receiver.gathering import Gathering
from duoscope.receiver.signals import LOGS
from duoscope.telemetry import fields
from duoscope.telemetry.times import TimeRange

NOW = now_unix_nano()
QUARTER_NS = 900 * 10**9
AROUND = TimeRange(NOW - QUARTER_NS, NOW + 1)
EARLIER = TimeRange(NOW - 4 * QUARTER_NS, NOW - 3 * QUARTER_NS + 1)


@pytest.fixture
async def reader(telemetry_store, deliver, otlp, new_scope):
    """A tenant with log records and spans, some of them 40 minutes ago; the answers are of its own alone."""
    scope = new_scope()

    def record(attributes, severity=9, at=NOW):
        return {"time_unix_nano": at, "severity_number": severity, "body": "x", "attributes": attributes}

    for each in (scope, new_scope()):
        codes = [
            record({"code": code, "user": f"u{n}"}) for n, code in enumerate([200] * 5 + [500] * 3 + ["500", 404.5])
        ]
        ids = [record({"id": f"id-{n}", "GET /": "x" * 300}, 17) for n in range(150)]
        old = record({"code": 418}, at=NOW - 4 * QUARTER_NS + 1)
        await deliver(
            each,
            otlp.logs("shop", *codes, old, code="resource's"),
            otlp.logs("cart", *ids, **{"a/b%c": "odd"}),
            with_values=True,
        )
        await deliver(each, otlp.logs("shop", *codes[:2]), with_values=True)  # another segment
        span = {"trace_id": b"t" * 16, "span_id": b"s" * 8, "name": "GET /cart", "kind": 2, "start_time_unix_nano": NOW}
        await deliver(each, otlp.spans("shop", span | {"status": 2}), with_values=True)
    return telemetry_store.bind(scope)


async def told(reader, name, signal="logs", times=AROUND, **how):
    found = await fields.list_values(reader, times, signal, name, **how)
    return [(each.value, each.type, each.count) for each in found.items], found


async def test_values_in_order_of_frequency(reader):
    values, found = await told(reader, "code")
    assert values == [
        ("resource's", "string", 10), ("200", "int", 7), ("500", "int", 3), ("404.5", "double", 1),
        ("500", "string", 1),
    ]  # fmt: skip
    assert (found.is_complete, found.other_count) == (True, 0)
    assert (await told(reader, "attributes.code", limit=1))[0] == [("200", "int", 7)]
    assert not (await told(reader, "attributes.code", limit=1))[1].is_complete
    assert (await told(reader, "resource.code"))[0] == [("resource's", "string", 10)]
    assert (await told(reader, "code", prefix="RES"))[0] == [("resource's", "string", 10)]
    assert (await told(reader, "attributes.code", times=EARLIER))[0] == [("418", "int", 1)]
    assert (await told(reader, "service"))[0] == [("cart", "string", 150), ("shop", "string", 12)]
    assert (await told(reader, "severity", prefix="e"))[0] == [("error", "string", 150)]
    assert (await told(reader, "status", "traces"))[0] == [("error", "string", 1)]
    with pytest.raises(DuoscopeError, match="status is a field of traces, not of logs"):
        await told(reader, "status")


async def test_a_field_with_many_values_says_so(reader):
    values, found = await told(reader, "id")
    assert (values, found.other_count) == ([], 150)
    values, found = await told(reader, "GET /")  # no name that has a column
    assert (values, found.other_count) == ([], 0)
    by_name = {each.name: each for each in (await fields.list_fields(reader, AROUND, "logs", limit=200)).items}
    assert by_name["id"] == fields.Field("id", "attributes", [], 0, "many", 150)
    assert (by_name["user"].values, by_name["user"].cardinality, by_name["user"].count) == (10, "few", 12)


async def test_a_query_counts_the_items_that_match(reader):
    values, found = await told(reader, "code", query="service:shop code<500")
    assert values == [("200", None, 7), ("404.5", None, 1)]
    assert (found.counted, found.is_complete, found.other_count) == ("items", True, 0)
    values, found = await told(reader, "id", query="severity:error", limit=3)
    assert values == [("id-0", None, 1), ("id-1", None, 1), ("id-10", None, 1)]
    assert (found.is_complete, found.other_count) == (False, 147)
    values, found = await told(reader, "id", query="severity:error", prefix="ID-14", limit=3)
    assert values == [("id-14", None, 1), ("id-140", None, 1), ("id-141", None, 1)]
    assert (found.is_complete, found.other_count) == (False, 0)
    assert (await told(reader, "service", query="nothing:here"))[0] == []


async def test_fields_by_pages(reader):
    whole = (await fields.list_fields(reader, AROUND, "logs", limit=200)).items
    assert [(each.name, each.place) for each in whole] == [
        ("a/b%c", "resource"), ("code", "attributes"), ("code", "resource"), ("id", "attributes"), ("scope", "field"),
        ("service", "field"), ("service.name", "resource"), ("severity", "field"), ("user", "attributes"),
    ]  # fmt: skip
    assert whole[1] == fields.Field("code", "attributes", ["double", "int", "string"], 4, "few", 12)
    paged, cursor = [], None
    for _ in itertools.count():
        page = await fields.list_fields(reader, AROUND, "logs", limit=2, cursor=cursor)
        paged, cursor = paged + page.items, page.next_cursor
        if cursor is None:
            break
    assert paged == whole
    assert [each.name for each in (await fields.list_fields(reader, AROUND, "logs", prefix="se")).items] == [
        "service", "service.name", "severity",
    ]  # fmt: skip
    with pytest.raises(DuoscopeError, match="does not belong"):
        await fields.list_fields(
            reader, AROUND, "traces", cursor=(await fields.list_fields(reader, AROUND, "logs", limit=1)).next_cursor
        )
    with pytest.raises(DuoscopeError, match="limit"):
        await fields.list_values(reader, AROUND, "logs", "code", limit=0)


async def test_over_http(api, new_scope, deliver, otlp):
    scope = new_scope()
    record = {"time_unix_nano": now_unix_nano(), "body": "x", "attributes": {"k8s.io/name": "é%2F"}}
    await deliver(scope, otlp.logs("shop", record), with_values=True)
    headers = await api.headers(scope)
    listed = await api.client.get("/api/v1/fields?signal=logs&prefix=k8s", headers=headers)
    assert listed.json()["items"] == [
        {
            "name": "k8s.io/name",
            "place": "attributes",
            "types": ["string"],
            "values": 1,
            "cardinality": "few",
            "count": 1,
        }
    ]
    answer = await api.client.get("/api/v1/fields/k8s.io%252Fname/values?signal=logs", headers=headers)
    assert answer.json() == {
        "items": [{"value": "é%2F", "type": "string", "count": 1}], "counted": "quarters", "is_complete": True,
        "other_count": 0,
    }  # fmt: skip
    for query in ("(", "severity:loud"):
        answer = await api.client.get(f"/api/v1/fields/x/values?signal=logs&query={query}", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-query")
    for wrong in ("signal=profiles", "signal=logs&metric=took"):
        assert (await api.client.get(f"/api/v1/fields?{wrong}", headers=headers)).status_code == 400
    assert (await api.client.get("/api/v1/fields?signal=metrics", headers=headers)).json()["items"] == []
    only_traces = await api.headers(scope, "trace:read")
    for path in ("fields?", "fields/service/values?query=severity>=error&", "attributes?"):
        twice = await api.client.get(f"/api/v1/{path}signal=traces&signal=logs", headers=only_traces)
        assert twice.status_code == 403, path
    only_logs = await api.headers(scope, "log:read")
    for path in ("/api/v1/fields", "/api/v1/fields/service/values"):
        assert (await api.client.get(f"{path}?signal=logs", headers=only_logs)).status_code == 200
        assert (await api.client.get(f"{path}?signal=traces", headers=only_logs)).status_code == 403


def test_counts_gather_until_it_is_time(new_scope, otlp, monkeypatch):
    """The first segment takes them along at once, those that follow gather; none is told twice, or of a copy."""
    gathered, scope = Gathering(counts_values=True), new_scope()
    raw = otlp.logs("s", {"time_unix_nano": NOW, "body": "x"}).SerializeToString()

    def taken(**how):
        gathered.add(Record(LOGS.kind, scope, new_id(), new_id().hex, NOW, 30, Bounds(), raw))
        return sum(insert.table == "field_values" for insert in gathered.take(new_id().hex, **how).inserts)

    assert [taken(), taken(), taken(values=True), taken()] == [1, 0, 1, 0]
    monkeypatch.setattr(limits, "INGEST_VALUES_PERIOD_S", 0.0)
    assert [taken(values=True), taken(), taken(values=False), taken()] == [1, 1, 0, 1]
    copies = Gathering()
    copies.add(Record(LOGS.kind, scope, new_id(), new_id().hex, NOW, 30, Bounds(), raw))
    assert all(insert.table != "field_values" for insert in copies.take(new_id().hex).inserts)
