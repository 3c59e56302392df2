"""A whole duoscope: keys made, rotated and revoked from outside while telemetry is sent, and the audit log after it."""

import time

import httpx


def _send(up, key: str) -> int:
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "x"}}]}]}]}
    return httpx.post(f"{up.otlp_url}/v1/logs", json=body, headers={"x-api-key": key}, timeout=30).status_code


def _until(up, key: str, status: int) -> float:
    began = time.monotonic()
    while _send(up, key) != status:
        assert time.monotonic() - began < 10
        time.sleep(0.05)
    return time.monotonic() - began


def test_the_life_of_a_key(running):
    up = running
    with up.api() as api:
        made = api.post("/api-keys", json={"name": "e2e", "permissions": ["logs:write", "logs:read"]})
        assert made.status_code == 201, made.text
        key = made.json()
        assert _send(up, key["api_key"]) == 200
        rotated = up.admin("rotate-api-key", key["key_id"])
        assert _send(up, key["api_key"]) == _send(up, rotated["api_key"]) == 200

        with httpx.Client(base_url=f"{up.api_url}/api/v1", headers={"x-api-key": rotated["api_key"]}) as machine:
            assert machine.post("/logs/search", json={}).status_code == 200
            assert machine.get("/api-keys").status_code == 403

        up.run("admin", "revoke-api-key", key["key_id"], "--reason", "the test is over")
        for presented in (key["api_key"], rotated["api_key"]):
            assert _until(up, presented, 401) < 2

        entries = api.get("/audit-logs", params={"resource_id": key["api_key_id"]}).json()["items"]
        assert [(entry["action"], entry["actor_kind"]) for entry in entries] == [
            ("api-key.revoked", "operator"), ("api-key.rotated", "operator"), ("api-key.created", "user"),
        ]  # fmt: skip
        assert entries[-1]["email"] == up.known["admin_email"]

        deadline = time.monotonic() + 20
        while not (shown := api.get(f"/api-keys/{key['api_key_id']}").json())["usage_count"]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert shown["last_used_at"] is not None
    assert (up.data_dir / "api-keys.cache").stat().st_mode & 0o777 == 0o600


def test_the_audit_log_is_verified_beside_a_running_duoscope(running):
    report = running.admin("verify-audit")
    assert report["clickhouse_compared"] is False
    assert report["findings"] == []
    assert sum(chain["entries"] for chain in report["chains"]) >= 1
