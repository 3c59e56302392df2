"""A rule in a whole duoscope: it fires by the clock, and goes on firing over a kill."""

import time

WAIT_S = 60
RULE = {
    "name": "Always",
    "severity": "critical",
    "query_config": {"kind": "promql", "expression": "vector(1)"},
    "condition_config": {"kind": "threshold", "comparison": ">", "value": 0},
    "interval_seconds": 10,
}


def test_a_rule_fires_and_goes_on_firing_over_a_kill(start_up):
    with start_up() as up:
        with up.api() as client:
            made = client.post("/alert-rules", json=RULE)
            assert made.status_code == 201, made.text
            rule = f"/alert-rules/{made.json()['alert_rule_id']}"
            fired = _alerts(client, 1)[0]
            assert (fired["status"], fired["value"]) == ("firing", 1)
        up.kill()
        up.start()
        with up.api() as client:
            evaluated = client.get(rule).json()["last_evaluated_at"]
            _until(lambda: client.get(rule).json()["last_evaluated_at"] != evaluated, 2 * WAIT_S)
            assert _alerts(client, 1) == [fired]
            assert client.patch(rule, json={"is_enabled": False}).status_code == 200
            assert _alerts(client, 0) == []


def _alerts(client, count):
    _until(lambda: len(client.get("/alerts").json()["items"]) == count, WAIT_S)
    return client.get("/alerts").json()["items"]


def _until(holds, seconds):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.5)
