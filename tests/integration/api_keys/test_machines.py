"""API keys that read telemetry over the API, and reach nothing else."""

import dataclasses
from uuid import UUID

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ids import new_id

READER = ("api-key:read", "api-key:write", "api-key:delete", "log:read", "trace:read", "metric:read", "log:write")


@pytest.fixture
def scope(new_scope):
    return new_scope()


@pytest.fixture
async def manager(api, scope):
    return await api.headers(scope, *READER)


async def _key(api, headers, *permissions: str, **more) -> dict:
    body = {"name": "dashboard", "permissions": list(permissions), **more}
    made = await api.client.post("/api/v1/api-keys", json=body, headers=headers)
    assert made.status_code == 201, made.text
    return made.json()


def _with(key: dict) -> list[dict[str, str]]:
    return [{"x-api-key": key["api_key"]}, {"authorization": f"Bearer {key['api_key']}"}]


async def _search(api, headers):
    return await api.client.post("/api/v1/logs/search", json={}, headers=headers)


async def test_a_key_reads_its_own_tenants_telemetry(api, scope, manager, deliver, otlp):
    sister = dataclasses.replace(scope, tenant_id=new_id())
    for place, body in ((scope, "mine"), (sister, "theirs")):
        await deliver(place, otlp.logs("shop", {"time_unix_nano": now_unix_nano(), "body": body}))
    key = await _key(api, manager, "logs:read")
    for headers in _with(key):
        found = await _search(api, headers)
        assert found.status_code == 200
        assert [item["body"] for item in found.json()["items"]] == ["mine"]
        for method, path, body in (
            ("POST", "/api/v1/traces/search", {}),
            ("GET", "/api/v1/services", None),
            ("GET", "/api/v1/metrics", None),
        ):
            refused = await api.client.request(method, path, json=body, headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (403, "permission-denied")


async def test_a_key_reaches_nothing_but_telemetry(api, manager):
    key = await _key(api, manager, "logs:read", "traces:read", "metrics:read", "logs:write")
    document = (await api.client.get("/schema/openapi.json")).json()
    reads = tuple(
        f"/api/v1/{read}"
        for read in (
            "logs/",
            "traces/",
            "service",
            "metrics",
            "operations",
            "attributes",
            "fields",
            "releases",
            "ingest/cardinality",
            "prom/",
            "alertmanager/",
        )
    )
    tried = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path.startswith(reads) or operation.get("security") == [{}]:
                continue
            for headers in _with(key):
                url = path
                for parameter in operation.get("parameters", []):
                    url = url.replace(f"{{{parameter['name']}}}", str(new_id()))
                answer = await api.client.request(method, url, json={}, headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (403, "api-key-not-accepted"), (method, path)
                tried += 1
    assert tried > 20


async def test_a_sending_key_reads_nothing(api, manager):
    key = await _key(api, manager, "logs:write")
    refused = await _search(api, {"x-api-key": key["api_key"]})
    assert (refused.status_code, refused.json()["code"]) == (403, "permission-denied")


async def test_wrong_revoked_and_displaced_keys_are_refused(api, manager):
    key = await _key(api, manager, "logs:read", allowed_addresses=["127.0.0.1"])
    assert (await _search(api, {"x-api-key": key["api_key"]})).status_code == 200
    elsewhere = await _key(api, manager, "logs:read", allowed_addresses=["192.0.2.1"])
    refused = await _search(api, {"x-api-key": elsewhere["api_key"]})
    assert (refused.status_code, refused.json()["code"]) == (403, "address-not-allowed")
    for wrong in ("x", key["api_key"][:-1], f"tfk-{'a' * 16}.x"):
        for headers in ({"x-api-key": wrong}, {"authorization": f"Bearer {wrong}"}):
            answer = await _search(api, headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
    path = f"/api/v1/api-keys/{key['api_key_id']}/revoke"
    assert (await api.client.post(path, json={"reason": "x"}, headers=manager)).status_code == 200
    # Heard by notice in a running process; here nobody listens.
    api.services.api_keys.drop(UUID(key["api_key_id"]))
    assert (await _search(api, {"x-api-key": key["api_key"]})).status_code == 401
