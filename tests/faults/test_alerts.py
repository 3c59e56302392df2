"""Two workers evaluate and tell while they are killed and stopped, the stores go away, and the other sides misbehave.

Whatever happens: each transition is told to each channel once by its key, a repetition bears the same key, beginning
and end alternate, and history has each transition once.
"""

import asyncio
import os
import random
import signal
import sys
from collections import defaultdict

import asyncpg
import harness
import httpx
import pytest

from support.hooks import Answer, Hooks
from support.up import free_ports

ROUNDS = int(os.environ.get("ALERT_FAULT_ROUNDS", "4"))
RULES = 6
LEASE_S = 4
SETTLE_S = 240
# Leases and pauses are as ever but shorter, so that a round takes seconds.
WORKER = f"""
import sys
from duoscope.alerting import evaluator
from duoscope.net import outbound
from duoscope.notification import sending
evaluator.LEASE_S, evaluator.EVALUATION_MAX_S = {LEASE_S}, 2.0
sending.LEASE_S, sending.RETRY_FIRST_S, sending.RETRY_MAX_S = {LEASE_S}, 0.5, 2.0
outbound.TIMEOUT_S = 1.0
from duoscope.cli import run
sys.exit(run())
"""


class Moods:
    """How the other side answers: mostly well, else with 429, 500, late or never."""

    def __init__(self):
        self.rng, self.is_well = random.Random(7), False

    def __call__(self, _path):
        if self.is_well or self.rng.random() < 0.6:
            return Answer()
        return self.rng.choice((
            Answer(429, headers=(("retry-after", "1"),)), Answer(500), Answer(200, after_s=0.7),
            Answer(200, after_s=1.5), Answer(0),
        ))  # fmt: skip


@pytest.fixture
def hooks():
    made = Hooks(Moods())
    yield made
    made.stop()


@pytest.fixture
def workers(deployment, tmp_path):
    env = deployment.env | {"DUOSCOPE_OUTBOUND_NETWORKS": "127.0.0.0/8"}
    made = [
        harness.Process(
            [
                sys.executable,
                "-c",
                WORKER,
                "worker",
                "--data-dir",
                str(tmp_path / f"w{port}"),
                "--metrics-port",
                str(port),
            ],
            tmp_path / f"w{port}.log",
            env,
        )
        for port in free_ports(2)
    ]
    for each in made:
        each.start()
    yield made
    for each in made:
        if each.process.poll() is None:
            each.signal(signal.SIGCONT)
            each.kill()


def _rules(client, hooks):
    """Rules that fire and rest by turns of some seconds, over what ClickHouse answers; a webhook and a pager."""
    group = client.post("/notification-groups", json={"name": "All"}).json()["group_id"]
    for kind, config in (
        ("webhook", {"url": f"{hooks.url}/hook"}),
        ("pagerduty", {"routing_key": "R", "api_url": hooks.url}),
    ):
        body = {"notification_group_id": group, "name": kind, "channel_type": kind, "config": config}
        made = client.post("/notification-channels", json=body)
        assert made.status_code == 201, made.text
    ids = []
    for number in range(RULES):
        period = 6 + 2 * number
        question = {
            "kind": "formula", "of": {"none": {"kind": "log", "query": "service:nobody"}},
            "formula": f"none * 0 + (time() % {period} >= bool {period // 2})",
        }  # fmt: skip
        rule = {
            "name": f"Turns{number}", "severity": "critical", "query_config": question, "interval_seconds": 1,
            "condition_config": {"kind": "threshold", "comparison": ">", "value": 0},
        }  # fmt: skip
        made = client.post("/alert-rules", json=rule)
        assert made.status_code == 201, made.text
        ids.append(made.json()["alert_rule_id"])
        client.patch(f"/alert-rules/{ids[-1]}/notification-groups", json={"notification_group_ids": [group]})
    return ids


@pytest.fixture
async def owner(postgres):
    """Asks PostgreSQL, also after it was away."""

    async def ask(sql, *arguments):
        connection = await asyncpg.connect(postgres.admin_dsn)
        try:
            return await connection.fetch(sql, *arguments)
        finally:
            await connection.close()

    return ask


async def _kill(worker, **_):
    worker.kill()
    await asyncio.sleep(random.uniform(0, 1))
    worker.start()


async def _stop_beyond_the_lease(worker, **_):
    worker.signal(signal.SIGSTOP)
    await asyncio.sleep(LEASE_S + random.uniform(0.5, 2))
    worker.signal(signal.SIGCONT)


async def _postgres_away(worker, postgres, away_s, **_):
    del worker
    await postgres.stop()
    await asyncio.sleep(away_s)
    await postgres.start()


