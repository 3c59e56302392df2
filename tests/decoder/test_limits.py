"""The cost of a hostile request: memory and time stay in proportion to its bytes."""

import resource
import time

import pytest
from otlp_requests import sized, tag

from duoscope.kernel import limits
from duoscope.receiver.decoder import DEFAULT_BOUNDS, Decoder, Kind, MalformedError, TooManyItemsError

SECONDS_MAX = 3.0
MIB = 1 << 20


def nested(*numbers, content):
    for number in reversed(numbers):
        content = tag(number, 2) + sized(content)
    return content


def attribute(key, value):
    return sized(tag(1, 2) + sized(key) + tag(2, 2) + sized(tag(1, 2) + sized(value)))


def resident():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


@pytest.fixture
def add(oracle):
    """Decode with the limits of a tenant, and see to the time and memory it takes."""

    def decode(kind, raw, grows_max):
        decoder = Decoder(kind)
        before, began = resident(), time.thread_time()
        try:
            return decoder.add(raw, oracle.SCOPE, 7, now_ns=oracle.NOW_NS, bounds=DEFAULT_BOUNDS)
        finally:
            assert time.thread_time() - began < SECONDS_MAX
            assert resident() - before < grows_max

    return decode


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name.lower())
@pytest.mark.parametrize("numbers", [(), (1,), (1, 2)], ids=["resources", "scopes", "items"])
def test_a_flood_of_empty_parts_is_refused(add, kind, numbers):
    part = {0: b"\x0a\x00", 1: b"\x12\x00", 2: b"\x12\x00"}[len(numbers)]
    with pytest.raises(TooManyItemsError):
        add(kind, nested(*numbers, content=part * (limits.INGEST_ITEMS_MAX + 1)), 512 * MIB)


@pytest.mark.parametrize("field", [9, 11, 13], ids=["attributes", "events", "links"])
def test_a_million_entries_of_a_span_take_no_memory(add, field):
    outcome = add(Kind.TRACES, nested(1, 2, 2, content=(tag(field, 2) + b"\x00") * 4_000_000), 16 * MIB)
    assert (outcome.items, outcome.stored) == (1, 0)


def test_one_unsound_entry_behind_a_million_makes_the_request_malformed(add):
    span = (tag(9, 2) + b"\x00") * 1_000_000 + tag(9, 2) + b"\x01\x0a"
    with pytest.raises(MalformedError):
        add(Kind.TRACES, nested(1, 2, 2, content=span), 16 * MIB)


def test_a_large_resource_with_many_scopes_is_looked_up_once(add):
    large = b"".join(tag(1, 2) + attribute(b"k%d" % n, b"x" * 250_000) for n in range(14))
    scopes = nested(2, content=nested(2, content=b"")) * 200_000
    assert add(Kind.LOGS, nested(1, content=tag(1, 2) + sized(large) + scopes), 256 * MIB).stored == 200_000


def test_a_large_scope_name_with_many_points_is_looked_up_once(add, oracle):
    point = tag(3, 1) + oracle.NOW_NS.to_bytes(8, "little") + tag(4, 1) + b"12345678"
    points = (tag(1, 2) + sized(point)) * 200_000
    scope = tag(1, 2) + sized(tag(1, 2) + sized(b"s" * 8_000_000)) + nested(2, 5, content=points)
    assert add(Kind.METRICS, nested(1, 2, content=scope), 256 * MIB).stored == 200_000


def test_control_characters_that_grow_in_json_are_not_kept(add):
    record = b"".join(tag(6, 2) + attribute(b"a%d" % n, b"\x01" * 200_000) for n in range(100))
    outcome = add(Kind.LOGS, nested(1, 2, 2, content=record), 96 * MIB)
    assert (outcome.stored, outcome.reasons) == (1, {"attribute-cut": 1})
