"""Answers are limited in size: pages of large items are shorter, large items are cut in lists and whole by their id."""

import pytest

from duoscope.kernel import limits
from duoscope.kernel.clock import now_unix_nano
from duoscope.receiver.signals import METRICS
from duoscope.telemetry import cutting

MIB = 2**20
SENT = 24


@pytest.fixture
def large(otlp):
    """Records of a megabyte, every other one with attributes of more than a list shows."""
    now = now_unix_nano() - 10**9
    attribute = "v" * 100_000
    return otlp.logs(
        "shop",
        *(
            {
                "time_unix_nano": now + n,
                "body": f"{n:03}" + "é" * (MIB // 2 - 10),
                "attributes": {f"k{m}": attribute for m in range(n % 2)},
            }
            for n in range(SENT)
        ),
    )


async def test_lists_are_bounded_and_items_are_whole_by_id(api, new_scope, deliver, large, monkeypatch):
    scope = new_scope()
    await deliver(scope, large)
    headers = await api.headers(scope)
    monkeypatch.setattr(cutting, "ANSWER_PAGE_BYTES_MAX", 4 * limits.ANSWER_TEXT_BYTES_MAX)
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        answer = await api.client.post("/api/v1/logs/search", headers=headers, json={"limit": 1000, "cursor": cursor})
        assert answer.status_code == 200, answer.text
        assert len(answer.content) < 6 * limits.ANSWER_TEXT_BYTES_MAX
        body = answer.json()
        found, cursor, pages = found + body["items"], body["next_cursor"], pages + 1
    assert [item["body"][:3] for item in found] == [f"{n:03}" for n in reversed(range(SENT))]
    assert pages > SENT // 4
    for item in found[:4]:
        n = int(item["body"][:3])
        assert len(item["body"].encode()) <= limits.ANSWER_TEXT_BYTES_MAX + 3
        assert item["truncated"] == (["body", "attributes"] if n % 2 else ["body"])
        assert item["attributes"] == {}
        whole = (await api.client.get(f"/api/v1/logs/{item['id']}", headers=headers)).json()
        assert whole["truncated"] == []
        assert whole["body"] == f"{n:03}" + "é" * (MIB // 2 - 10)
        assert set(whole["attributes"]) == {f"k{m}" for m in range(n % 2)}
        for name in ("id", "timestamp", "resource", "scope", "service_name"):
            assert whole[name] == item[name]
    # A neighbour's id is as one that never was.
    theirs = await api.headers(new_scope())
    answers = [await api.client.get(f"/api/v1/logs/{record}", headers=theirs) for record in (found[0]["id"], "0f" * 16)]
    assert [answer.status_code for answer in answers] == [404, 404]
    for name in ("detail", "code"):
        assert answers[0].json()[name] == answers[1].json()[name]
    assert (await api.client.get("/api/v1/logs/xyz", headers=headers)).json()["code"] == "invalid-log-id"
    assert api.services.telemetry.read_memory.held == 0


async def test_texts_that_are_short_as_a_rule_count_too(api, new_scope, deliver, otlp, monkeypatch):
    scope, now, long = new_scope(), now_unix_nano() - 10**9, "x" * 60_000
    texts = {"severity_text": long, "event_name": long}
    await deliver(scope, otlp.logs(long, *({"time_unix_nano": now + n, "body": str(n), **texts} for n in range(SENT))))
    headers = await api.headers(scope)
    monkeypatch.setattr(cutting, "ANSWER_PAGE_BYTES_MAX", 10 * len(long))
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        answer = await api.client.post("/api/v1/logs/search", headers=headers, json={"limit": 1000, "cursor": cursor})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        found, cursor, pages = found + body["items"], body["next_cursor"], pages + 1
    assert [item["body"] for item in found] == [str(n) for n in reversed(range(SENT))]
    assert pages >= SENT // 3


async def test_an_answer_that_is_too_large_is_refused_in_words(api, new_scope, deliver, otlp, monkeypatch):
    scope = new_scope()
    await deliver(scope, otlp.logs("shop", {"time_unix_nano": now_unix_nano() - 1, "body": "x" * 1000}))
    headers = await api.headers(scope)
    monkeypatch.setattr(limits, "ANSWER_BYTES_MAX", 500)
    answer = await api.client.post("/api/v1/logs/search", headers=headers, json={})
    assert (answer.status_code, answer.json()["code"]) == (400, "answer-too-large")


async def test_answers_are_refused_where_others_are_unread(api, new_scope, deliver, otlp):
    scope = new_scope()
    await deliver(scope, otlp.logs("shop", {"time_unix_nano": now_unix_nano() - 1, "body": "x"}))
    headers = await api.headers(scope)
    memory = api.services.telemetry.read_memory
    memory.take(scope.tenant_id, limits.ANSWERS_TENANT_BYTES_MAX)
    try:
        answer = await api.client.post("/api/v1/logs/search", headers=headers, json={})
        assert (answer.status_code, answer.json()["code"]) == (429, "answers-unread")
        assert int(answer.headers["retry-after"]) > 0
        neighbour = await api.headers(new_scope())
        assert (await api.client.post("/api/v1/logs/search", headers=neighbour, json={})).status_code == 200
    finally:
        memory.give_back(scope.tenant_id, limits.ANSWERS_TENANT_BYTES_MAX)


async def test_a_query_of_many_patterns_is_refused(api, new_scope):
    headers = await api.headers(new_scope())
    query = " ".join(["*a*b*"] * 99)
    answer = await api.client.post("/api/v1/logs/search", headers=headers, json={"query": query})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-query")
    assert f"more than {limits.READ_PATTERNS_MAX} terms with a *" in answer.json()["detail"]


TRACE = bytes(15) + b"\x07"
ATTRIBUTE = "v" * 200_000


def spans(otlp, number, **fields):
    """Spans of a trace, whose ids count from 1; every third one twice."""
    start = now_unix_nano() - 10**9
    plain = {"trace_id": TRACE, "name": "large", "start_time_unix_nano": start, "end_time_unix_nano": start + 1}
    made = [plain | {"span_id": n.to_bytes(8, "big")} | fields for n in range(1, number + 1)]
    return otlp.spans("shop", *(span for n, span in enumerate(made) for _ in range(1 + (n % 3 == 0))))


async def pages_of(api, headers, ask, member):
    """The items of all pages, and how large each page was."""
    found, sizes, cursor = [], [], None
    while not sizes or cursor:
        answer = await ask(cursor)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        sizes.append(len(answer.content))
        assert sizes[-1] <= limits.ANSWER_BYTES_MAX
        cursor = body["next_cursor"]
        if member == "spans":
            assert body["truncated"] == (cursor is not None or len(sizes) > 1)
        found += body[member]
    assert api.services.telemetry.read_memory.held == 0
    return found, sizes


async def test_pages_of_a_trace_beyond_every_bound_have_every_span_once(api, new_scope, deliver, otlp):
    scope = new_scope()
    request = spans(otlp, 66, attributes={f"k{n}": ATTRIBUTE for n in range(4)})
    await deliver(scope, request)
    headers = await api.headers(scope)
    sent = [span.span_id.hex() for span in request.resource_spans[0].scope_spans[0].spans]
    assert len(sent) * 4 * len(ATTRIBUTE) > limits.TELEMETRY_QUERY_RESULT_BYTES_MAX

    async def ask(cursor):
        query = {"cursor": cursor} if cursor else {}
        return await api.client.get(f"/api/v1/traces/{TRACE.hex()}", headers=headers, params=query)

    found, sizes = await pages_of(api, headers, ask, "spans")
    assert [span["span_id"] for span in found] == sent
    assert all(span["attributes"] == {f"k{n}": ATTRIBUTE for n in range(4)} for span in found)
    assert all(span["truncated"] == [] for span in found)
    assert max(sizes) <= limits.ANSWER_PAGE_BYTES_MAX
    assert len(sizes) == 1 + (len(sent) - 1) // (limits.ANSWER_PAGE_BYTES_MAX // (4 * len(ATTRIBUTE) + 2000))


async def test_a_span_larger_than_an_answer_shows_its_beginning(api, new_scope, deliver, otlp):
    scope = new_scope()
    request = spans(otlp, 3, status=2)
    middle = request.resource_spans[0].scope_spans[0].spans[2]
    middle.name = "\x01" * 11_000_000
    for n in range(60):
        middle.events.add(name=f"event {n}", attributes=otlp.attributes({"text": ATTRIBUTE}))
        middle.links.add(trace_id=TRACE, span_id=bytes([1] * 8), attributes=otlp.attributes({"text": ATTRIBUTE}))
    await deliver(scope, request)
    headers = await api.headers(scope)

    async def ask(cursor):
        query = {"cursor": cursor} if cursor else {}
        return await api.client.get(f"/api/v1/traces/{TRACE.hex()}", headers=headers, params=query)

    found, sizes = await pages_of(api, headers, ask, "spans")
    assert [int(span["span_id"], 16) for span in found] == [1, 1, 2, 3]
    assert [span["truncated"] for span in found] == [[], [], ["name", "events", "links"], []]
    shown = found[2]
    assert shown["name"] == "\x01" * limits.ANSWER_TEXT_BYTES_MAX
    assert [event["name"] for event in shown["events"]] == [f"event {n}" for n in range(len(shown["events"]))]
    assert 0 < len(shown["events"]) < 60
    assert 0 < len(shown["links"]) < 60
    assert max(sizes) <= limits.ANSWER_ITEM_BYTES_MAX


async def test_pages_of_traces_of_many_services_have_every_trace_once(api, new_scope, deliver, otlp, monkeypatch):
    scope = new_scope()
    start = now_unix_nano() - 10**9
    for n in range(1, 13):
        await deliver(
            scope,
            *(
                otlp.spans(
                    f"{service} {'s' * 3000}",
                    {"trace_id": n.to_bytes(16, "big"), "span_id": bytes([service + 1] * 8), "name": "x",
                     "start_time_unix_nano": start + n, "end_time_unix_nano": start + n},
                )
                for service in range(2)
            ),
        )  # fmt: skip
    headers = await api.headers(scope)
    monkeypatch.setattr(cutting, "ANSWER_PAGE_BYTES_MAX", 30_000)

    async def ask(cursor):
        return await api.client.post("/api/v1/traces/search", headers=headers, json={"limit": 10, "cursor": cursor})

    found, sizes = await pages_of(api, headers, ask, "items")
    assert [int(trace["trace_id"], 16) for trace in found] == list(range(12, 0, -1))
    assert [trace["span_count"] for trace in found] == [2] * 12
    assert len(sizes) == 4
    assert max(sizes) <= 31_000


async def test_pages_of_large_exemplars_have_every_exemplar_once(api, new_scope, deliver, otlp, monkeypatch):
    scope, now = new_scope(), now_unix_nano() - 10**9
    metric = METRICS.request().resource_metrics.add().scope_metrics.add().metrics.add(name="took")
    point = metric.gauge.data_points.add(time_unix_nano=now, as_int=1)
    for n in range(12):
        for _ in range(2):  # as senders repeat them
            attributes = otlp.attributes({"large": "v" * 10_000})
            point.exemplars.add(time_unix_nano=now - n // 3, as_int=n, filtered_attributes=attributes)
    await deliver(scope, otlp.metrics("shop", metric))
    headers = await api.headers(scope)
    monkeypatch.setattr(cutting, "ANSWER_PAGE_BYTES_MAX", 25_000)

    async def ask(cursor):
        query = {"metric": "took", "limit": 5} | ({"cursor": cursor} if cursor else {})
        return await api.client.get("/api/v1/metrics/exemplars", headers=headers, params=query)

    found, sizes = await pages_of(api, headers, ask, "items")
    assert sorted(exemplar["value"] for exemplar in found) == list(range(12))
    assert len(sizes) == 6
    assert max(sizes) <= 25_000