async def _clickhouse_away(worker, deployment, away_s, **_):
    del worker
    deployment.front.kill()
    await asyncio.sleep(away_s)
    deployment.start_front()


FAULTS = (_kill, _stop_beyond_the_lease, _kill, _postgres_away, _kill, _stop_beyond_the_lease, _kill, _clickhouse_away)


async def test_each_transition_is_told_once_by_its_key(deployment, postgres, workers, tenant, hooks, owner, say):  # noqa: PLR0917
    await owner("UPDATE tenants SET settings = settings || '{\"limits\": {\"alert_interval_seconds\": 1, "
                "\"alert_messages_per_hour\": 1000000}}'")  # fmt: skip
    with tenant.api() as client:
        rules = _rules(client, hooks)
        for number in range(ROUNDS):
            fault, worker = FAULTS[number % len(FAULTS)], workers[number % 2]
            say(f"alerts: round {number + 1} of {ROUNDS}: {fault.__name__.strip('_')}")
            await asyncio.sleep(random.uniform(0.5, 4))
            away_s = 60 if len(FAULTS) < ROUNDS and number in (3, 7) else 3  # a minute once, in `make faults-alerts`
            await fault(worker, postgres=postgres, deployment=deployment, away_s=away_s)
        hooks.decide.is_well = True
        await asyncio.sleep(5)
        for rule in rules:
            answer = client.patch(f"/alert-rules/{rule}", json={"is_enabled": False})
            assert answer.status_code == 200, answer.text
    async with asyncio.timeout(SETTLE_S):
        while await owner(  # noqa: ASYNC110 - what other processes do
            "SELECT 1 FROM alert_transitions WHERE notified_at IS NULL OR shipped_at IS NULL UNION ALL "
            "SELECT 1 FROM notifications WHERE settled_at IS NULL LIMIT 1"
        ):
            await asyncio.sleep(0.5)
    happened = await owner(
        "SELECT instance_id, number, CASE kind WHEN 'resolved' THEN kind ELSE 'firing' END AS kind "
        "FROM alert_transitions WHERE kind IN ('firing', 'no_data', 'error', 'resolved') ORDER BY instance_id, number"
    )
    assert len(happened) > ROUNDS
    assert {row["state"] for row in await owner("SELECT state FROM notifications")} == {"sent"}
    _alternate(happened)
    webhook, pager = _told_by_webhook(hooks.at("/hook")), _told_by_pager(hooks.at("/v2/enqueue"))
    assert webhook == pager == _counted((row["instance_id"].hex, row["kind"]) for row in happened)
    await _history_has_each_once(deployment, owner)
    repeated = len(hooks.at("/hook")) - len({each.headers["webhook-id"] for each in hooks.at("/hook")})
    say(
        f"alerts: {len(happened)} transitions in {ROUNDS} rounds; {repeated} of {len(hooks.at('/hook'))} requests again"
    )


def _alternate(happened):
    kinds = defaultdict(list)
    for row in happened:
        kinds[row["instance_id"]].append(row["kind"])
    for each in kinds.values():
        assert each == ["firing", "resolved"] * (len(each) // 2)


def _counted(events):
    counts = defaultdict(int)
    for event in events:
        counts[event] += 1
    return dict(counts)


def _told_by_webhook(requests):
    """How often each instance was told each status, by key; every request of a key is the same, in the right order."""
    first = {}
    for each in requests:
        key, data = each.headers["webhook-id"], each.body["data"]
        assert first.setdefault(key, data)["alerts"] == data["alerts"], key
    taken = {each.headers["webhook-id"] for each in requests if each.status == 200}
    assert taken == set(first)
    last, events = {}, []
    for data in first.values():
        for alert in data["alerts"]:
            assert last.get(alert["fingerprint"], "resolved") != alert["status"]
            last[alert["fingerprint"]] = alert["status"]
            events.append((alert["fingerprint"], alert["status"]))
    return _counted(events)


def _told_by_pager(requests):
    """The same by `dedup_key`, whose triggers and resolves take turns but for repetitions."""
    last, events = {}, []
    for each in requests:
        key, action = each.body["dedup_key"], each.body["event_action"]
        if last.get(key, "resolve") != action:
            last[key] = action
            events.append((key.partition("/")[2].replace("-", ""), {"trigger": "firing"}.get(action, "resolved")))
    return _counted(events)


async def _history_has_each_once(deployment, owner):
    (row,) = await owner("SELECT count(*) AS count FROM alert_transitions")
    url = f"http://127.0.0.1:{deployment.front_port}/"
    asked = b"SELECT count(), uniqExact(transition_id) FROM duoscope.alert_history FORMAT TSV"
    answer = await asyncio.to_thread(httpx.post, url, content=asked, timeout=60)
    assert answer.text.split() == [str(row["count"])] * 2
