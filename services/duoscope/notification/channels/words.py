"""The words for people that channels share, and how they are cut to fit: each channel adds its own markup."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import structs

from duoscope.notification.messages import Alert, Message

LABEL_CHARS_MAX: Final = 200
LABELS_MAX: Final = 20
NAME_CHARS_MAX: Final = 100
LINE_CHARS_MAX: Final = 2000
_SHARES_MAX: Final = 8
"""Alerts among which the space is divided: further ones get what is left."""
_JOINERS: Final = "\u200d\ufe0e\ufe0f"
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and turns of direction, with which a text can look like another."""
_CUTS: Final = ((10_000, 500), (1000, 500), (200, 500), (200, 100), (200, 30), (100, 10), (100, 3), (50, 1), (0, 1))
"""What is tried until a body fits: characters a text, and alerts."""

Measure = Callable[[str], int]


def utf16(text: str) -> int:
    """The length as UTF-16 counts it, which some services do."""
    return len(text) + sum(each > "\uffff" for each in text)


def clean(text: str) -> str:
    """Remove what no service takes or shows as it is: control characters, turns of direction, halves of characters."""
    made = text.replace("\r\n", "\n").encode("utf-8", "replace").decode()
    return _CONTROLS.sub("", made)


def one_line(text: str) -> str:
    """The text without line breaks, or its beginning: no line has more than LINE_CHARS_MAX."""
    return " ".join(clean(text[:LINE_CHARS_MAX]).split())


def cut(text: str, most: int, measure: Measure = len) -> str:
    """Cut a text without markup so that it measures at most `most`; an ellipsis shows it."""
    if measure(text) <= most:
        return text
    if most < 1:
        return ""
    kept = text[: most - 1]
    while kept and measure(kept) > most - 1:
        kept = kept[: len(kept) - max(1, (measure(kept) - most + 1) // 2)]
    while kept and (kept[-1] in _JOINERS or unicodedata.combining(kept[-1])):
        kept = kept[:-1]  # what it joined to is gone
    return kept.rstrip() + "…"


def title(message: Message, most: int = 200) -> str:
    """Say in one line: the status, how many alerts, the rule, and what the group has in common."""
    count = len(message.alerts) + message.omitted
    names = {alert.name for alert in message.alerts}
    what = names.pop() if len(names) == 1 else "alerts"
    if count == 1:
        summary = message.alerts[0].annotations.get("summary", "")
        where = f": {summary}" if summary else _joined(message.alerts[0])
    else:
        where = "".join(f" {name}={value}" for name, value in message.group_labels.items() if name != "alertname")
    number = f":{len(message.firing) + message.omitted if message.firing else count}" if count > 1 else ""
    return cut(one_line(f"[{message.status.upper()}{number}] {what}{where}"), most)


def _joined(alert: Alert) -> str:
    return "".join(f" {name}={value}" for name, value in alert.labels.items() if name not in ("alertname", "severity"))


def rest(count: int) -> str:
    """A sentence for the alerts that did not fit."""
    return f"… and {count} more alert{'s' * (count != 1)}"


def texts(alert: Alert, most: int) -> str:
    """Join what its annotations say, cut to `most` characters."""
    said = [
        clean(alert.annotations.get(name, "")[: most + 1]).strip()
        for name in ("summary", "late", "description", "message")
    ]
    return cut("\n".join(dict.fromkeys(each for each in said if each)), most)


def facts(alert: Alert) -> list[tuple[str, str]]:
    """Name its severity, value, times and labels, each with a value: both on one line, and not long."""
    made = [("Severity", alert.severity)]
    if alert.value is not None:
        made.append(("Value", f"{alert.value:.6g}"))
    made.append(("Since", f"{alert.starts_at:%Y-%m-%d %H:%M:%S %Z}".strip()))
    if alert.status == "resolved" and alert.ends_at is not None:
        made.append(("Until", f"{alert.ends_at:%Y-%m-%d %H:%M:%S %Z}".strip()))
    labels = [(name, value) for name, value in alert.labels.items() if name not in ("alertname", "severity")]
    made += labels[:LABELS_MAX]
    if len(labels) > LABELS_MAX:
        made.append(("…", f"{len(labels) - LABELS_MAX} more labels"))
    return [(cut(one_line(name), NAME_CHARS_MAX), cut(one_line(value), LABEL_CHARS_MAX)) for name, value in made]


def links(alert: Alert) -> list[tuple[str, str]]:
    """Names and addresses of the pages that help."""
    made = [("Alert", alert.url), ("Runbook", alert.annotations.get("runbook_url", ""))]
    made.append(("Dashboard", alert.annotations.get("dashboard_url", "")))
    return [(name, url) for name, url in made if url.startswith(("https://", "http://")) and url == one_line(url)]


def heading(alert: Alert) -> str:
    """One short line that tells an alert from others."""
    return cut(one_line(f"{alert.status.upper()} {alert.name}{_joined(alert)}"), NAME_CHARS_MAX)


def listed(
    message: Message,
    most: int,
    render: Callable[[Alert, int], str],
    *,
    measure: Measure = len,
    separator: str = "\n\n",
) -> str:
    """The alerts of a message one after another, as many as fit, and the count of the rest.

    Args:
        message: what is told.
        most: the space for all of it.
        render: an alert with the service's markup, whose texts are cut to so many characters; with 0 it must be short.
        measure: counts as the service does.
        separator: between two alerts.
    """
    alerts = (*message.firing, *message.resolved)
    share = most // min(len(alerts), _SHARES_MAX)
    between = measure(separator)
    for_rest = between + measure(rest(len(alerts) + message.omitted))
    made: list[str] = []
    used = 0
    for number, alert in enumerate(alerts):
        is_last = number == len(alerts) - 1 and not message.omitted
        room = most - used - (0 if is_last else for_rest) - (between if made else 0)
        tried = (render(alert, chars) for chars in (share, share // 2, share // 4, 100, 0))
        text = next((each for each in tried if measure(each) <= room), None)
        if text is None:
            break
        used += measure(text) + (between if made else 0)
        made.append(text)
    left = len(alerts) - len(made) + message.omitted
    return separator.join([*made, rest(left)] if left else made)


def fitted(message: Message, bytes_max: int, make: Callable[[Message], bytes]) -> bytes:
    """The body that `make` writes of a message; texts, then alerts, are cut until it has at most `bytes_max`."""
    body = make(message)
    for chars, alerts_max in _CUTS:
        if len(body) <= bytes_max:
            break
        body = make(cut_down(message, chars, alerts_max))
    return body


def cut_down(message: Message, chars: int, alerts_max: int) -> Message:
    """A message with at most so many alerts, and so many characters in each annotation and label."""
    kept: Sequence[Alert] = (*message.firing, *message.resolved)[:alerts_max]
    labels_max = max(chars, 50)

    def short(values: dict[str, str], most: int) -> dict[str, str]:
        return {cut(name, NAME_CHARS_MAX): cut(value, most) for name, value in [*values.items()][:LABELS_MAX]}

    return structs.replace(
        message,
        alerts=tuple(
            structs.replace(
                alert,
                annotations=short(alert.annotations, chars) if chars else {},
                labels=short(alert.labels, labels_max),
            )
            for alert in kept
        ),
        group_labels=short(message.group_labels, labels_max),
        omitted=message.omitted + len(message.alerts) - len(kept),
    )
