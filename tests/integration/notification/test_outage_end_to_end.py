"""The demo's outage over OTLP: a rule is pending, fires, is resolved; web, mail and chat are told once of each."""

import time
from datetime import UTC, datetime

import pytest

from support.hooks import Hooks
from support.smtp import SmtpServer

WAIT_S = 90
RULE = {
    "name": "Checkouts fail",
    "severity": "critical",
    "query_config": {"kind": "trace", "query": "service:checkout status:error"},
    "condition_config": {"kind": "threshold", "comparison": ">", "value": 15,
                         "window": {"seconds": 20, "judged": "sum"}},
    "policy_config": {"for_seconds": 10, "delay_seconds": 5},
    "interval_seconds": 10,
    "annotations": {"summary": "{{ $value }} checkouts failed"},
}  # fmt: skip


@pytest.fixture
def hooks():
    made = Hooks()
    yield made
    made.stop()


@pytest.fixture
def mail():
    made = SmtpServer()
    yield made
    made.stop()


def _until(holds):
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.5)


def test_an_outage_is_told_once_and_its_end_once(start_up, hooks, mail):
    environment = {"DUOSCOPE_OUTBOUND_NETWORKS": "127.0.0.0/8", "DUOSCOPE_SMTP_URL": mail.url}
    with start_up(**environment) as up, up.api() as client:

        def make(path, body, status=201):
            answer = client.post(path, json=body)
            assert answer.status_code == status, answer.text
            return answer.json()

        began = datetime.now(UTC)
        group = make("/notification-groups", {"name": "On call", "group_by": ["alertname"]})["group_id"]
        for kind, config in (
            ("webhook", {"url": f"{hooks.url}/hook"}),
            ("slack", {"url": f"{hooks.url}/slack"}),
            ("email", {"to": ["ops@example.com"]}),
        ):
            make("/notification-channels", {"notification_group_id": group, "name": kind, "channel_type": kind,
                                            "config": config})  # fmt: skip
        rule = make("/alert-rules", RULE)
        path = f"/alert-rules/{rule['alert_rule_id']}"
        told = client.patch(f"{path}/notification-groups", json={"notification_group_ids": [group]})
        assert told.status_code == 200, told.text
        up.run("demo", "--scenario", "checkout-outage", "--duration", "75", "--rate", "25")
        _until(lambda: len(hooks.at("/hook")) == 2 and len(hooks.at("/slack")) == 2 and len(mail.mails) == 2)
        firing, resolved = (each.body["data"] for each in hooks.at("/hook"))
        assert (firing["status"], resolved["status"]) == ("firing", "resolved")
        assert (len(firing["alerts"]), firing["incident"]) == (1, resolved["incident"])
        assert "checkouts failed" in firing["alerts"][0]["annotations"]["summary"]
        assert ["FIRING" in str(each.body) for each in hooks.at("/slack")] == [True, False]
        assert ["FIRING" in str(each["subject"]) for each in mail.mails] == [True, False]
        preview = make("/alert-rules/preview", {"alert_rule_id": rule["alert_rule_id"],
                                                "start": began.isoformat()}, 200)  # fmt: skip
        spans = [(each["start"][:19], (each["end"] or "")[:19]) for each in preview["firings"]]
        assert spans == [(firing["alerts"][0]["starts_at"][:19], resolved["alerts"][0]["ends_at"][:19])]
