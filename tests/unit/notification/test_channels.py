"""Every channel stays within the other side's limits, with whole markup and the count of the rest."""

import html
import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from urllib.parse import parse_qs

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from duoscope.kernel.errors import DuoscopeError
from duoscope.notification import channels
from duoscope.notification.channels import CHANNELS, email, words
from duoscope.notification.messages import Alert, Message

_NOW = datetime(2026, 3, 1, 12, 5, tzinfo=UTC)
_SECRETS = ["whsec_" + "Zm9v" * 8, "whsec_" + "YmFy" * 8]
_AWKWARD = (
    "*bold* _it_ ~s~ `c` ||sp|| <b>&amp;</b> \"'\\ [x](http://evil) # h\n"
    "- i <!channel> <@U1> @everyone \x00\x1b[1m\u202e 👩‍👩‍👧‍👦"
)

CONFIGS = {
    "email": {"to": ["a@example.com"]},
    "slack": {"url": "https://hooks.slack.com/services/T/B/x"},
    "pagerduty": {"routing_key": "R0"},
    "webhook": {
        "url": "https://example.com/hook?token=t",
        "secrets": _SECRETS,
        "headers": {"authorization": "Bearer b"},
    },
    "msteams": {"url": "https://prod.example.com/workflows/x"},
    "discord": {"url": "https://discord.com/api/webhooks/1/x"},
    "telegram": {"bot_token": "123:abc", "chat_id": "-100"},
    "sms": {
        "account_sid": "AC" + "0" * 32,
        "auth_token": "t",
        "from_number": "+4915112345678",
        "to_number": "+15550000",
    },
    "opsgenie": {"api_key": "k"},
    "google_chat": {"url": "https://chat.googleapis.com/v1/spaces/A/messages?key=k&token=t"},
    "alertmanager": {"url": "https://am.example.com/"},
}  # fmt: skip


def _alert(number=0, *, status="firing", **changes):
    labels = {"alertname": "HighErrors", "severity": "critical", "instance": f"host-{number}:9100"}
    return Alert(
        status=status,
        labels=labels | changes.pop("labels", {}),
        annotations={
            "summary": f"Errors on host-{number}",
            "description": "Above 5%",
            "runbook_url": "https://r.example/a?b=1&c=<2>",
        }
        | changes.pop("annotations", {}),
        starts_at=_NOW - timedelta(minutes=5),
        ends_at=_NOW if status == "resolved" else None,
        fingerprint=f"{number:016x}",
        value=0.07,
        url="https://duoscope.example/alerts/1",
    )


def _message(*alerts, **changes):
    return Message(
        **{
            "key": "msg_1", "incident": "rule-1/abc", "alerts": alerts, "group_labels": {"alertname": "HighErrors"},
            "receiver": "on call", "external_url": "https://duoscope.example",
        } | changes
    )  # fmt: skip


_MESSAGES = {
    "one": _message(_alert()),
    "resolved": _message(_alert(status="resolved")),
    "500": _message(*map(_alert, range(490)), *(_alert(n, status="resolved") for n in range(490, 500)), omitted=7),
    "500 x 20 kB": _message(*(_alert(n, annotations={"description": "long " * 4000}) for n in range(500))),
    "20 kB": _message(_alert(annotations={"description": "x" * 20_000, "summary": "y" * 20_000})),
    "20 kB emoji": _message(_alert(annotations={"description": "👩‍👩‍👧" * 4000, "summary": "👩‍👩‍👧" * 4000})),
    "20 kB markup": _message(_alert(annotations={"description": '<*\\"&\n' * 4000, "summary": "<&*" * 7000})),
    "awkward": _message(
        *(_alert(n, annotations=dict.fromkeys(("description", "summary"), _AWKWARD),
                 labels=dict.fromkeys(("x", "alertname"), _AWKWARD)) for n in range(3)),
        group_labels={"alertname": _AWKWARD}, incident=_AWKWARD.replace("\x00", ""),
    ),
    "long names": _message(
        _alert(labels={f"l{n}": "v" * 3000 for n in range(100)}
               | {"alertname": "N" * 20_000, "instance": "i" * 20_000}),
        incident="k" * 2000, group_labels={"instance": "i" * 20_000},
    ),
}  # fmt: skip


