"""The map of who calls whom equals a count by hand over trees, fans, shared ids and whatever else traces look like."""

import random
from collections import defaultdict
from itertools import pairwise

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.stores.clickhouse.kept import Kept
from duoscope.stores.clickhouse.questions import asking
from duoscope.telemetry import services
from duoscope.telemetry.calls import mapping
from duoscope.telemetry.times import TimeRange

# A whole hour that is over, and young enough for the shortest retention.
_START_NS = (now_unix_nano() // (3600 * 10**9) - 3) * 3600 * 10**9
HOUR = TimeRange(_START_NS, _START_NS + 3600 * 10**9)
INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5
SERVING, CALLING = (SERVER, CONSUMER), (CLIENT, PRODUCER)
ERROR = 2


def _id(number, length=8):
    return number.to_bytes(length, "big")


def _span(service, span, parent=None, kind=SERVER, *, trace=1, at=0, took=1000, status=0, links=(), **attributes):
    """A span of this test's own form: where it is, whose child, and what the map counts of it.

    Links are pairs of a trace and a span. In the names of attributes `__` stands for a point.
    """
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    return {"service": service, "trace": trace, "id": span, "parent": parent, "kind": kind, "at": at, "took": took,
            "status": status, "links": links, "attributes": named}  # fmt: skip


def _sent(span):
    """The same, as it is sent."""
    start = _START_NS + span["at"]
    return {
        "trace_id": _id(span["trace"], 16), "span_id": _id(span["id"]), "name": "x", "kind": span["kind"],
        "parent_span_id": _id(span["parent"]) if span["parent"] else b"", "status": span["status"],
        "start_time_unix_nano": start, "end_time_unix_nano": start + span["took"], "attributes": span["attributes"],
        "links": [{"trace_id": _id(trace, 16), "span_id": _id(linked)} for trace, linked in span["links"]],
    }  # fmt: skip


@pytest.fixture
def mapped(stored, otlp):
    """The map of the spans, as {(caller, callee): (calls, errors, p50, p95, p99)}."""

    async def ask(spans):
        by_service = defaultdict(list)
        for span in spans:
            by_service[span["service"]].append(_sent(span))
        reader = await stored(*(otlp.spans(service, *own) for service, own in by_service.items()))
        found = await services.service_map(reader, HOUR)
        return {
            (e.caller, e.callee): (e.call_count, e.error_count, e.duration_p50_ns, e.duration_p95_ns, e.duration_p99_ns)
            for e in found.edges
        }

    return ask


def _by_hand(spans):
    """The same, counted one span at a time."""
    named, below = defaultdict(list), defaultdict(list)
    for span in spans:
        named[span["trace"], span["id"]].append(span)
        below[span["trace"], span["parent"]].append(span)
    linking = [(linked, span["kind"]) for span in spans for linked in span["links"]]
    calls = defaultdict(list)
    for span in spans:
        if not 0 <= span["at"] < 3600 * 10**9:
            continue
        for caller in {_caller(span, named)} - {None}:
            calls[caller, span["service"]].append(span)
        for caller in _linked_callers(span, named):
            calls[caller, span["service"]].append(span)
        peer = span["attributes"].get("peer.service") or span["attributes"].get("messaging.system")
        if peer and _is_unanswered(span, named, below, linking):
            calls[span["service"], peer].append(span)
        elif span["kind"] == CONSUMER and peer == "kafka" and not span["links"] and not span["parent"]:
            calls[peer, span["service"]].append(span)
    calls = {(caller, callee): found for (caller, callee), found in calls.items() if caller != callee}
    return {edge: _figures(found) for edge, found in calls.items()}


def _caller(span, named):
    order = lambda s: (s["at"], s["service"])  # noqa: E731
    twins = [s for s in named[span["trace"], span["id"]] if s["kind"] in CALLING]
    if span["kind"] in SERVING and twins:
        return min(twins, key=order)["service"]
    parents = named.get((span["trace"], span["parent"]), []) if span["parent"] else []
    if not parents:
        return None
    if span["service"] in {s["service"] for s in parents}:
        return span["service"]
    return min(parents, key=lambda s: (s["kind"] not in SERVING, *order(s)))["service"]


def _linked_callers(span, named):
    parents = {s["service"] for s in named.get((span["trace"], span["parent"]), [])}
    callers = set()
    for linked in span["links"]:
        messages = named.get(linked, [])
        if messages and (span["kind"] == CONSUMER or PRODUCER in {m["kind"] for m in messages}):
            callers.add(min(messages, key=lambda m: (m["kind"] not in CALLING, m["at"], m["service"]))["service"])
    return callers - parents


def _is_unanswered(span, named, below, linking):
    place = span["trace"], span["id"]
    children = below[place]
    above = named.get((span["trace"], span["parent"]), []) if span["parent"] else []
    attempts = [child for child in children if child["kind"] in CALLING]
    return (
        span["kind"] in CALLING
        and {child["service"] for child in children} <= {span["service"]}
        and not any(child["kind"] in SERVING for child in children)
        and not any(s["kind"] in SERVING for attempt in attempts for s in below[span["trace"], attempt["id"]])
        and not any(s["kind"] in SERVING for s in named[place])
        and not any(s["kind"] in CALLING and s["attributes"] and s["service"] == span["service"] for s in above)
        and not any(linked == place and CONSUMER in {kind, span["kind"]} for linked, kind in linking)
        and not any(linked == place and span["kind"] == PRODUCER for linked, _ in linking)
    )


def _figures(spans):
    durations = sorted(span["took"] for span in spans)
    ranks = [durations[-(-len(durations) * percent // 100) - 1] for percent in (50, 95, 99)]
    return (len(spans), sum(span["status"] == ERROR for span in spans), *ranks)


async def test_a_message_with_two_subscribers_is_two_calls(mapped):
    edges = await mapped(
        [_span("a", 1, kind=PRODUCER), _span("b", 2, 1, CONSUMER, took=10), _span("c", 3, 1, CONSUMER, took=20)]
    )
    assert edges == {("a", "b"): (1, 0, 10, 10, 10), ("a", "c"): (1, 0, 20, 20, 20)}


async def test_a_fan_out_without_client_spans_counts_every_call(mapped):
    spans = [_span("a", 1), *(_span("b", 2 + n, 1, took=n + 1, status=ERROR * (n < 3)) for n in range(10))]
    assert await mapped(spans) == {("a", "b"): (10, 3, 5, 10, 10)}


async def test_retries_are_calls(mapped):
    spans = [_span("a", 1, kind=CLIENT), _span("b", 2, 1, status=ERROR), _span("b", 3, 1, status=ERROR),
             _span("b", 4, 1)]  # fmt: skip
    assert (await mapped(spans))["a", "b"][:2] == (3, 2)


async def test_both_sides_of_a_call_may_share_an_id(mapped):
    # As Zipkin has it: the client's span and the server's are 2; what the server does and calls hangs below 2, too.
    spans = [_span("a", 1), _span("a", 2, 1, CLIENT, at=1), _span("b", 2, 1, SERVER, at=2, took=7),
             _span("b", 3, 2, INTERNAL, at=3), _span("c", 4, 2, SERVER, at=4, took=3)]  # fmt: skip
    assert await mapped(spans) == {("a", "b"): (1, 0, 7, 7, 7), ("b", "c"): (1, 0, 3, 3, 3)}
    # The shared span is the root of all.
    assert await mapped([_span("a", 1, kind=CLIENT), _span("b", 1, kind=SERVER)]) == {
        ("a", "b"): (1, 0, 1000, 1000, 1000)
    }


async def test_a_caller_before_the_range_is_found_and_a_call_before_it_not_counted(mapped):
    spans = [_span("a", 1, at=-(10**9), took=2 * 10**9), _span("b", 2, 1, at=-1), _span("b", 3, 1, at=0, took=5)]
    assert await mapped(spans) == {("a", "b"): (1, 0, 5, 5, 5)}


async def test_calls_without_a_known_caller_are_none(mapped):
    assert await mapped([_span("a", 1, 99), _span("b", 2, 2), _span("b", 1, 3, trace=2), _span("c", 3, trace=3)]) == {}


DATABASE = {"db__system__name": "postgresql", "db__namespace": "shop", "server__address": "pg"}
TOPIC = {"messaging__system": "kafka", "messaging__destination__name": "orders"}


async def _pairs(mapped, *spans):
    return {edge: figures[0] for edge, figures in (await mapped([*spans])).items()}


async def test_what_sends_no_telemetry_is_called_by_its_name(mapped):
    root = _span("a", 1)
    named = [
        (DATABASE, "postgresql/shop"),
        ({"db__system": "redis", "db__redis__database_index": 0, "net__peer__name": "cache"}, "redis/cache"),
        ({"db__system__name": "redis", "db__namespace": "0", "server__address": "cache"}, "redis/cache"),
        ({"db__system": "mongodb", "db__name": "carts"}, "mongodb/carts"),
        ({"db__system": "sqlite"}, "sqlite"),
        ({"peer__service": "payments", "server__address": "10.0.0.1"}, "payments"),
        ({"service__peer__name": "ledger"}, "ledger"),
        ({"http__request__method": "GET", "server__address": "api.example.com"}, "api.example.com"),
        ({"http__url": "https://old.example.com/x?y"}, "old.example.com"),
        ({"rpc__system": "aws-api", "rpc__service": "S3"}, "S3"),
        (TOPIC, "kafka/orders"),
    ]
    calls = [_span("a", 2 + n, 1, CLIENT, took=n + 1, status=ERROR, **with_) for n, (with_, _) in enumerate(named)]
    edges = await mapped([root, *calls, _span("a", 50, 1, CLIENT), _span("a", 51, 1, INTERNAL, **DATABASE)])
    found = defaultdict(int)
    for _, peer in named:
        found["a", peer] += 1
    assert {edge: figures[:2] for edge, figures in edges.items()} == {edge: (n, n) for edge, n in found.items()}
    assert edges["a", "postgresql/shop"] == (1, 1, 1, 1, 1)


async def test_a_call_whose_callee_is_there_is_not_one_of_its_address(mapped):
    host = {"server__address": "b.internal"}
    assert await _pairs(mapped, _span("a", 1, kind=CLIENT, **host), _span("b", 2, 1)) == {("a", "b"): 1}
    shared = [_span("a", 1, kind=CLIENT, **host), _span("b", 1)]
    assert await _pairs(mapped, *shared) == {("a", "b"): 1}
    # A client that retries, and one below a library's own span.
    nested = [_span("a", 1, kind=CLIENT, **host), _span("a", 2, 1, CLIENT, **host), _span("b", 3, 2)]
    assert await _pairs(mapped, *nested) == {("a", "b"): 1}
    assert await _pairs(mapped, _span("a", 1, kind=CLIENT, **DATABASE), _span("a", 2, 1, CLIENT, **host)) == {
        ("a", "postgresql/shop"): 1
    }
    # Beside one that is answered there may be one that is not.
    both = [_span("a", 1), _span("a", 2, 1, CLIENT, **host), _span("a", 3, 1, CLIENT, **host), _span("b", 4, 3)]
    assert await _pairs(mapped, *both) == {("a", "b"): 1, ("a", "b.internal"): 1}
    assert await _pairs(mapped, _span("a", 1, kind=CLIENT, **host), _span("b", 2, 1, INTERNAL)) == {("a", "b"): 1}


async def test_messages_are_calls_by_links(mapped):
    sent = [_span("a", n, kind=PRODUCER, **TOPIC) for n in (1, 2)]
    batch = _span("b", 3, kind=CONSUMER, trace=2, took=7, status=ERROR, links=[(1, 1), (1, 2), (9, 9)], **TOPIC)
    assert await mapped([*sent, batch]) == {("a", "b"): (1, 1, 7, 7, 7)}
    # Of two producers, and to two consumers.
    sent[1]["service"] = "c"
    edges = await _pairs(mapped, *sent, batch, _span("d", 4, kind=CONSUMER, trace=3, links=[(1, 2)], **TOPIC))
    assert edges == {("a", "b"): 1, ("c", "b"): 1, ("c", "d"): 1}
    # Who is both parent and linked calls once; who only follows from something was not called.
    assert await _pairs(
        mapped, _span("a", 1, kind=PRODUCER), _span("b", 2, 1, CONSUMER, links=[(1, 1)])
    ) == {("a", "b"): 1}  # fmt: skip
    assert await _pairs(mapped, _span("a", 1), _span("b", 2, kind=INTERNAL, trace=2, links=[(1, 1)])) == {}


async def test_a_broker_stands_for_those_who_are_not_there(mapped):
    assert await _pairs(mapped, _span("a", 1, kind=PRODUCER, **TOPIC)) == {("a", "kafka/orders"): 1}
    assert await _pairs(mapped, _span("b", 1, kind=CONSUMER, **TOPIC)) == {("kafka/orders", "b"): 1}
    assert await _pairs(mapped, _span("a", 1, kind=PRODUCER, **TOPIC), _span("b", 2, 1, CONSUMER, **TOPIC)) == {
        ("a", "b"): 1
    }


@pytest.mark.parametrize("seed", range(9))
async def test_random_traces_are_counted_as_by_hand(mapped, seed):
    chance = random.Random(seed)
    spans = []
    for trace in range(1, 40):
        own = []
        for number in range(1, chance.randint(2, 30)):
            shares = own and seed < 6 and chance.random() < 0.15
            spans_id = chance.choice(own)["id"] if shares else number
            parent = chance.choice([None, 0, 99, *(s["id"] for s in own), *(s["id"] for s in own[-3:])])
            links, named = (), {}
            if seed % 2:
                linked = {(chance.randint(1, 40), chance.randint(1, 12)) for _ in range(chance.choice([0, 0, 0, 1, 3]))}
                links, named = tuple(linked), chance.choice([{}, {}, {"peer__service": "b"}, {"peer__service": "x"},
                                                             {"messaging__system": "kafka"}])  # fmt: skip
            own.append(
                _span(chance.choice("abcde"), spans_id, parent or None, chance.choice([0, INTERNAL, SERVER, CLIENT,
                      PRODUCER, CONSUMER]), trace=trace, at=chance.randint(0, 3) * 10 ** chance.randint(0, 9) + number,
                      took=chance.randint(0, 10**9), status=chance.choice([0, 1, ERROR]), links=links, **named)
            )  # fmt: skip
        spans += own
    assert await mapped(spans) == _by_hand(spans)


QUARTER = 900 * 10**9


def _fleet(seed, *, quarters=5, traces=60):
    """Traces all over some quarters of an hour, whose calls take up to 20 minutes to arrive."""
    chance = random.Random(seed)
    spans = []
    for trace in range(1, traces):
        at = chance.randrange(quarters * QUARTER)
        for number in range(1, chance.randint(2, 12)):
            late = chance.choice((0, 0, 0, 10**9, chance.randrange(4 * QUARTER // 3)))
            links = tuple({(chance.randint(1, traces), chance.randint(1, 5)) for _ in range(chance.choice((0, 0, 2)))})
            spans.append(
                _span(chance.choice("abcd"), number, chance.choice((None, *range(1, number))), chance.randint(0, 5),
                      trace=trace, at=min(at + late, quarters * QUARTER - 1), took=chance.randint(0, 10**9),
                      status=chance.choice((0, ERROR)), links=links,
                      **chance.choice(({}, {}, {"peer__service": "x"}, {"messaging__system": "kafka"})))
            )  # fmt: skip
    return spans


async def _edges(reader, start, end):
    found = await services.service_map(reader, TimeRange(_START_NS + start, _START_NS + end))
    assert found.sampled_one_in == 1
    return {(edge.caller, edge.callee): (edge.call_count, edge.error_count) for edge in found.edges}


def _sum(*maps):
    total = defaultdict(lambda: (0, 0))
    for edges in maps:
        for edge, (calls, errors) in edges.items():
            total[edge] = total[edge][0] + calls, total[edge][1] + errors
    return dict(total)


@pytest.mark.parametrize("seed", range(2))
async def test_a_range_is_the_sum_of_its_parts_whatever_is_kept_and_however_it_is_read(  # noqa: PLR0917 - fixtures
    deliver, otlp, telemetry_store, new_scope, monkeypatch, seed
):
    """Cut anywhere; of quarters that were counted before or not; in one go, in runs and in shards of traces; and while
    spans arrive.
    """
    chance, scope = random.Random(seed), new_scope()
    spans = _fleet(seed)
    first, later = spans[: len(spans) // 2], spans[len(spans) // 2 :]
    reader = telemetry_store.bind(scope)

    async def send(some):
        by_service = defaultdict(list)
        for span in some:
            by_service[span["service"]].append(_sent(span))
        await deliver(scope, *(otlp.spans(service, *own) for service, own in by_service.items()))

    async def check():
        whole = await _edges(reader, 0, 5 * QUARTER)
        for at_once in (500_000, 40):
            monkeypatch.setattr(mapping, "AT_ONCE_MAX", at_once)
            cuts = sorted({0, 5 * QUARTER, *(chance.randrange(5 * QUARTER) for _ in range(2)), 2 * QUARTER})
            assert _sum(*[await _edges(reader, *cut) for cut in pairwise(cuts)]) == whole
            assert await _edges(reader, 0, 5 * QUARTER) == whole
        monkeypatch.setattr(telemetry_store._guides, "kept", Kept())
        assert await _edges(telemetry_store.bind(scope), 0, 5 * QUARTER) == whole
        return whole

    await send(first)
    before = await check()
    await send(later)
    assert await check() != before


async def test_a_map_that_was_looked_at_reads_what_is_new(deliver, otlp, telemetry_store, new_scope):
    scope, spans = new_scope(), []
    for number in range(2000):
        at = number * 8 * QUARTER // 2000
        spans += [_span("a", 1, trace=number + 1, at=at), _span("b", 2, 1, trace=number + 1, at=at + 5)]
    await deliver(scope, otlp.spans("a", *map(_sent, spans[::2])), otlp.spans("b", *map(_sent, spans[1::2])))

    async def ask():
        with asking() as question:
            edges = await _edges(telemetry_store.bind(scope), 0, 8 * QUARTER)
        return edges, question.statements

    assert await ask() == ({("a", "b"): (2000, 0)}, 4)
    assert await ask() == ({("a", "b"): (2000, 0)}, 2)  # how many there are, and how they are named
    # A call that comes late, among those of an hour ago.
    await deliver(scope, otlp.spans("b", _sent(_span("b", 3, 1, trace=1000, at=4 * QUARTER))))
    assert (await ask())[0] == {("a", "b"): (2001, 0)}
    assert (await ask())[1] == 2


async def test_durations_of_many_calls_are_near(mapped):
    chance = random.Random(1)
    took = [round(10 ** chance.uniform(0, 11)) for _ in range(1000)]
    edges = await mapped([_span("a", 1), *(_span("b", 2 + n, 1, took=each) for n, each in enumerate(took))])
    calls, _, *durations = edges["a", "b"]
    assert calls == 1000
    assert durations == pytest.approx([sorted(took)[rank - 1] for rank in (500, 950, 990)], rel=0.016)
