"""The native decoder and google.protobuf agree on every request: the same rows, the same rejections."""

import json

import pytest
from field_counts import counted, counts_due
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from duoscope.receiver.decoder import Kind, MalformedError

EXAMPLES = 120
KINDS = pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name.lower())
SEEDS = st.integers(0, 2**64 - 1)


SERVICE, OPERATION, RESOURCE_ATTRIBUTE, ATTRIBUTE = 1, 2, 3, 4
NAME_BYTES_MAX = 1024


def entries_of(rows):
    """The expected catalogue of stored items: (day, entry, service, name)."""
    found = set()
    for table in rows.keys() - {"exemplars_v3"}:
        for row in rows[table]:
            if "series_id" in row and row["flags"] & 1:
                continue  # has no value
            day, service = row["timestamp"] // (86_400 * 10**9), row["service_name"]
            names = [(SERVICE, b""), *((OPERATION, row[column]) for column in ("span_name",) if column in row)]
            of_item = next(c for c in ("span_attributes_json", "log_attributes_json", "attributes_json") if c in row)
            for entry, column in ((RESOURCE_ATTRIBUTE, "resource"), (ATTRIBUTE, of_item)):
                names += [(entry, key.encode()) for key in json.loads(row[column] or "{}")]
            names += [(ATTRIBUTE, key) for key in row.get(of_item.replace("_json", "_typed"), ())]
            found |= {(day, entry, service, name) for entry, name in names if len(name) <= NAME_BYTES_MAX}
    return found


_SERIES = ("metric_name", "unit", "service_name", "resource", "scope_name", "attributes_json", "series_id")
_TYPES = {"histogram_points": 3, "summary_points": 4, "exponential_histogram_points": 5}
HALF_HOUR, OF_A_DAY = 1800 * 10**9, 48


def series_key(row):
    """All that a row of the table of series has, but whose it is."""
    shape = (row["metric_type"], row["temporality"], row["is_monotonic"])
    return (row["date"], row["seen"], *shape, *(row[name] for name in _SERIES), row["own_values"])


def series_of(rows):
    """The expected rows of stored points: one a series, half hour, and list of bounds or quantiles."""
    found = {}
    for table in rows.keys() - {"exemplars_v3"}:
        for row in rows[table]:
            if "series_id" not in row or row["flags"] & 1:
                continue  # has no value
            date, half_hour = divmod(row["timestamp"] // HALF_HOUR, OF_A_DAY)
            shape = {"metric_type": _TYPES.get(table), "temporality": 0, "is_monotonic": 0}
            own = row.get("bucket_bounds", row.get("quantiles", []))
            key = series_key(shape | row | {"date": date, "seen": 1 << half_hour, "own_values": own})
            found[repr(key)] = key
    return found.values()


def in_order(row):
    """The row with its dicts, which have no order, in one."""
    return {name: sorted(value.items()) if isinstance(value, dict) else value for name, value in row.items()}


@pytest.fixture(scope="session")
def check(oracle, twins):
    """Hold the decoder to protobuf on these bytes; answers whether they were a request."""

    def agree(kind, raw):
        try:
            message = twins[kind].FromString(raw)
        except DecodeError:
            message = None
        try:
            (outcome,), rows = oracle.decode(kind, raw)
        except MalformedError:
            assert message is None, "protobuf takes it"
            return False
        assert message is not None, "protobuf finds it malformed"
        due = oracle.expected_of(kind, message)
        assert due.agrees_with(outcome), (outcome, due.items, due.faults)
        rows.pop("metric_catalogue", None)
        counts = counted(rows.pop("field_values", []))
        assert counts == counts_due(rows.get("traces_v3", []) + rows.get("logs_v3", []))
        series = rows.pop("metric_series", [])
        assert sorted(map(repr, map(series_key, series))) == sorted(map(repr, series_of(rows)))
        catalogue = rows.pop("telemetry_catalogue", [])
        entries = [(row["date"], row["entry"], row["service_name"], row["name"]) for row in catalogue]
        assert set(entries) == entries_of(rows)
        assert len({(*entry, row["type"]) for entry, row in zip(entries, catalogue, strict=True)}) == len(entries)
        assert set(rows) == set(due.rows)
        for table, found in rows.items():
            assert len(found) == len(due.rows[table])
            for row, wanted in zip(found, due.rows[table], strict=True):
                wanted |= {n: row[n] for n, due_value in wanted.items() if oracle.is_any_cut(due_value, row[n])}
                assert repr(in_order({name: row[name] for name in wanted})) == repr(in_order(wanted))
        return True

    return agree


@KINDS
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=SEEDS)
def test_sound_requests_give_the_rows_that_are_due(make, check, kind, seed):
    _, raw = make(kind, seed)
    assert check(kind, raw)


@KINDS
@settings(max_examples=EXAMPLES * 3, deadline=None)
@given(seed=SEEDS)
def test_changed_bytes_are_malformed_where_protobuf_says_so(make, check, kind, seed):
    maker, raw = make(kind, seed)
    check(kind, maker.mutate(raw))


@KINDS
@given(raw=st.binary(max_size=60))
@example(raw=b"\x0a\x02\x12\x00")
@example(raw=b"\x0a\x80\x80\x80\x80\x80\x00")
@example(raw=b"\x13\x14" * 3)
@example(raw=b"\x13" * 99 + b"\x14" * 99)
@example(raw=b"\x10" + b"\xff" * 9 + b"\x7f")
@example(raw=b"\x90\x80\x80\x80\x80\x00\x01")
def test_any_bytes(check, kind, raw):
    check(kind, raw)


@KINDS
@settings(max_examples=EXAMPLES // 4, deadline=None)
@given(seeds=st.tuples(SEEDS, SEEDS, SEEDS))
def test_what_is_taken_back_leaves_nothing_behind(oracle, make, kind, seeds):
    """A malformed request between two sound ones: the blocks are those of the two."""
    (_, first), (_, second), (_, third) = (make(kind, seed) for seed in seeds)
    broken = second + b"\x0a\x7f"
    decoder = oracle.Decoder(kind)
    clean = oracle.Decoder(kind)
    for each in (decoder, clean):
        each.count_values()
    for each in (first, broken, third):
        for target in (decoder, clean):
            if each is broken:
                if target is decoder:
                    with pytest.raises(MalformedError):
                        target.add(each, oracle.SCOPE, 7, now_ns=oracle.NOW_NS)
            else:
                target.add(each, oracle.SCOPE, 7, now_ns=oracle.NOW_NS)
    for each in (decoder, clean):
        each.flush_values()
    assert decoder.blocks() == clean.blocks()
