"""What holds for the API as a whole: problems, authentication, health, the OpenAPI document."""

import logging
import re
from contextlib import AsyncExitStack

import jsonschema_rs

from duoscope.api import openapi_page
from duoscope.kernel.errors import unavailable
from duoscope.kernel.ids import new_id
from duoscope.kernel.limits import API_REQUEST_BYTES_MAX as BODY_BYTES_MAX
from duoscope.kernel.scope import PlatformScope
from duoscope.stores.postgres import POOL_CONNECTIONS_MAX

PROBLEM = "application/problem+json"


def _problem(response, status, code):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM
    body = response.json()
    assert (body["status"], body["code"], body["type"]) == (status, code, f"urn:duoscope:problem:{code}")
    assert body["request_id"] == response.headers["x-request-id"]
    return body


async def test_problems(api, new_scope):
    call, headers = api.client.request, (await api.headers(new_scope()))
    _problem(await call("GET", "/nothing/here"), 404, "not-found")
    _problem(await call("DELETE", "/health/live"), 405, "method-not-allowed")
    search = "/api/v1/logs/search"
    body = _problem(await call("POST", search, headers=headers, json={"limits": 1}), 400, "invalid-request")
    assert (body["detail"], body["errors"][0]["field"]) == ("body: Object contains unknown field 'limits'.", "body")
    body = _problem(await call("POST", search, headers=headers), 400, "invalid-request")
    assert body["detail"] == "body: A JSON object is required."
    body = _problem(await call("POST", search, headers=headers, json={"limit": "x"}), 400, "invalid-request")
    assert body["errors"][0]["field"] == "limit"
    body = _problem(await call("POST", search, headers=headers, json={"limit": 5000}), 400, "invalid-request")
    assert body["detail"] == "limit: At most 1000."
    body = _problem(await call("POST", search, headers=headers, json={"limit": 0}), 400, "invalid-request")
    assert body["detail"] == "limit: At least 1."
    _problem(await call("POST", search, headers=headers, content=b"{"), 400, "invalid-request")
    _problem(await call("POST", search, headers=headers, content=b"[]"), 400, "invalid-request")
    _problem(await call("POST", search, headers=headers, json={"start": "yesterday"}), 400, "invalid-request")
    body = _problem(await call("POST", search, headers=headers, json={"query": "severity:loud"}), 400, "invalid-query")
    assert body["detail"].startswith("Query, character 1:")
    assert [body[name] for name in ("field", "position", "length")] == ["query", 9, 4]
    assert {"warn", "error"} < set(body["choices"])
    big = b'{"query":"' + b"a" * BODY_BYTES_MAX + b'"}'
    _problem(await call("POST", search, headers=headers, content=big), 413, "request-too-large")
    _problem(await call("GET", "/api/v1/traces/xyz", headers=headers), 400, "invalid-trace-id")
    _problem(await call("GET", f"/api/v1/traces/{'ab' * 16}", headers=headers), 404, "not-found")
    _problem(await call("GET", "/api/v1/services?start=x", headers=headers), 400, "invalid-request")
    _problem(await call("GET", "/api/v1/logs/tail?query=severity:loud", headers=headers), 400, "invalid-query")


async def test_a_wrong_choice_is_told_the_choices(api, new_scope):
    call, headers = api.client.request, await api.headers(new_scope(), "api-key:write", "api-key:read")
    key = {"name": "c1", "permissions": ["traces:write", "log:write"]}
    body = _problem(await call("POST", "/api/v1/api-keys", headers=headers, json=key), 400, "invalid-request")
    assert body["detail"] == (
        "permissions[1]: 'log:write' is none of logs:write, logs:read, alerts:write, alerts:read, metrics:read, "
        "metrics:write, monitors:report, traces:read, traces:write."
    )
    body = _problem(
        await call("POST", "/api/v1/api-keys", headers=headers, json=key | {"name": ""}), 400, "invalid-request"
    )
    assert body["detail"] == "name: At least 1 character."
    answer = await call("GET", "/api/v1/api-keys", headers=headers, params={"status": "gone" * 500})
    body = _problem(answer, 400, "invalid-request")
    assert body["detail"].endswith("gone…' is none of active, expired, revoked, rotated.")
    assert len(body["detail"]) < 200


async def test_authentication(api, new_scope):
    scope = new_scope()
    for headers in ({}, {"authorization": "Basic abc"}, {"authorization": "Bearer"}):
        response = await api.client.get("/api/v1/services", headers=headers)
        _problem(response, 401, "token-missing")
        assert response.headers["www-authenticate"] == "Bearer"
    _problem(await api.client.get("/api/v1/services", headers={"authorization": "Bearer x.y.z"}), 401, "token-invalid")
    for method, path in (("POST", "/api/v1/logs/search"), ("GET", "/api/v1/logs/tail"), ("GET", "/api/v1/services")):
        headers = await api.headers(scope, "metric:read")
        _problem(await api.client.request(method, path, headers=headers, json={}), 403, "permission-denied")


