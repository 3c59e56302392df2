"""Schemathesis sends what the OpenAPI document allows, and what it does not, as a tenant's admin next to a neighbour.

All its checks hold, no answer is a 5xx, and nothing of the neighbour is in any byte. `make test` gives it some seconds
and the phases that are the same each time; `make schemathesis` lets it make things up for DUOSCOPE_TEST_SCHEMATHESIS_S
seconds more, and to follow what one answer leads to.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx

from duoscope.kernel.clock import now_unix_nano

HERE = Path(__file__).parent
MARK = "foreignzq"
SIGNALS = ("logs", "traces", "metrics")
LONG_S = int(os.environ.pop("DUOSCOPE_TEST_SCHEMATHESIS_S", "0"))
SHORT_MAX_S = 600


def _person(up, tenant: str) -> tuple[dict, dict]:
    """A tenant of the same workspace, and its admin."""
    made = up.admin("create-tenant", tenant)
    of = ("--tenant", made["tenant_id"], "--role", "admin", "--generate")
    return made, up.admin("create-user", f"{tenant}@example.com", *of)


def _filled(up, name: str, user: dict) -> list[str]:
    """Everything there can be by this name, and telemetry; answers what marks it."""
    marks = []
    with up.api(user["email"], user["password"]) as api:
        key = api.post(
            "/api-keys", json={"name": name, "permissions": [f"{signal}:write" for signal in SIGNALS]}
        ).json()
        role = api.post("/roles", json={"name": name, "permissions": ["log:read"]}).json()
        marks += [item["session_id"] for item in api.get("/sessions").json()["items"]]
    for signal in SIGNALS:
        _send(up, key["api_key"], name, signal)
    return [*marks, key["api_key_id"], key["key_id"], role["role_id"]]


def _send(up, api_key: str, name: str, signal: str) -> None:
    """A span, a record or a point by this name."""
    now = str(now_unix_nano())
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": name}}]}
    bodies = {
        "logs": ("resourceLogs", "scopeLogs", {"logRecords": [{"timeUnixNano": now, "body": {"stringValue": name}}]}),
        "traces": ("resourceSpans", "scopeSpans", {"spans": [{
            "traceId": name.encode().hex().ljust(32, "0")[:32], "spanId": "01" * 8, "name": name,
            "startTimeUnixNano": now, "endTimeUnixNano": now,
        }]}),
        "metrics": ("resourceMetrics", "scopeMetrics", {
            "metrics": [{"name": name, "gauge": {"dataPoints": [{"timeUnixNano": now, "asInt": "1"}]}}],
        }),
    }  # fmt: skip
    of_resources, of_scopes, items = bodies[signal]
    body = {of_resources: [{"resource": resource, of_scopes: [items]}]}
    answer = httpx.post(f"{up.otlp_url}/v1/{signal}", json=body, headers={"x-api-key": api_key}, timeout=30)
    assert answer.status_code == 200, answer.text


def test_everything_the_document_allows(start_up, tmp_path, monkeypatch):
    # So that the admin's own logins come from elsewhere than the made-up ones, which are slowed.
    monkeypatch.setenv("DUOSCOPE_TRUSTED_PROXIES", "127.0.0.1")
    with start_up() as up:
        foreign, neighbour = _person(up, MARK)
        marks = [MARK, foreign["tenant_id"], neighbour["user_id"], *_filled(up, MARK, neighbour)]
        (tmp_path / "markers").write_text("\n".join(marks))
        _, user = _person(up, "fuzzed")
        _filled(up, "fuzzed", user)
        account = {"url": up.api_url} | {name: user[name] for name in ("email", "password", "user_id")}
        environment = os.environ | {
            "FUZZED_ACCOUNT": json.dumps(account),
            "FUZZED_MARKERS": str(tmp_path / "markers"),
            "SCHEMATHESIS_HOOKS": "hooks",
            "PYTHONPATH": str(HERE),
        }
        how = (
            ["--max-time", str(LONG_S)]
            if LONG_S
            # The tail of the logs does not end by itself.
            else ["--phases", "examples,coverage", "--seed", "1", "--exclude-path", "/api/v1/logs/tail"]
        )
        done = subprocess.run(
            [Path(sys.executable).with_name("schemathesis"), "--no-color", "run", f"{up.api_url}/schema/openapi.json",
             "--checks", "all", "--workers", "1", "--generation-database", "none", *how],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
            timeout=LONG_S + 900 if LONG_S else SHORT_MAX_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-60_000:] + done.stderr[-2000:]
        sys.stdout.write(done.stdout)
        assert "status=5" not in up.log.read_text()
        up.stop()
