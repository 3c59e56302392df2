"""How telemetry looks in a terminal. It is hostile text: nothing of it may move the cursor or change the title."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import rich_click as click

NS_PER_S: Final = 1_000_000_000
_BARS: Final = "▁▂▃▄▅▆▇█"
_SEVERITIES: Final = ((21, "FATAL", "bright_red"), (17, "ERROR", "red"), (13, "WARN", "yellow"), (9, "INFO", "green"))
_DEBUG: Final = 5
_ORPHAN, _MOVED, _CRITICAL = 1, 2, 4


def plain(value: object) -> str:
    """A value as one line, with what is not visible written as an escape."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def counted(count: int, one: str) -> str:
    """A number and what it counts, such as "1 span" or "2 spans"."""
    return f"{count} {one}" if count == 1 else f"{count} {one}s"


def clock(time: str) -> str:
    """A time of the API, RFC 3339 in UTC, to the millisecond."""
    return f"{time[:10]} {time[11:23]}" if "." in time else f"{time[:10]} {time[11:19]}.000"


def duration(ns: float | None) -> str:
    """A duration in the unit that reads best, of three digits."""
    if ns is None:
        return "-"
    for unit, size in (("h", 3600 * NS_PER_S), ("min", 60 * NS_PER_S), ("s", NS_PER_S), ("ms", 10**6), ("µs", 10**3)):
        if ns >= size:
            return f"{number(ns / size)} {unit}"
    return f"{ns:.0f} ns"


def number(value: float) -> str:
    """A number of at least three digits, without zeros that say nothing."""
    if not math.isfinite(value):
        return {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN")
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    if digits > 6 or abs(value) >= 1e15:  # noqa: PLR2004 - where plain figures stop being readable
        return f"{value:.3g}"
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def severity(level: int, text: str) -> str:
    """The word of a severity, coloured."""
    for least, word, colour in _SEVERITIES:
        if level >= least:
            return click.style(f"{word:<5}", fg=colour)
    word = plain(text)[:5].upper() or ("DEBUG" if level >= _DEBUG else "TRACE" if level else "")
    return click.style(f"{word:<5}", dim=True)


def record(item: Mapping[str, Any]) -> str:
    """A log record on one line: time, severity, service, body, attributes."""
    attributes = " ".join(f"{plain(name)}={plain(value)}" for name, value in item["attributes"].items())
    parts = [
        click.style(clock(item["timestamp"]), dim=True),
        severity(item["severity_number"], item["severity_text"]),
        click.style(plain(item["service_name"]), fg="cyan"),
        plain(item["body"]) if item["body"] is not None else plain(item["event_name"]),
    ]
    return " ".join(parts) + (f"  {click.style(attributes, dim=True)}" if attributes else "")


def waterfall(trace: Mapping[str, Any], width: int) -> list[str]:
    """A trace as lines: its tree, bars over its time, durations, and what is wrong with a span."""
    spans = trace["spans"]
    total = max(trace["duration_ns"], 1)
    names = [f"{plain(trace['services'][spans['service'][n]])} {plain(trace['names'][spans['name'][n]])}"
             for n in range(len(spans["name"]))]  # fmt: skip
    labels = [f"{'  ' * min(depth, 20)}{name}" for depth, name in zip(spans["depth"], names, strict=True)]
    label_width = min(max(map(len, labels), default=0), max(20, width * 45 // 100))
    bar_width = max(10, width - label_width - 24)
    lines: list[str] = []
    for n, label in enumerate(labels):
        flags, failed = spans["flags"][n], trace["statuses"][spans["status"][n]] == "error"
        left = round(spans["offset_ns"][n] / total * bar_width)
        left = min(max(left, 0), bar_width - 1)
        length = min(max(1, round(spans["duration_ns"][n] / total * bar_width)), bar_width - left)
        colour = "red" if failed else "yellow" if flags & _CRITICAL else "blue"
        bar = " " * left + click.style("━" * length, fg=colour) + " " * (bar_width - left - length)
        shown = label if len(label) <= label_width else label[: label_width - 1] + "…"
        notes = [click.style("error", fg="red")] if failed else []
        notes += ["parent missing"] if flags & _ORPHAN else []
        notes += ["clock corrected"] if flags & _MOVED else []
        lines.append(f"{shown:<{label_width}} {bar} {duration(spans['duration_ns'][n]):>8}  {' '.join(notes)}".rstrip())
    return lines


def sparkline(values: Sequence[float | None], width: int) -> str:
    """Values over time as bars of eight heights; a gap where there is none."""
    step = max(1, math.ceil(len(values) / width))
    groups = [[v for v in values[at : at + step] if v is not None and math.isfinite(v)]
              for at in range(0, len(values), step)]  # fmt: skip
    means = [sum(group) / len(group) if group else None for group in groups]
    known = [mean for mean in means if mean is not None]
    if not known:
        return " " * len(means)
    least, span = min(known), max(known) - min(known)
    return "".join(
        " " if mean is None else _BARS[min(7, int((mean - least) / span * 8))] if span > 0 else _BARS[0]
        for mean in means
    )


def labels(of: Mapping[str, str]) -> str:
    """The labels of a series as PromQL writes them."""
    rest = ", ".join(f"{plain(name)}={json.dumps(plain(value), ensure_ascii=False)}"
                     for name, value in sorted(of.items()) if name != "__name__")  # fmt: skip
    return plain(of.get("__name__", "")) + ("{" + rest + "}" if rest or "__name__" not in of else "")


def seconds_ago(seconds: float) -> str:
    """A time that long before now, in the form that the API takes."""
    return datetime.fromtimestamp(datetime.now(UTC).timestamp() - seconds, UTC).isoformat().replace("+00:00", "Z")
