"""Malformed and hostile requests get a 4xx problem, and never a 500."""

import base64
import json
from urllib.parse import quote

import pytest

from duoscope.telemetry import cursor

SEARCHES = ["/api/v1/logs/search", "/api/v1/traces/search"]
ODD_TEXTS = [
    "\ud800",
    "\0",
    "a\0b",
    "\x7f\x01",
    "'",
    '"',
    "\\",
    "\\'",
    "%",
    "{",
    "{q1:String}",
    "@logs",
    "\u202e\U0001f600",
    "a:b:c",
    'x:"\\',
    "-",
    "--",
    "*",
    "x:*",
    "x:**",
    "((",
    "NOT NOT a",
    "a" * 8000,
    "x:" + "*" * 500,
    "duration>1e999s",
    "severity>=999",
    "x>1e400",
    "x>0x10",
    "x<-5",
    "d>=1_000",
    "trace_id:" + "é" * 32,
    '"":x',
    "resource.:x",
    "attributes.:x",
    "@x:y",
    "\n\t\r",
    "x:/(/",
    "x:/\\x{110000}/",
    "x:/\\x00|\\C|\\Qa/",
    "x:/(((a{9}){9}){9}|[^\U0001f600])+$/",
    "service:/" + "(a|b)?" * 80 + "/",
    "x:(a OR " + "b " * 30 + "OR c) x!=(1 OR /y/ OR >2)",
    "x:((((",
    "x:(y:(z))",
]
BODIES = [
    {"start": 1.5},
    {"start": -1},
    {"start": 10**30},
    {"start": "9" * 30},
    {"start": []},
    {"start": "", "end": ""},
    {"start": "2026-01-01T00:00:00+99:99"},
    {"start": "0000-01-01T00:00:00Z"},
    {"start": "9999-12-31T23:59:60Z"},
    {"limit": 0},
    {"limit": -1},
    {"limit": 1e9},
    {"limit": True},
    {"limit": None},
    {"query": None},
    {"query": 5},
    {"cursor": "\ud800"},
    {"cursor": "W10"},
    {"cursor": "x" * 5000},
    {"cursor": "WyIiLCIiXQ"},
    {"unknown": 1},
]
METRIC_BODIES = [
    {"metric": "\ud800"},
    {"metric": "\0"},
    {"metric": ""},
    {"metric": "x", "group_by": ["\ud800"]},
    {"metric": "x", "group_by": [""]},
    {"metric": "x", "group_by": ["a'b{}%\0"]},
    {"metric": "x", "group_by": "service"},
    {"metric": "x", "step": "1e9s"},
    {"metric": "x", "step": -5},
    {"metric": "x", "step": 10**20},
    {"metric": "x", "step": "0.1s"},
    {"metric": "x", "aggregation": "p0"},
    {"metric": "x", "aggregation": "{"},
    {"metric": "x", "type": "\0"},
    {"metric": "x", "unit": "\ud800"},
    {"metric": "x", "unit": "x" * 2000},
    {"metric": "x", "aggregation": "p99." + "9" * 400},
    {"metric": "x", "start": 0, "end": 2**63 - 1},
    {"metric": "x", "start": 2**63 - 2, "end": 2**63 - 1, "step": "31d"},
]


@pytest.fixture
async def send(api, new_scope):
    headers = (await api.headers(new_scope())) | {"content-type": "application/json"}

    async def go(method, path, body=None):
        content = None if body is None else json.dumps(body).encode()
        response = await api.client.request(method, path, headers=headers, content=content)
        assert response.status_code < 500, (path, body, response.text)
        assert response.status_code == 200 or response.json()["code"], (path, body)
        return response.status_code

    return go


@pytest.mark.parametrize("path", SEARCHES)
async def test_searches(send, path):
    for text in ODD_TEXTS:
        await send("POST", path, {"query": text})
    for body in BODIES:
        assert await send("POST", path, body) == 400, body


async def test_metrics(send):
    for body in METRIC_BODIES:
        await send("POST", "/api/v1/metrics/query", body)
    for text in ODD_TEXTS:
        await send("POST", "/api/v1/metrics/query", {"metric": "x", "query": text, "group_by": ["service"]})
    for query in (
        "prefix=%00",
        "prefix=%ff",
        "prefix=%25'",
        "limit=x",
        "limit=0",
        "limit=201",
        "cursor=%ff",
        "service=%00",
    ):
        await send("GET", f"/api/v1/metrics?{query}")


async def test_paths_and_parameters(send):
    for path in (
        "/api/v1/traces/%ff%fe",
        "/api/v1/traces/%00",
        "/api/v1/traces/'",
        "/api/v1/traces/" + "a" * 5000,
        "/%ff",
        "/no-page//",
        "/../no-page",
        "/api/v1/services?start=%ff",
        "/api/v1/services?start=0",
        "/api/v1/service-map?end=1e5",
        "/api/v1/logs/tail?query=(",
        "/api/v1/services?start=1&start=2",
    ):
        assert await send("GET", path) in (400, 404), path


