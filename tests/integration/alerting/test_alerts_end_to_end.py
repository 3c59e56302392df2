"""Rules in a whole duoscope: they go on by the clock, over a kill, from where they were."""

import time

WAIT_S = 60
RULE = {
    "name": "Always",
    "severity": "critical",
    "query_config": {"kind": "promql", "expression": "vector(1)"},
    "condition_config": {"kind": "threshold", "comparison": ">", "value": 0},
    "interval_seconds": 10,
}


def test_rules_go_on_from_where_they_were_over_a_kill(start_up):
    """One rule fires, one is pending, one keeps firing after its breach is over."""
    with start_up() as up:
        with up.api() as client:
            over = f"vector(time() < bool {time.time() + 12:.0f})"
            rules = {
                "firing": RULE,
                "pending": RULE | {"policy_config": {"for_seconds": 3600}},
                "keeping": RULE
                | {
                    "query_config": {"kind": "promql", "expression": over},
                    "policy_config": {"keep_firing_seconds": 3600, "delay_seconds": 0},
                },
            }
            made = {
                name: client.post("/alert-rules", json=rule | {"name": name}).json()["alert_rule_id"]
                for name, rule in rules.items()
            }
            _until(lambda: len(_alerts(client)) == 3 and _alerts(client)["keeping"]["is_recovering"], WAIT_S)
            before = _alerts(client)
            assert {name: alert["status"] for name, alert in before.items()} == {
                "firing": "firing", "pending": "pending", "keeping": "firing",
            }  # fmt: skip
        up.kill()
        up.start()
        with up.api() as client:
            evaluated = _evaluated(client, made)
            _until(lambda: all(now != then for now, then in zip(_evaluated(client, made), evaluated, strict=True)), 120)
            assert _alerts(client) == before
            assert client.patch(f"/alert-rules/{made['firing']}", json={"is_enabled": False}).status_code == 200
            assert _alerts(client).keys() == {"pending", "keeping"}


def _alerts(client):
    """By name, without the page that shows the question: it ends now."""
    found = client.get("/alerts").json()["items"]
    for each in found:
        del each["evidence"]["url"]
    return {each["alert_rule_name"]: each for each in found}


def _evaluated(client, made):
    return [client.get(f"/alert-rules/{rule}").json()["last_evaluated_at"] for rule in made.values()]


def _until(holds, seconds):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.5)