async def test_unexpected_errors_say_nothing_outward(api, new_scope, monkeypatch, caplog):
    def fail(_):
        raise RuntimeError("secret internals")

    monkeypatch.setattr(type(api.services.telemetry), "bind", fail)
    response = await api.client.get("/api/v1/services", headers=(await api.headers(new_scope())))
    body = _problem(response, 500, "internal-error")
    assert "secret" not in response.text
    (record,) = [r for r in caplog.records if r.getMessage() == "unexpected error"]
    assert record.request_id == body["request_id"]


async def test_a_store_that_is_away(api, new_scope, monkeypatch):
    async def away(*_, **__):
        raise unavailable("Away.", code="telemetry-store-unavailable", retry_after_s=1.5, detail="secret")

    monkeypatch.setattr(type(api.services.telemetry), "ping", away)
    monkeypatch.setattr("duoscope.telemetry.services.list_services", away)
    response = await api.client.get("/api/v1/services", headers=(await api.headers(new_scope())))
    _problem(response, 503, "telemetry-store-unavailable")
    assert response.headers["retry-after"] == "2"
    response = await api.client.get("/health/ready")
    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "parts": {"postgres": "ready", "clickhouse": "Away."}}
    assert (await api.client.get("/health/live")).status_code == 200


async def test_health_and_metrics(api):
    assert (await api.client.get("/health/live")).json() == {"status": "live"}
    ready = await api.client.get("/health/ready")
    assert (ready.status_code, ready.json()["parts"]) == (200, {"postgres": "ready", "clickhouse": "ready"})
    await api.client.get("/no/such/path")
    shown = await api.client.get("/metrics")
    assert shown.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'route="/health/ready",status="200"' in shown.text
    assert 'route="none",status="404"' in shown.text
    assert "/no/such/path" not in shown.text


async def test_request_ids_and_the_access_log(api, new_scope, caplog):
    caplog.set_level(logging.INFO, "duoscope.api.observability")
    mine = str(new_id())
    response = await api.client.get("/health/live", headers={"x-request-id": mine})
    assert response.headers["x-request-id"] == mine
    response = await api.client.get("/health/live", headers={"x-request-id": "no\tgood"})
    assert response.headers["x-request-id"] != "no\tgood"
    scope = new_scope()
    await api.client.get("/api/v1/services?start=0", headers=(await api.headers(scope)))
    first, *_, last = [r for r in caplog.records if r.getMessage() == "request"]
    assert (first.method, first.path, first.status, first.request_id) == ("GET", "/health/live", 200, mine)
    assert (last.path, last.tenant_id) == ("/api/v1/services", scope.tenant_id)


async def test_openapi_document_and_page(api):
    document = (await api.client.get("/schema/openapi.json")).json()
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            assert operation["description"], path
            assert operation["tags"], path
    search = document["paths"]["/api/v1/logs/search"]["post"]
    assert set(search["responses"]) == {"200", "400", "401", "403", "429", "503"}
    assert document["components"]["schemas"]["LogSearch"]["properties"]["query"]["examples"]
    shown = await api.client.get("/schema")
    assert shown.headers["content-type"].startswith("text/html")
    for path in document["paths"]:
        assert path in shown.text
    assert not re.search(r"(?:src=|href=|url\(|@import)\W*https?:", shown.text), "the page loads nothing from elsewhere"


async def test_the_example_of_every_body_is_one_that_the_document_allows(api):
    document = (await api.client.get("/schema/openapi.json")).json()
    bodies = [
        (path, media["schema"])
        for path, operations in document["paths"].items()
        for operation in operations.values()
        for media in operation.get("requestBody", {}).get("content", {}).values()
    ]
    assert len(bodies) > 30
    for path, form in bodies:
        example = openapi_page._example(document, form, 0)
        errors = jsonschema_rs.validator_for(form | {"components": document["components"]}).iter_errors(example)
        assert not [error.message for error in errors], (path, example)
    told = {path: openapi_page._example(document, form, 0) for path, form in bodies}
    assert told["/api/v1/tenants/{tenant_id}/limits"]["items_per_second"] == 20_000
    assert "cursor" not in told["/api/v1/logs/search"]


async def test_a_pool_that_is_busy_is_no_server_that_is_away(api):
    async with AsyncExitStack() as transactions:
        for _ in range(POOL_CONNECTIONS_MAX):
            opened = api.services.metadata.open_platform(PlatformScope(reason="a test"), "test.busy")
            await transactions.enter_async_context(opened)
        ready = await api.client.get("/health/ready")
        assert (ready.status_code, ready.json()["parts"]["postgres"]) == (200, "ready")
