"""What is kept with an item is within reach of searches: members, elements, events, links, scopes, severities."""

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.telemetry import logs, traces
from duoscope.telemetry.times import TimeRange

NOW = now_unix_nano()
AROUND = TimeRange(NOW - 3600 * 10**9, NOW + 3600 * 10**9)
NESTED = [
    {"labels": {"team": "red one", "n": 7, "app.kubernetes.io/name": "cart", "deep": {"er": {"yet": True}}}},
    {"roles": ["admin", "ops"], "ports": [80, 443], "ratios": [0.5, 1.0], "flags": [True]},
    {"messages": [{"role": "user", "parts": [{"type": "text"}]}, {"role": "tool"}]},
    {"labels.team": "red one"},
    {"labels": {"team": "blue"}, "roles": [], "n": 1},
    {"labels": "team", "roles": "admin"},
    {"a": {"b.c": "x"}, "a.b": {"d": ["y", None]}},
]


@pytest.fixture(params=["own", "resource"])
async def nested(request, stored, otlp):
    """A record for each of `NESTED`, which are its own attributes, or its resource's."""
    requests = []
    for number, attributes in enumerate(NESTED):
        record = {"time_unix_nano": NOW + number, "body": str(number)}
        if request.param == "own":
            requests.append(otlp.logs("s", record | {"attributes": attributes}))
        else:
            requests.append(otlp.logs("s", record, **attributes))
    reader = await stored(*requests)

    async def find(query):
        return {int(record.body) for record in (await logs.search(reader, AROUND, query)).items}

    return find


async def test_members_of_maps_and_elements_of_lists(nested):
    for query, found in {
        'labels.team:"red one"': {0, 3},
        "labels.team:re*": {0, 3},
        "labels.team:*": {0, 3, 4},
        "labels.n:7.0": {0},
        "labels.n>6": {0},
        "labels.app.kubernetes.io/name:cart": {0},
        "labels.deep.er.yet:true": {0},
        "roles:admin": {1, 5},
        "roles:adm*": {1, 5},
        "ports:443": {1},
        "ports:44": set(),
        "ports>400": {1},
        "ratios:1": {1},
        "flags:true": {1},
        "messages.role:tool": {2},
        "messages.parts.type:text": {2},
        "a.b.c:x": {6},
        "a.b.d:y": {6},
        "-roles:admin labels.team:*": {0, 3, 4},
        "labels.team!=blue labels:*": {0, 5},
    }.items():
        assert await nested(query) == found, query


async def test_what_belongs_to_a_span(stored, otlp):
    def span(number, **more):
        return {"trace_id": bytes([number]) * 16, "span_id": bytes([number]) * 8, "start_time_unix_nano": NOW, **more}

    thrown = {"name": "exception", "attributes": otlp.attributes({"exception.type": "E", "n": 5, "tags": ["x", "y"]})}
    link = {"trace_id": b"t" * 16, "span_id": b"l" * 8, "attributes": otlp.attributes({"kind": "batch"})}
    request = otlp.spans(
        "s", span(1, events=[{"name": "first"}, thrown]), span(2, links=[link]), span(3, attributes={"event.n": 5})
    )
    scope = request.resource_spans[0].scope_spans[0].scope
    scope.version = "1.2.3"
    scope.attributes.extend(otlp.attributes({"team": "blue", "list": [1, 2]}))
    reader = await stored(request, otlp.spans("s", span(4)))
    for query, found in {
        "event.exception.type:E": {1},
        "events.exception.type:E": {1},
        "event.attributes.exception.type:E": {1},
        "exception.type:E": {1},
        "exception.type:*": {1},
        "event.n:5": {1, 3},
        "event.n>4": {1, 3},
        "event.tags:y": {1},
        "event.name:exc*": {1},
        "event.nosuch:5": set(),
        "link.kind:batch": {2},
        f"link.trace_id:{'74' * 16}": {2},
        f"links.span_id:{'6C' * 8}": {2},
        "link.span_id:*": {2},
        "scope.version:1.2.3": {1, 2, 3},
        "scope.version:1.*": {1, 2, 3},
        "scope.name:test.tracer": {1, 2, 3, 4},
        "scope.team:blue": {1, 2, 3},
        "scope.attributes.list:2": {1, 2, 3},
        "-event.exception.type:E": {2, 3, 4},
    }.items():
        assert {int(t.trace_id[:2], 16) for t in (await traces.search(reader, AROUND, query)).items} == found, query


async def test_members_of_structured_bodies(stored, otlp):
    bodies = [{"user": {"id": 5}, "tags": ["a"]}, {"user": "5"}, '{"user":"5"}', "5"]
    records = [{"time_unix_nano": NOW + n, "body": body, "event_name": f"e{n}"} for n, body in enumerate(bodies)]
    reader = await stored(otlp.logs("s", *records))
    for query, found in {
        "body.user.id:5": {0},
        "body.tags:a": {0},
        "body.user:5": {1, 2},
        "event.name:e3": {3},
    }.items():
        page = await logs.search(reader, AROUND, query)
        assert {int(record.event_name[1:]) for record in page.items} == found, query


async def test_severity_by_its_text(stored, otlp):
    texts = {
        "trace": ("TRACE", "Verbose", "finest", "trace3"),
        "debug": ("DEBUG2", "D", "Config", "dbg"),
        "info": ("Information", "info", "NOTICE", "[INFO]", "I"),
        "warn": ("WARNING", "warn", "W", "wrn"),
        "error": ("ERROR", "error", "Err", "SEVERE", "<error>", "E"),
        "fatal": ("CRITICAL", "FATAL", "emerg", "panic", "Alert"),
    }
    names = {"none": ("", "200", "odd", "error-ish"), **texts}
    records = [
        {"time_unix_nano": NOW, "severity_text": text, "event_name": name, "body": text}
        for name, of_name in names.items()
        for text in of_name
    ]
    records.append({"time_unix_nano": NOW, "severity_text": "debug", "severity_number": 17, "event_name": "error"})
    reader = await stored(otlp.logs("s", *records))

    async def find(query):
        found = (await logs.search(reader, AROUND, query, limit=1000)).items
        assert len(found) == sum(record["event_name"] in {f.event_name for f in found} for record in records)
        return {record.event_name for record in found}

    for name in texts:
        assert await find(f"severity:{name}") == {name}
    assert await find("severity>=warn") == {"warn", "error", "fatal"}
    assert await find("severity>error") == {"fatal"}
    assert await find("severity<=info") == {"none", "trace", "debug", "info"}
    assert await find("severity<debug") == {"none", "trace"}
    assert await find("severity:0") == {"none"}
    assert len((await logs.search(reader, AROUND, "severity_text:E severity!=warn")).items) == 1
