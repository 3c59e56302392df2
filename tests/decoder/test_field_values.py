"""Counts of the values of fields: bounded, by quarters of an hour, each item once."""

import pytest
from native import Native

from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import Scope
from duoscope.receiver.decoder import Decoder, Kind, MalformedError

QUARTER_NS = 900 * 10**9
NOW_NS = 1_900_000 * QUARTER_NS + 60 * 10**9
SCOPE = Scope(new_id(), new_id(), new_id())
OTHERS, TEXT = 0, 1


@pytest.fixture
def gather(otlp):
    """Adds records with attributes to one decoder, which counts; `flushed` answers what it has counted since."""
    decoder = Decoder(Kind.LOGS)
    decoder.count_values()

    def add(*attributes, scope=SCOPE, at=NOW_NS, broken=b"", service="s"):
        records = ({"time_unix_nano": at, "attributes": each} for each in attributes)
        raw = otlp.logs(service, *records).SerializeToString() + broken
        decoder.add(raw, scope, 30, now_ns=NOW_NS)

    def flushed(name="k"):
        decoder.flush_values()
        rows = [
            row for block in decoder.blocks() if block.table == "field_values" for row in Native(block.native).rows()
        ]
        decoder.clear()
        return {
            (row["quarter"] * 10**9 // QUARTER_NS - NOW_NS // QUARTER_NS, row["type"], row["value"].decode()): row[
                "count"
            ]
            for row in rows
            if row["name"] == name.encode()
        }

    return add, flushed


def test_counts_gather_over_batches_and_are_told_once(gather):
    add, flushed = gather
    add({"k": "a"}, {"k": "b"}, {"k": "a"}, {})
    add({"k": "a"})
    assert flushed() == {(0, TEXT, "a"): 3, (0, TEXT, "b"): 1}
    assert flushed() == {}
    add({"k": "b"}, {"k": "b"})
    add({"k": "a"}, at=NOW_NS - QUARTER_NS)
    assert flushed() == {(0, TEXT, "b"): 2, (-1, TEXT, "a"): 1}


def test_types_are_apart(gather):
    add, flushed = gather
    add(
        {"k": 1},
        {"k": "1"},
        {"k": 1.0},
        {"k": True},
        {"k": -0.0},
        {"k": float("-inf")},
        {"k": float("nan")},
        {"k": [1]},
    )
    assert flushed() == {
        (0, 3, "1"): 1, (0, 1, "1"): 1, (0, 4, "1"): 1, (0, 2, "true"): 1, (0, 4, "-0"): 1,
        (0, 4, "-inf"): 1, (0, 4, "nan"): 1,
    }  # fmt: skip


def test_of_a_field_with_many_values_those_are_told_that_come_again(gather):
    add, flushed = gather
    add(*({"k": f"id-{n}"} for n in range(1000)), {"k": "long" * 100})
    assert flushed() == {(0, OTHERS, ""): 1001}
    # Nothing but names takes its place: in the next batches others have a chance.
    add(*({"k": f"new-{n}"} for n in range(50)), *({"k": "often"} for _ in range(9)))
    assert flushed() == {(0, OTHERS, ""): 50, (0, TEXT, "often"): 9}
    add({"k": "often"})
    assert flushed() == {(0, TEXT, "often"): 1}


def test_exactly_the_values_that_are_told_apart(gather):
    add, flushed = gather
    add(*({"k": f"v{n}"} for n in range(100)))
    assert flushed() == {(0, TEXT, f"v{n}"): 1 for n in range(100)}
    add(*({"k": f"v{n}"} for n in range(100)), {"k": "one more"})
    assert flushed() == {(0, OTHERS, ""): 1} | {(0, TEXT, f"v{n}"): 1 for n in range(100)}


def test_more_names_than_have_columns(gather):
    add, flushed = gather
    add({f"a.{n}": n for n in range(200)}, {"k.é": "no column", "a.199": True})
    assert flushed("a.199") == {(0, 3, "199"): 1, (0, 2, "true"): 1}
    assert flushed("k.é") == {}


def test_many_fields_are_kept(gather):
    add, flushed = gather
    for _ in range(3):
        add({f"a.{n}": "x" for n in range(990)} | {"k": "x"})
        assert flushed() == {(0, TEXT, "x"): 1}


def test_tenants_and_what_is_taken_back(gather):
    add, flushed = gather
    add({"k": "mine"})
    with pytest.raises(MalformedError):
        add({"k": "broken"}, broken=b"\x0a\x7f")
    add({"k": "expired"}, at=NOW_NS - 40 * 86_400 * 10**9)
    add({"k": "theirs"}, scope=Scope(new_id(), new_id(), new_id()))
    assert flushed() == {(0, TEXT, "mine"): 1, (0, TEXT, "theirs"): 1}


def test_resources_count_their_items(gather):
    add, flushed = gather
    add({}, {}, {}, service="shop")
    add({}, service="shop")
    assert flushed("service.name") == {(0, TEXT, "shop"): 4}
    add({"service.name": "own"})
    assert flushed("service.name") == {(0, TEXT, "own"): 1, (0, TEXT, "s"): 1}


def test_a_request_that_changes_quarters_is_counted_for_so_many_runs(otlp):
    decoder = Decoder(Kind.LOGS)
    decoder.count_values()
    request = otlp.logs("s", *({"time_unix_nano": NOW_NS - n % 2 * QUARTER_NS, "attributes": {}} for n in range(200)))
    decoder.add(request.SerializeToString(), SCOPE, 30, now_ns=NOW_NS)
    decoder.flush_values()
    blocks = [Native(block.native).rows() for block in decoder.blocks() if block.table == "field_values"]
    counts = [row["count"] for rows in blocks for row in rows if row["name"] == b"service.name"]
    assert counts == [32, 32]


def test_names_and_values_without_end_are_bounded(otlp):
    decoder = Decoder(Kind.LOGS)
    decoder.count_values()
    rows = 0
    for n in range(30):
        records = (
            {"time_unix_nano": NOW_NS, "attributes": {f"{n}.{i}": f"{j}" for i in range(60)}} for j in range(100)
        )
        scope = Scope(new_id(), new_id(), new_id())
        decoder.add(otlp.logs("s", *records).SerializeToString(), scope, 30, now_ns=NOW_NS)
    decoder.flush_values()
    rows = decoder.rows()["field_values"]
    assert 2**17 <= rows <= 2**17 + 2000
    decoder.clear()
    decoder.add(
        otlp.logs("s", {"time_unix_nano": NOW_NS, "attributes": {"k": 1}}).SerializeToString(), SCOPE, 30, now_ns=NOW_NS
    )
    decoder.flush_values()
    assert decoder.rows()["field_values"] == 4  # service, scope, service.name and k


def test_one_tenant_leaves_the_others_theirs(gather):
    add, flushed = gather
    for n in range(40):
        add({f"{n}.{i}": "x" for i in range(990)})
    for n in range(30):
        add(*({f"{n}.{i}": f"{j}" for i in range(60)} for j in range(100)))
    add({"k": "theirs"}, scope=Scope(new_id(), new_id(), new_id()))
    assert flushed() == {(0, TEXT, "theirs"): 1}