class _Balanced(HTMLParser):
    """Fails for tags that are not closed in order, and collects the text."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.text = ""

    def handle_starttag(self, tag, attrs):  # noqa: ARG002 - the parser's own signature
        assert tag in {"b", "a", "br"}
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def _of_html(text):
    parser = _Balanced()
    parser.feed(text)
    parser.close()
    assert not parser.open
    assert not re.search(r"&(?!(amp|lt|gt|quot|#x27);)", text)
    return parser.text


def _of_markdown(text):
    """The text without escapes. Bold is the only markup that we make, beside links."""
    bare = re.sub(r"\\.", "", re.sub(r"\[(Alert|Runbook|Dashboard)\]\(<[^>]*>\)", "", text), flags=re.DOTALL)
    assert not re.search(r"\\$|[`_~<>\[\]@#]", bare), bare
    assert bare.count("**") % 2 == 0
    assert "*" not in bare.replace("**", "")
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _slack(body):
    (attachment,) = body["attachments"]
    header, section = attachment["blocks"]
    assert len(header["text"]["text"]) <= 150
    assert 0 < len(section["text"]["text"]) <= 3000
    bare = re.sub(r"<https?://[^<>|\n]*\|(Alert|Runbook|Dashboard)>", "", section["text"]["text"])
    assert "<" not in bare
    assert ">" not in bare
    assert not re.search(r"&(?!(amp|lt|gt);)", bare)
    return header["text"]["text"] + html.unescape(bare)


def _pagerduty(body):
    assert len(json.dumps(body).encode()) <= 512_000
    assert len(body["dedup_key"]) <= 255
    if body["event_action"] == "resolve":
        return "RESOLVED HighErrors"
    assert len(body["payload"]["summary"]) <= 1024
    assert len(body["payload"]["source"]) <= 1024
    assert body["payload"]["severity"] == "critical"
    return body["payload"]["summary"] + json.dumps(body["payload"]["custom_details"])


def _webhook(body):
    assert len(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()) <= 20_000
    left = body["data"]["omitted"]
    return body["data"]["title"] + (words.rest(left) if left else "")


def _msteams(body):
    assert len(json.dumps(body, ensure_ascii=False).encode()) <= 28_000
    title, text = body["attachments"][0]["content"]["body"]
    return re.sub(r"\\(.)", r"\1", title["text"]) + re.sub(r"\\(.)", r"\1", text["text"])


def _discord(body):
    (embed,) = body["embeds"]
    assert words.utf16(embed["title"]) <= 256
    assert 0 < words.utf16(embed["description"]) <= 4096
    assert body["allowed_mentions"] == {"parse": []}
    return embed["title"] + _of_markdown(embed["description"])


def _telegram(body):
    assert words.utf16(body["text"]) <= 4096
    return _of_html(body["text"])


def _opsgenie(body):
    if body == {"source": "duoscope"}:
        return "RESOLVED HighErrors"
    assert len(body["message"]) <= 130
    assert len(body["description"]) <= 15_000
    assert len(body["alias"]) <= 512
    assert sum(len(name) + len(value) for name, value in body["details"].items()) <= 8000
    return body["message"] + body["description"]


def _google_chat(body):
    assert len(json.dumps(body, ensure_ascii=False).encode()) <= 32_000
    card = body["cardsV2"][0]["card"]
    return card["header"]["title"] + _of_html(card["sections"][0]["widgets"][0]["textParagraph"]["text"])


def _sms(body):
    (text,) = parse_qs(body.decode())["Body"]
    assert len(text) <= 480
    return text


_LOOKS = {
    "slack": _slack, "pagerduty": _pagerduty, "webhook": _webhook, "msteams": _msteams, "discord": _discord,
    "telegram": _telegram, "opsgenie": _opsgenie, "google_chat": _google_chat,
}  # fmt: skip


def _shown(channel_type, message):
    """What a person reads, after the limits and the markup were looked at."""
    config = channels.checked(channel_type, CONFIGS[channel_type])
    if channel_type == "email":
        made = email.mail(message)
        assert len(made.subject) <= 200
        assert made.subject == words.one_line(made.subject)
        return made.subject + made.text
    request = CHANNELS[channel_type].request(message, config, _NOW)
    assert request.url.startswith("https://")
    assert all("\n" not in value for value in request.headers.values())
    if channel_type == "sms":
        return _sms(request.body)
    return _LOOKS[channel_type](json.loads(request.body))


@pytest.mark.parametrize("name", _MESSAGES)
@pytest.mark.parametrize("channel_type", sorted(set(CHANNELS) - {"alertmanager"}))
def test_channels_stay_within_limits(channel_type, name):
    shown = _shown(channel_type, _MESSAGES[name])
    assert not re.search(r"[\x00\x1b\u202e]", shown)
    if name not in ("awkward", "long names"):
        assert "HighErrors" in shown
        assert ("RESOLVED" in shown) == (name == "resolved") or (channel_type, name) == ("pagerduty", "500")
    if name == "500":
        told = int(re.search(r"and (\d+) more alerts", shown)[1])
        assert told < 507
        if channel_type == "sms":
            assert shown.count("Errors on host-") + told == 507
        elif channel_type not in ("pagerduty", "webhook"):
            assert shown.count("FIRING HighErrors instance") + told == 507
    if name == "500 x 20 kB" and channel_type not in ("pagerduty", "webhook", "sms"):
        assert shown.count("FIRING HighErrors instance") + int(re.search(r"and (\d+) more", shown)[1]) == 500


def test_what_is_cut_is_cut_between_characters():
    assert words.cut("abc", 3) == "abc"
    assert words.cut("abcd", 3) == "ab…"
    assert words.cut("a👩‍👩b", 4) == "a👩…"
    assert words.utf16(words.cut("👩" * 50, 21, words.utf16)) <= 21
    assert words.cut("abc", 0) == ""


def test_incidents_are_triggered_and_resolved_under_one_key():
    for message, action in ((_MESSAGES["one"], "trigger"), (_MESSAGES["resolved"], "resolve")):
        config = channels.checked("pagerduty", CONFIGS["pagerduty"])
        body = json.loads(CHANNELS["pagerduty"].request(message, config, _NOW).body)
        assert (body["event_action"], body["dedup_key"], body["routing_key"]) == (action, "rule-1/abc", "R0")
    config = channels.checked("opsgenie", CONFIGS["opsgenie"])
    created = CHANNELS["opsgenie"].request(_MESSAGES["one"], config, _NOW)
    closed = CHANNELS["opsgenie"].request(_MESSAGES["resolved"], config, _NOW)
    assert json.loads(created.body)["alias"] == "rule-1/abc"
    assert closed.url == "https://api.opsgenie.com/v2/alerts/rule-1%2Fabc/close?identifierType=alias"
    assert created.headers["authorization"] == closed.headers["authorization"] == "GenieKey k"


def test_webhooks_are_signed_by_both_secrets():
    config = channels.checked("webhook", CONFIGS["webhook"])
    now = datetime.now(UTC)
    request = CHANNELS["webhook"].request(_MESSAGES["one"], config, now)
    for secret in _SECRETS:
        body = Webhook(secret).verify(request.body, dict(request.headers))
        assert (body["type"], body["data"]["alerts"][0]["labels"]["instance"]) == ("alert.firing", "host-0:9100")
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "cXV4" * 8).verify(request.body, dict(request.headers))
    again = CHANNELS["webhook"].request(_MESSAGES["one"], config, now + timedelta(seconds=9))
    assert again.headers["webhook-id"] == request.headers["webhook-id"] == "msg_1"
    assert again.headers["webhook-timestamp"] != request.headers["webhook-timestamp"]
    assert request.headers["authorization"] == "Bearer b"


def test_webhooks_speak_alertmanagers_version_4():
    config = channels.checked("webhook", CONFIGS["webhook"] | {"format": "alertmanager"})
    body = json.loads(CHANNELS["webhook"].request(_MESSAGES["500 x 20 kB"], config, _NOW).body)
    assert set(body) == {
        "version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels", "commonLabels",
        "commonAnnotations", "externalURL", "alerts",
    }  # fmt: skip
    assert len(body["alerts"]) + body["truncatedAlerts"] == 500
    assert body["commonLabels"] == {"alertname": "HighErrors", "severity": "critical"}
    first = body["alerts"][0]
    assert (first["startsAt"], first["endsAt"]) == ("2026-03-01T12:00:00Z", "0001-01-01T00:00:00Z")
    assert set(first) == {"status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"}


@pytest.mark.parametrize("name", _MESSAGES)
def test_alertmanagers_get_every_alert(name):
    config = channels.checked("alertmanager", CONFIGS["alertmanager"])
    request = CHANNELS["alertmanager"].request(_MESSAGES[name], config, _NOW)
    assert request.url == "https://am.example.com/api/v2/alerts"
    assert len(request.body) <= 4_000_000
    posted = json.loads(request.body)
    assert len(posted) == len(_MESSAGES[name].alerts)
    for alert, sent in zip(_MESSAGES[name].alerts, posted, strict=True):
        is_over = datetime.fromisoformat(sent["endsAt"]) <= _NOW
        assert is_over == (alert.status == "resolved")


_REFUSED = {
    "slack": [{}, {"url": "ftp://x"}, {"url": "https://user:pw@hooks.slack.com/"}, {"url": "https://x", "more": 1}],
    "pagerduty": [{"routing_key": ""}, {"routing_key": "a b"}],
    "webhook": [
        CONFIGS["webhook"] | {"secrets": ["whsec_short"]},
        CONFIGS["webhook"] | {"secrets": ["Zm9v" * 8]},
        CONFIGS["webhook"] | {"secrets": [*_SECRETS, _SECRETS[0]]},
        CONFIGS["webhook"] | {"headers": {"a": "b\r\nc: d"}},
        CONFIGS["webhook"] | {"headers": {"Webhook-Id": "1"}},
        CONFIGS["webhook"] | {"format": "xml"},
    ],
    "telegram": [CONFIGS["telegram"] | {"bot_token": "../x"}, CONFIGS["telegram"] | {"chat_id": "x y"}],
    "sms": [CONFIGS["sms"] | {"to_number": "0151"}, CONFIGS["sms"] | {"account_sid": "AC/../x"}],
    "email": [{"to": []}, {"to": ["a b@example.com"]}, {"to": ["a@example.com\nBcc: b@example.com"]}],
}


@pytest.mark.parametrize("channel_type", _REFUSED)
def test_wrong_configurations_are_refused_without_their_secrets(channel_type):
    for members in _REFUSED[channel_type]:
        with pytest.raises(DuoscopeError) as refused:
            channels.checked(channel_type, members)
        assert "pw" not in refused.value.message
        assert "short" not in refused.value.message


@pytest.mark.parametrize("channel_type", CHANNELS)
def test_secrets_are_not_shown(channel_type):
    config = channels.checked(channel_type, CONFIGS[channel_type])
    shown = channels.without_secrets(config)
    assert set(shown) == {name for name in CONFIGS[channel_type] if name not in config.SECRETS}
    assert config.target()
    for name in config.SECRETS & set(CONFIGS[channel_type]):
        assert str(CONFIGS[channel_type][name]) not in config.target()
