"""A trace as columns, over HTTP: the same trace as the whole form shows, in its tree; single spans of it."""

import random

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.telemetry import traces
from duoscope.telemetry.traces import columns, shape

_START_NS = (now_unix_nano() // (3600 * 10**9) - 2) * 3600 * 10**9
MS = 1_000_000
TRACE = b"\x07" * 16
SERVER, CLIENT = 2, 3


def _id(number):
    return number.to_bytes(8, "big")


def _span(span, parent=None, at=0, took=10, kind=SERVER, **fields):
    start = _START_NS + at * MS
    return {
        "trace_id": TRACE, "span_id": _id(span), "parent_span_id": _id(parent) if parent else b"", "kind": kind,
        "name": f"span {span}", "start_time_unix_nano": start, "end_time_unix_nano": start + took * MS,
    } | fields  # fmt: skip


async def test_the_columns_of_a_trace(api, deliver, otlp, new_scope):
    scope = new_scope()
    # The clock of `cart` is a second behind; span 9 misses its parent; both sides of the call of 5 share its id.
    await deliver(
        scope,
        otlp.spans(
            "front", _span(1, took=100), _span(2, 1, 10, 60, CLIENT), _span(9, 99, 20, 5),
            _span(5, 1, 75, 20, CLIENT, name="é" * 300),
        ),
        otlp.spans("cart", _span(3, 2, -990, 40, status=2), _span(4, 3, -985, 10, 1)),
        otlp.spans("stock", _span(5, 1, 80, 10)),
    )  # fmt: skip
    headers = await api.headers(scope)
    answer = await api.client.get(f"/api/v1/traces/{TRACE.hex().upper()}/summary", headers=headers)
    assert answer.status_code == 200, answer.text
    trace = answer.json()
    assert (trace["span_count"], trace["error_count"], trace["truncated"]) == (7, 1, False)
    assert (trace["services"], trace["duration_ns"]) == (["cart", "front", "stock"], 100 * MS)
    assert trace["names"] == [f"span {n}" for n in (1, 2, 3, 4, 5, 9)] + ["é" * columns.NAME_CHARS_MAX]
    found = trace["spans"]
    assert [int(span_id, 16) for span_id in found["span_id"]] == [1, 2, 3, 4, 5, 5, 9]
    assert found["parent"] == [-1, 0, 1, 2, 0, 4, -1]
    assert found["depth"] == [0, 1, 2, 3, 1, 2, 0]
    assert [trace["services"][n] for n in found["service"]] == [
        "front", "front", "cart", "cart", "front", "stock", "front"
    ]  # fmt: skip
    assert [trace["kinds"][n] for n in found["kind"]][1:4] == ["client", "server", "internal"]
    assert [trace["statuses"][n] for n in found["status"]] == ["unset"] * 2 + ["error"] + ["unset"] * 4
    assert found["offset_ns"] == [n * MS for n in (0, 10, 20, 25, 75, 80, 20)]
    assert found["shift_ns"] == [0, 0, 1010 * MS, 1010 * MS, 0, 0, 0]
    assert found["duration_ns"] == [n * MS for n in (100, 60, 40, 10, 20, 10, 5)]
    assert found["self_ns"] == [n * MS for n in (20, 20, 30, 10, 10, 10, 5)]
    critical, moved = shape.CRITICAL, shape.MOVED
    assert found["flags"] == [critical, critical, critical | moved, critical | moved, critical, critical, shape.ORPHAN]


async def test_the_spans_of_an_id(api, deliver, otlp, new_scope):
    scope = new_scope()
    await deliver(
        scope,
        otlp.spans("front", _span(1, attributes={"http.route": "/cart"}), _span(5, 1, 1, kind=CLIENT)),
        otlp.spans("stock", _span(5, 1, 2)),
    )
    headers = await api.headers(scope)

    async def get(path):
        return await api.client.get(f"/api/v1/traces/{path}", headers=headers)

    whole = (await get(TRACE.hex())).json()["spans"]
    assert (await get(f"{TRACE.hex()}/spans/{_id(1).hex()}")).json() == {"items": whole[:1], "truncated": False}
    assert (await get(f"{TRACE.hex()}/spans/{_id(5).hex().upper()}")).json()["items"] == whole[1:]
    for path, status, code in (
        (f"{TRACE.hex()}/spans/{_id(7).hex()}", 404, "not-found"),
        (f"{'ab' * 16}/spans/{_id(1).hex()}", 404, "not-found"),
        (f"{'ab' * 16}/summary", 404, "not-found"),
        (f"{TRACE.hex()}/spans/5", 400, "invalid-span-id"),
        (f"xyz/spans/{_id(1).hex()}", 400, "invalid-trace-id"),
        ("xyz/summary", 400, "invalid-trace-id"),
    ):
        answer = await get(path)
        assert (answer.status_code, answer.json()["code"]) == (status, code), path


@pytest.mark.parametrize("spans_max", [columns.COLUMN_SPANS_MAX, 150])
async def test_columns_and_the_whole_form_are_one_trace(stored, otlp, monkeypatch, spans_max):
    monkeypatch.setattr(columns, "COLUMN_SPANS_MAX", spans_max)
    rng = random.Random(1)
    spans = [
        _span(n, rng.randint(0, n - 1) or None, rng.randint(0, 50), rng.randint(0, 40), rng.randint(0, 5),
              name=f"name {n % 17}", status=n % 3)
        for n in range(1, 301)
    ]  # fmt: skip
    reader = await stored(*(otlp.spans(f"s{n}", *spans[n::3]) for n in range(3)))
    whole = {span.span_id: span for span in (await traces.get(reader, TRACE.hex())).spans}
    trace = await traces.get_columns(reader, TRACE.hex())
    found = trace.spans
    assert (len(found.span_id), trace.span_count, trace.truncated) == (min(spans_max, 300), 300, spans_max < 300)
    for n, span_id in enumerate(found.span_id):
        span = whole[span_id]
        assert trace.services[found.service[n]] == span.service_name
        assert trace.names[found.name[n]] == span.name
        assert (trace.kinds[found.kind[n]], trace.statuses[found.status[n]]) == (span.kind, span.status)
        assert found.duration_ns[n] == span.duration_ns
        if found.parent[n] >= 0:
            assert found.span_id[found.parent[n]] == span.parent_span_id
            assert found.parent[n] < n
            assert found.depth[n] == found.depth[found.parent[n]] + 1
        else:
            is_orphan = bool(found.flags[n] & shape.ORPHAN)
            assert is_orphan == (span.parent_span_id is not None)