async def test_bodies_that_are_no_json(api, new_scope):
    headers = await api.headers(new_scope())
    for content in (
        b"",
        b"\xff",
        b'{"query":"\xff"}',
        b'{"\xff":1}',
        b"null",
        b"1",
        b'"x"',
        b"[" * 100_000,
        b'{"limit":' + b"9" * 10_000 + b"}",
        b'{"a":1,"a":2}',
    ):
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense"):
            response = await api.client.post(SEARCHES[0], content=content, headers=headers | {"content-type": kind})
            assert response.status_code in (400, 415), (content[:20], kind, response.text)
            assert response.json()["code"]


def _forged(search, *position):
    content = json.dumps([cursor._fingerprint(search), *position])
    return base64.urlsafe_b64encode(content.encode()).decode()


@pytest.mark.parametrize(
    ("path", "search", "position"),
    [
        (SEARCHES[0], ("logs", ""), (0, 10, 5, 0, -(2**62))),
        (SEARCHES[0], ("logs", ""), (0, 10, 5, -1, 0)),
        (SEARCHES[0], ("logs", ""), (0, 10, 5, 0, 2**40)),
        (SEARCHES[0], ("logs", ""), (0, 2**63 - 1, 5, 0, 0)),
        (SEARCHES[1], ("traces", ""), (0, 10, 5, "0" * 10_000)),
        (SEARCHES[1], ("traces", ""), (0, 10, 5, "\ud800" * 32)),
        (SEARCHES[1], ("traces", ""), (0, 2**63 - 1, 5, "0" * 32)),
        (None, ("metrics", "", None), ("a", "b", "c", -1, "d")),
        (None, ("metrics", "", None), ("\ud800", "b", "c", 0, "d")),
        (None, ("metrics", "", None), ("a", "b", "c", 0, "d" * 10_000)),
    ],
)
async def test_forged_cursors(api, new_scope, path, search, position):
    headers = await api.headers(new_scope())
    forged = _forged(search, *position)
    if path:
        response = await api.client.post(path, json={"cursor": forged}, headers=headers)
    else:
        response = await api.client.get(f"/api/v1/metrics?cursor={quote(forged)}", headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "invalid-cursor"), response.text


async def test_a_value_that_is_no_text_is_no_outage_of_the_store(telemetry_store, new_scope):
    reader = telemetry_store.bind(new_scope())
    for kind, value in (("String", "\ud800"), ("Array(String)", ["a", "\ud800"])):
        with pytest.raises(UnicodeEncodeError):
            await reader.query(f"SELECT {{a:{kind}}} AS a", {"a": value}, name="tests.text")


async def test_a_parameter_that_is_missing_is_named(api, new_scope):
    answer = await api.client.get("/api/v1/service-figures", headers=await api.headers(new_scope()))
    assert (answer.status_code, answer.json()["errors"]) == (
        400, [{"field": "service", "message": "This parameter is required."}],
    )  # fmt: skip


async def test_a_body_is_taken_as_the_document_says_and_nothing_is_converted(api, new_scope):
    headers, search = await api.headers(new_scope()), "/api/v1/logs/search"
    wrong = (
        ("/api/v1/metrics/query", "with_schema_urls", 0, {"metric": "m"}),
        ("/api/v1/metrics/query", "with_schema_urls", "true", {"metric": "m"}),
        (search, "limit", "5", {}),
        (search, "limit", 5.0, {}),
        (search, "limit", True, {}),
        (search, "cursor", 5, {}),
        ("/api/v1/auth/login", "trust_device", 1, {"email": "ada@example.com", "password": "x"}),
    )
    for path, field, value, rest in wrong:
        answer = await api.client.post(path, headers=headers, json=rest | {field: value})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field), (path, field, value)


@pytest.mark.parametrize("path", SEARCHES)
@pytest.mark.parametrize(
    "query",
    [
        "k:1e-99999999999999999999",
        "k:0e99999999999999999999",
        '"a\nb":1',
        '"a\nb":*',
        '"body.a\nb">1',
        '"\n":*',
        'event."x\ny":1',
        'event."x\ny":*',
        'scope."x\ny":*',
        '"a\\\nb"',
    ],
)
async def test_queries_with_what_numbers_and_names_may_have(api, new_scope, path, query):
    answer = await api.client.post(path, headers=await api.headers(new_scope()), json={"query": query})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("path", SEARCHES)
@pytest.mark.parametrize("query", [" OR ".join(f"attributes.a{n}:1" for n in range(100)), "*a" * 4000 + "*"])
async def test_queries_that_are_too_long_for_the_store(api, new_scope, path, query):
    answer = await api.client.post(path, headers=await api.headers(new_scope()), json={"query": query})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-query"), answer.text
    assert "fewer" in answer.json()["detail"]
