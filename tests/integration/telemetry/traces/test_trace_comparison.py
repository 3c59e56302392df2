"""Comparison of spans: the fields that tell the slow and the failed from the rest, over HTTP."""

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.telemetry.traces import comparison

_START_NS = (now_unix_nano() // (3600 * 10**9) - 2) * 3600 * 10**9
_RANGE = {"start": _START_NS, "end": _START_NS + 3600 * 10**9}
MS = 1_000_000


@pytest.fixture
async def ask(api, deliver, otlp, new_scope):
    """A tenant whose checkout fails slowly for one version and one card, and how to ask about it."""
    scope = new_scope()
    of_version = {"1.0": [], "2.0": []}
    for n in range(200):
        version = "2.0" if n % 4 == 0 else "1.0"
        is_bad = version == "2.0" and n % 8 == 0
        attributes = {"card": "visa" if is_bad else ("visa", "amex")[n // 2 % 2], "request.id": f"r{n}", "tries": n % 2}
        if is_bad:
            attributes["error.type"] = "Timeout"
        start = _START_NS + n * MS
        of_version[version].append(
            {"trace_id": (n + 1).to_bytes(16, "big"), "span_id": (n + 1).to_bytes(8, "big"), "name": "POST /pay",
             "kind": 2, "status": 2 if is_bad else 0, "start_time_unix_nano": start, "attributes": attributes,
             "end_time_unix_nano": start + (900 if is_bad else 20) * MS}
        )  # fmt: skip
    await deliver(scope, *(otlp.spans("checkout", *spans, **{"service.version": v}) for v, spans in of_version.items()))
    headers = await api.headers(scope)

    async def ask(selection, **fields):
        body = _RANGE | {"selection": selection} | fields
        return await api.client.post("/api/v1/traces/compare", headers=headers, json=body)

    return ask


async def test_the_slow_and_the_rest(ask):
    box = {"start": _START_NS, "end": _START_NS + 1000 * MS, "min_duration_ns": 500 * MS, "max_duration_ns": 10**10}
    for selection in (box, {"query": "status:error"}, {"query": "duration>500ms", "min_duration_ns": 1}):
        answer = await ask(selection)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert found["inside"] == {"span_count": 25, "sampled_count": 25}
        assert found["outside"] == {"span_count": 175, "sampled_count": 175}
        assert found["unique_fields"] == ["attributes.request.id"]
        fields = {field["name"]: field for field in found["fields"]}
        # Those that differ wholly come first, and those that do not differ last.
        assert [field["name"] for field in found["fields"]][:2] == ["attributes.error.type", "status"]
        differences = [field["difference"] for field in found["fields"]]
        assert differences == sorted(differences, reverse=True)
        assert {name for name, field in fields.items() if field["difference"] == 0} == {
            "kind", "name", "scope", "service",
        }  # fmt: skip
        assert (
            fields["attributes.error.type"]["values"]
            == [
                {"value": "Timeout", "inside_count": 25, "outside_count": 0, "inside_share": 1, "outside_share": 0},
                {"value": None, "inside_count": 0, "outside_count": 175, "inside_share": 0, "outside_share": 1},
            ]
            or fields["attributes.error.type"]["values"][0]["value"] is None
        )
        version = {value["value"]: value for value in fields["resource.service.version"]["values"]}
        assert (version["2.0"]["inside_count"], version["2.0"]["outside_count"]) == (25, 25)
        assert version["1.0"]["outside_share"] == pytest.approx(150 / 175)
        assert {value["value"] for value in fields["attributes.tries"]["values"]} == {"0", "1"}


async def test_what_operations_explain_comes_after_what_they_do_not(api, deliver, otlp, new_scope):
    scope = new_scope()
    of_version = {"1.0": [], "2.0": []}
    for n in range(140):
        is_write, is_slow = n >= 100, n >= 120
        # Versions are as frequent as each other among reads; writes are slow of one version.
        version = "2.0" if is_slow or (not is_write and n % 2) else "1.0"
        of_version[version].append(
            {"trace_id": (n + 1).to_bytes(16, "big"), "span_id": (n + 1).to_bytes(8, "big"),
             "name": "POST /b" if is_write else "GET /a", "kind": 2, "start_time_unix_nano": _START_NS + n * MS,
             "attributes": {"http.route": "/b" if is_write else "/a"},
             "end_time_unix_nano": _START_NS + n * MS + (900 if is_slow else 20) * MS}
        )  # fmt: skip
    await deliver(scope, *(otlp.spans("shop", *spans, **{"service.version": v}) for v, spans in of_version.items()))
    body = _RANGE | {"selection": {"query": "duration>500ms"}}
    answer = await api.client.post("/api/v1/traces/compare", headers=await api.headers(scope), json=body)
    fields = answer.json()["fields"]
    assert [field["name"] for field in fields][:3] == ["resource.service.version", "attributes.http.route", "name"]
    assert fields[0]["difference"] < fields[1]["difference"] == fields[2]["difference"]


async def test_one_query_against_another(ask):
    found = (await ask({"query": "status:error"}, query="resource.service.version:2.0", limit=1)).json()
    assert (found["inside"]["span_count"], found["outside"]["span_count"], len(found["fields"])) == (25, 25, 1)
    found = (await ask({"query": "card:amex"}, against="card:visa error.type:*")).json()
    assert (found["inside"]["span_count"], found["outside"]["span_count"]) == (100, 25)


async def test_samples_are_even_and_say_their_size(ask, monkeypatch):
    monkeypatch.setattr(comparison, "SAMPLE_SPANS_MAX", 40)
    found = (await ask({"query": "status:error"})).json()
    assert found["inside"] == {"span_count": 25, "sampled_count": 25}
    assert found["outside"]["span_count"] == 175
    assert 10 <= found["outside"]["sampled_count"] <= 70
    status = next(field for field in found["fields"] if field["name"] == "status")
    assert status["difference"] == 1


async def test_nothing_to_compare_says_why(ask):
    for selection, fields, hint in (
        ({"query": "service:nobody"}, {}, "No span is selected"),
        ({"query": "service:checkout"}, {}, "Every span that matches"),
        ({"query": "status:error"}, {"query": "service:nobody"}, "No span of the time range"),
    ):
        found = (await ask(selection, **fields)).json()
        assert (found["fields"], found["hint"].startswith(hint)) == ([], True), found


@pytest.mark.parametrize(
    ("selection", "fields", "said"),
    [
        ({}, {}, "needs a query, a time range or a duration"),
        ({"start": _START_NS}, {}, "a `start` and an `end`, or neither"),
        ({"start": 2, "end": 1}, {}, "`end` must be later"),
        ({"min_duration_ns": 5, "max_duration_ns": 5}, {}, "`max_duration_ns` must be greater"),
        ({"min_duration_ns": -1}, {}, "min_duration_ns"),
        ({"query": "(a"}, {}, "not closed"),
        ({"query": "a"}, {"against": "severity:error"}, "a field of logs"),
        ({"query": "a"}, {"limit": 0}, "limit"),
        ({"query": "a"}, {"limits": 1}, "limits"),
    ],
)
async def test_mistakes_are_named(ask, selection, fields, said):
    answer = await ask(selection, **fields)
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["detail"]
