"""Alertmanager's own client, and Prometheus as a sender of alerts: the packages of the system, as they are."""

import json
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from support.hooks import Hooks
from support.up import free_ports

WAIT_S = 60
AMTOOL, PROMETHEUS = shutil.which("amtool"), shutil.which("prometheus")
pytestmark = pytest.mark.skipif(
    AMTOOL is None or PROMETHEUS is None, reason="needs amtool and prometheus of the system's packages"
)


def _until(holds, seconds=WAIT_S):
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end
        time.sleep(0.3)
    return found


@pytest.fixture(scope="module")
def place(start_up, tmp_path_factory):
    """A tenant with a webhook that is told of alerts that others post, and a key for them."""
    hooks, folder = Hooks(), tmp_path_factory.mktemp("clients")
    with start_up(DUOSCOPE_OUTBOUND_NETWORKS="127.0.0.0/8") as up, up.api() as client:
        group = client.post("/notification-groups", json={"name": "Others", "external_matchers": []}).json()
        channel = {"notification_group_id": group["group_id"], "name": "hook", "channel_type": "webhook",
                   "config": {"url": f"{hooks.url}/hook"}}  # fmt: skip
        assert client.post("/notification-channels", json=channel).status_code == 201
        key = client.post("/api-keys", json={"name": "am", "permissions": ["alerts:read", "alerts:write"]}).json()
        http = folder / "http.yml"
        http.write_text(json.dumps({"authorization": {"type": "Bearer", "credentials": key["api_key"]}}))
        url = f"{up.api_url}/api/v1/alertmanager"

        def amtool(*arguments, code=0):
            done = subprocess.run(
                [AMTOOL, f"--alertmanager.url={url}", f"--http.config.file={http}", *arguments],
                capture_output=True, text=True, check=False, timeout=WAIT_S,
            )  # fmt: skip
            assert done.returncode == code, done.stderr + done.stdout
            return done.stdout

        def told(name):
            return [
                alert["status"]
                for each in hooks.at("/hook")
                for alert in each.body["data"]["alerts"]
                if alert["labels"]["alertname"] == name
            ]

        yield SimpleNamespace(up=up, client=client, amtool=amtool, told=told, folder=folder, key=key["api_key"])
    hooks.stop()


def test_amtool_reads_posts_and_silences(place):
    amtool = place.amtool
    assert "disabled" in amtool("cluster", "show")
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=20)
    amtool("silence", "add", "alertname=Disk", "instance=~b.*", "--comment=moving", "--author=ada", "--duration=1h")
    for instance in ("a", "b1"):
        amtool("alert", "add", "Disk", f"instance={instance}", f"--end={ends:%Y-%m-%dT%H:%M:%SZ}",
               "--annotation=summary=full", "--generator-url=http://example.com/x")  # fmt: skip
    _until(lambda: place.told("Disk") == ["firing"])
    shown = json.loads(amtool("-o", "json", "alert", "query", "--active", "--silenced", "alertname=Disk"))
    by_instance = {each["labels"]["instance"]: each for each in shown}
    assert (by_instance["a"]["status"]["state"], by_instance["b1"]["status"]["state"]) == ("active", "suppressed")
    assert by_instance["a"]["receivers"] == [{"name": "Others"}]
    assert "full" in amtool("-o", "extended", "alert", "query", 'instance=~"a|x"')
    (silence,) = json.loads(amtool("-o", "json", "silence", "query", "alertname=Disk"))
    assert by_instance["b1"]["status"]["silencedBy"] == [silence["id"]]
    amtool("silence", "update", "--comment=longer", "--duration=2h", silence["id"])
    (updated,) = json.loads(amtool("-o", "json", "silence", "query"))
    assert (updated["comment"], updated["id"]) == ("longer", silence["id"])
    amtool("silence", "expire", silence["id"])
    assert json.loads(amtool("-o", "json", "silence", "query")) == []
    assert len(json.loads(amtool("-o", "json", "silence", "query", "--expired", "--within=1h"))) == 1
    # What the silence held back still holds, and is told; both end when they said they would.
    _until(lambda: sorted(place.told("Disk")) == ["firing", "firing", "resolved", "resolved"])
    assert datetime.now(UTC) >= ends
    assert json.loads(amtool("-o", "json", "alert", "query", "alertname=Disk")) == []


def test_prometheus_sends_alerts_that_end(place):
    rules = place.folder / "rules.yml"
    rule = {"alert": "Watchdog", "expr": "vector(1)", "labels": {"severity": "critical"}}

    def write(**changes):
        rules.write_text(json.dumps({"groups": [{"name": "a", "interval": "1s", "rules": [rule | changes]}]}))

    write()
    config = place.folder / "prometheus.yml"
    config.write_text(json.dumps({
        "global": {"evaluation_interval": "1s"}, "rule_files": [str(rules)],
        "alerting": {"alertmanagers": [{
            "path_prefix": "/api/v1/alertmanager", "api_version": "v2",
            "basic_auth": {"username": "any", "password": place.key},
            "static_configs": [{"targets": [place.up.api_url.removeprefix("http://")]}],
        }]},
    }))  # fmt: skip
    (port,) = free_ports(1)
    with (place.folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={place.folder / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{port}", "--rules.alert.resend-delay=2s"],
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            _until(lambda: place.told("Watchdog") == ["firing"])
            write(expr="vector(1) > 2")
            process.send_signal(1)
            _until(lambda: place.told("Watchdog") == ["firing", "resolved"])
        finally:
            process.kill()
            process.wait()


def test_grafana_asks_for_status_groups_and_silences(place):
    place.amtool("alert", "add", "Latency", "service=cart")
    headers = {"authorization": f"Bearer {place.key}"}
    root = f"{place.up.api_url}/api/v1/alertmanager/api/v2"

    def get(path, status=200, **query):
        answer = place.client.get(f"{root}/{path}", headers=headers, params=query)
        assert answer.status_code == status, answer.text
        return answer.json()

    assert get("status")["versionInfo"]["version"]
    assert get("receivers") == [{"name": "Others"}]
    (group,) = get("alerts/groups", filter='alertname="Latency"')
    assert (group["labels"], group["receiver"]) == ({"alertname": "Latency"}, {"name": "Others"})
    assert get("alerts", filter='alertname="Latency"', active="false") == []
    assert get("alerts", receiver="Nobody") == []
    for wrong in ({"filter": "="}, {"filter": 'a=~"("'}, {"receiver": "("}):
        assert get("alerts", 400, **wrong)["code"]
    # A key for alerts reads no telemetry and changes nothing else.
    assert place.client.get("/logs/tail", headers=headers).status_code == 403
    assert place.client.get("/silences", headers=headers).json()["code"] == "api-key-not-accepted"
