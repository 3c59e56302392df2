"""Queries as their tenant sees them: what they cost, which are at work, and that they end with their client."""

import asyncio
import logging

import pytest

from duoscope.telemetry import logs
from support.listening import connected, listening, until

ENDLESS = "SELECT count() AS n FROM numbers(1000000000) WHERE NOT ignore(SHA512(toString(number)))"
SEARCH = "/api/v1/logs/search"


@pytest.fixture
def endless(monkeypatch):
    """Let a search of logs last until it is ended."""

    async def search(reader, *_args, **_options):
        await reader.query(ENDLESS, name="logs.search")

    monkeypatch.setattr(logs, "search", search)


def raw(headers, body=b"{}"):
    head = f"POST {SEARCH} HTTP/1.1\r\nhost: x\r\nauthorization: {headers['authorization']}\r\n"
    return head.encode() + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body


async def test_a_client_that_goes_away_takes_its_queries_with_it(api, new_scope, endless):
    scope, slots = new_scope(), api.services.telemetry._slots
    headers = await api.headers(scope)
    async with listening(api.app) as server:
        for _ in range(2):
            async with (
                connected(server) as (_, writer),
                connected(server) as (_, second),
                connected(server) as (_, third),
            ):
                for each in (writer, second, third):
                    each.write(raw(headers))
                # Two are at work, the third one waits.
                await until(lambda: slots._running[scope.tenant_id] == 2 and scope.tenant_id in slots._waiting)
            await until(lambda: not slots._running and not slots._waiting)
        assert not api.services.telemetry.questions.at_work(scope.tenant_id)


async def test_a_query_is_seen_and_cancelled_and_its_client_told(api, new_scope, endless, caplog):
    scope, questions = new_scope(), api.services.telemetry.questions
    headers, watching = await api.headers(scope), await api.headers(scope, "query:read", "query:delete")
    task = asyncio.create_task(api.client.post(SEARCH, json={"query": "word"}, headers=headers))
    # Long enough to be kept among the slowest.
    await until(lambda: any(asked.is_running and asked.busy_s > 0.1 for asked in questions.at_work(scope.tenant_id)))
    (seen,) = (await api.client.get("/api/v1/queries", headers=watching)).json()["running"]
    assert (seen["state"], seen["caller_kind"], seen["route"]) == ("running", "user", f"POST {SEARCH}")
    assert seen["question"] == '{"query":"word"}'
    gone = await api.client.delete(f"/api/v1/queries/{seen['query_id']}", headers=watching)
    answer = await task
    assert (gone.status_code, answer.status_code, answer.json()["code"]) == (204, 400, "query-cancelled")
    assert answer.headers["x-request-id"] == seen["request_id"]
    found = (await api.client.get("/api/v1/queries?limit=1", headers=watching)).json()
    assert (found["running"], found["slowest"][0]["state"]) == ([], "cancelled")


async def test_what_is_slow_is_logged_without_what_was_asked(api, new_scope, caplog, monkeypatch):
    scope = new_scope()
    monkeypatch.setattr(api.services.telemetry.questions, "_slow_s", 1e-9)
    with caplog.at_level(logging.WARNING):
        answer = await api.client.post(SEARCH, json={"query": "s3cret"}, headers=await api.headers(scope))
    (line,) = [record for record in caplog.records if record.message == "slow query"]
    assert (line.route, line.tenant_id, line.statements) == (f"POST {SEARCH}", scope.tenant_id, 2)
    assert line.duration_ms > 0
    assert "s3cret" not in repr(vars(line))
    assert line.request_id == answer.headers["x-request-id"]


async def test_answers_say_what_they_cost(api, deliver, otlp, new_scope):
    scope = new_scope()
    await deliver(scope, otlp.logs("checkout", *({"body": f"line {n}"} for n in range(50))))
    headers = await api.headers(scope)
    answer = await api.client.post(SEARCH, json={}, headers=headers)
    cost = dict(part.split("=") for part in answer.headers["duoscope-cost"].split(", "))
    assert int(cost["rows"]) >= 50
    assert int(cost["bytes"]) > 0
    assert (int(cost["queries"]), int(cost["windows"])) >= (1, 1)
    assert float(cost["store_ms"]) > 0
    assert answer.headers["server-timing"].startswith("wait;dur=")
    prometheus = await api.client.get("/api/v1/prom/api/v1/query?query=up", headers=headers)
    assert "duoscope-cost" in prometheus.headers
    assert "duoscope-cost" not in (await api.client.get("/health/live")).headers
