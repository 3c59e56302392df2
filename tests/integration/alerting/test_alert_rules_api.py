"""The API of rules and alerts: what is kept, what is refused and in which words, rights, limits, the audit log."""

import pytest

from duoscope.kernel.scope import PlatformScope

RULE = {
    "name": "Checkout fails",
    "query_config": {"kind": "promql", "expression": "sum(rate(errors_total[5m])) > 1"},
    "condition_config": {"kind": "any"},
    "severity": "critical",
    "policy_config": {"for_seconds": 300},
    "labels": {"team": "shop"},
}
RIGHTS = ("alert-rule:read", "alert-rule:write", "alert-rule:delete", "alert:read", "metric:read", "audit-log:read")


@pytest.fixture
async def call(api, new_scope):
    headers = await api.headers(new_scope(), *RIGHTS)

    async def calling(method, path, **how):
        answer = await api.client.request(method, f"/api/v1/{path}", headers=headers, **how)
        return answer.status_code, answer.json() if answer.content else None

    return calling


async def test_a_rule_is_made_changed_deleted_and_restored(call):
    status, made = await call("POST", "alert-rules", json=RULE)
    assert (status, made["version"], made["query_type"], made["is_enabled"]) == (201, 1, "promql", True)
    # Each policy is explicit on every rule.
    assert made["policy_config"] | {"for_seconds": 300, "no_data": "ok", "errors_max": 3} == made["policy_config"]
    path = f"alert-rules/{made['alert_rule_id']}"
    assert (await call("GET", path)) == (200, made)
    status, changed = await call("PATCH", path, json={"is_enabled": False, "version": 1})
    assert (status, changed["version"], changed["is_enabled"]) == (200, 2, False)
    status, problem = await call("PATCH", path, json={"is_enabled": True, "version": 1})
    assert (status, problem["code"]) == (409, "version-conflict")
    # The same again changes nothing.
    assert (await call("PATCH", path, json={"is_enabled": False}))[1]["version"] == 2
    assert (await call("DELETE", path))[0] == 204
    assert (await call("PATCH", path, json={"name": "x"}))[0] == 404
    assert (await call("GET", "alert-rules"))[1]["items"] == []
    assert len((await call("GET", "alert-rules?deleted=true"))[1]["items"]) == 1
    status, restored = await call("POST", f"{path}/restore")
    assert (status, restored["deleted_at"]) == (200, None)
    status, problem = await call("POST", "alert-rules", json=RULE)
    assert (status, problem["code"]) == (409, "alert-rule-exists")
    logs = (await call("GET", f"audit-logs?resource_id={made['alert_rule_id']}"))[1]["items"]
    assert [each["action"].partition(".")[2] for each in logs] == ["restored", "deleted", "changed", "created"]
    assert (logs[2]["before"]["is_enabled"], logs[2]["after"]["is_enabled"]) == (True, False)
    assert (await call("GET", "alerts")) == (200, {"items": [], "next_cursor": None})


METRIC = {"kind": "metric", "metric": "depth"}
ABOVE = {"kind": "threshold", "comparison": ">", "value": 90}
REFUSED = {
    "expression": ({"query_config": {"kind": "promql", "expression": "sum("}}, "`query_config`: `expression`: 1:4"),
    "kind": ({"query_config": {"kind": "sql", "query": "SELECT 1"}}, "query_config"),
    "any of a metric": ({"query_config": METRIC}, "`any` is for PromQL"),
    "no value": ({"condition_config": {"kind": "threshold", "comparison": ">"}}, "`>` takes a `value`"),
    "range": ({"condition_config": {"kind": "threshold", "comparison": "in", "low": 2, "high": 1}}, "`high`"),
    "recovery": ({"condition_config": ABOVE | {"recovery": 95}}, "the good side"),
    "window": (
        {"condition_config": ABOVE | {"window": {"seconds": 100, "step_seconds": 60}}},
        "a whole number of steps of 60 s",
    ),
    "divisor": (
        {"condition_config": ABOVE | {"kind": "ratio", "to": {"kind": "promql", "expression": ")"}}},
        "`condition_config.to`: `expression`",
    ),
    "m of n": ({"policy_config": {"breaches_min": 3, "of_last": 2}}, "`breaches_min` is at most `of_last`"),
    "no data": ({"policy_config": {"no_data_for_seconds": 5}}, "goes with `no_data` own alone"),
    "any without data": ({"policy_config": {"no_data": "alert"}}, "nothing to see is no breach"),
    "interval": ({"interval_seconds": 5}, "`interval_seconds` is at least 10"),
    "severity": ({"severity": "loud"}, "'loud' is none of"),
    "label": ({"labels": {"a b": "c"}}, "labels"),
    "label's template": ({"labels": {"pod": "{{ $labels.pod"}}, "`labels`: pod: line 1"),
    "label with the value": ({"labels": {"pod": "{{ $value }}"}}, "cannot have the value in it"),
    "label with a query": ({"labels": {"pod": '{{ query "up" }}'}}, "labels have no queries"),
    "annotation": ({"annotations": {"summary": "{{ $labels.a | nothing }}"}}, "`annotations`: summary: line 1"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
async def test_refusals_say_what_and_where(call, case):
    changes, words = case
    status, problem = await call("POST", "alert-rules", json=RULE | changes)
    assert status == 400, problem
    assert words in str(problem)


async def test_nobody_watches_what_they_may_not_read(api, new_scope):
    scope = new_scope()
    headers = await api.headers(scope, "alert-rule:write", "alert-rule:read")
    answer = await api.client.post("/api/v1/alert-rules", json=RULE, headers=headers)
    assert (answer.status_code, "metric:read" in answer.text) == (403, True)
    of_logs = {"kind": "log", "query": "severity>=error"}
    asks = {
        "query_config": of_logs,
        "condition_config": ABOVE,
        "annotations": {"a": '{{ query "up" | first | value }}'},
    }
    readers = await api.headers(scope, "alert-rule:write", "log:read")
    answer = await api.client.post("/api/v1/alert-rules", json=RULE | asks, headers=readers)
    assert (answer.status_code, "metric:read" in answer.text) == (403, True)
    ratio = ABOVE | {"kind": "ratio", "to": of_logs}
    headers = await api.headers(scope, "alert-rule:write", "metric:read")
    answer = await api.client.post("/api/v1/alert-rules", json=RULE | {"condition_config": ratio}, headers=headers)
    assert (answer.status_code, "log:read" in answer.text) == (403, True)


async def test_a_tenant_has_a_limited_number_of_rules(api, new_scope):
    scope = new_scope()
    headers = await api.headers(scope, *RIGHTS)
    async with api.services.metadata.open_platform(PlatformScope(reason="a test"), "test.limit") as tx:
        limits = {"limits": {"alert_rules": 1}}
        await tx.execute("UPDATE tenants SET settings = settings || $2 WHERE tenant_id = $1", scope.tenant_id, limits)
    answers = [
        await api.client.post("/api/v1/alert-rules", json=RULE | {"name": name}, headers=headers) for name in "ab"
    ]
    assert [each.status_code for each in answers] == [201, 409]
    assert answers[1].json()["code"] == "alert-rule-limit-reached"
