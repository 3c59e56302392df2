"""A preview as a picture: SVG with a lane for each alert, over time."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from xml.sax.saxutils import escape

from duoscope.alerting.preview import Firing, Preview
from duoscope.telemetry.promql.numerals import formatted

LANES_MAX: Final = 40
WIDTH: Final = 960
_LEFT: Final = 240
_LANE: Final = 22
_TOP: Final = 64
_LABEL_CHARS_MAX: Final = 36
_TICKS_S: Final = (60, 300, 900, 3600, 4 * 3600, 12 * 3600, 86_400, 2 * 86_400, 7 * 86_400)
_TICKS_MAX: Final = 10
_COLOURS: Final = {"fires": "#d0342c", "pending": "#e8a33d", "held": "#8a8f98"}


def svg(name: str, preview: Preview) -> str:
    """Draw a preview; times are UTC.

    Args:
        name: of the rule.
        preview: what it would have fired.
    """
    lanes = _lanes(preview.firings)
    height = _TOP + _LANE * max(1, min(len(lanes), LANES_MAX)) + 30
    title = f"{name}: {preview.firing_count} firings, {preview.noise_per_day:g} a day, {preview.flap_count} flaps"
    more = f"{len(lanes) - LANES_MAX} further alerts are not drawn" if len(lanes) > LANES_MAX else ""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#1c1f24">'
    )
    parts = [
        head,
        f"<title>{_text(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="22" font-size="15" font-weight="600">{_text(title)}</text>',
        f'<text x="12" y="42" fill="#5b616b">{_text(_range(preview))}</text>',
        *_ticks(preview, height - 26),
        *_drawn(preview, lanes),
        f'<text x="12" y="{height - 8}" fill="#5b616b">{_text(more or _legend(preview))}</text>',
        "</svg>",
    ]
    return "\n".join(parts)


def _lanes(firings: Sequence[Firing]) -> dict[str, list[Firing]]:
    lanes: dict[str, list[Firing]] = {}
    for each in firings:
        labels = ", ".join(f"{name}={value}" for name, value in sorted(each.labels.items()))
        lanes.setdefault(labels or ("all" if each.subject == "series" else each.subject), []).append(each)
    return lanes


def _drawn(preview: Preview, lanes: dict[str, list[Firing]]) -> Iterator[str]:
    if not lanes:
        yield f'<text x="{_LEFT}" y="{_TOP + 15}" fill="#5b616b">It would not have fired.</text>'
    for place, (label, firings) in enumerate(list(lanes.items())[:LANES_MAX]):
        y = _TOP + place * _LANE
        shown = label if len(label) <= _LABEL_CHARS_MAX else label[: _LABEL_CHARS_MAX - 1] + "…"
        yield f'<text x="12" y="{y + 15}"><title>{_text(label)}</title>{_text(shown)}</text>'
        for each in firings:
            if each.pending_at is not None and each.pending_at < each.start:
                yield _bar(preview, each.pending_at, each.start, y, _COLOURS["pending"], "pending")
            colour = _COLOURS["held" if each.held_by is not None and each.held_by.told_at is None else "fires"]
            peak = "" if each.peak is None else f", peak {formatted(each.peak)}"
            said = f"{_shown(each.start)} to {_shown(each.end) if each.end else 'now'}{peak}"
            yield _bar(preview, each.start, each.end or preview.end, y, colour, said)


def _bar(  # noqa: PLR0917 - where, when and what
    preview: Preview, start: datetime, end: datetime, y: int, colour: str, said: str
) -> str:
    left, right = _x(preview, start), _x(preview, end)
    return (
        f'<rect x="{left:.1f}" y="{y + 4}" width="{max(1.5, right - left):.1f}" height="{_LANE - 8}" rx="2" '
        f'fill="{colour}"><title>{_text(said)}</title></rect>'
    )


def _ticks(preview: Preview, bottom: int) -> Iterator[str]:
    span_s = (preview.end - preview.start).total_seconds()
    step_s = next((each for each in _TICKS_S if span_s / each <= _TICKS_MAX), _TICKS_S[-1])
    at = datetime.fromtimestamp(-(-preview.start.timestamp() // step_s) * step_s, UTC)
    while at < preview.end:
        x = _x(preview, at)
        shown = at.strftime("%d %b") if step_s >= _TICKS_S[-3] else at.strftime("%H:%M")
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 4}" y2="{bottom}" stroke="#e3e6ea"/>'
        yield f'<text x="{x + 3:.1f}" y="{_TOP - 8}" fill="#5b616b" font-size="10">{shown}</text>'
        at += timedelta(seconds=step_s)


def _x(preview: Preview, at: datetime) -> float:
    share = (at - preview.start) / (preview.end - preview.start)
    return _LEFT + (WIDTH - _LEFT - 12) * min(1.0, max(0.0, share))


def _range(preview: Preview) -> str:
    span = f"{_shown(preview.start)} to {_shown(preview.end)} UTC"
    return f"{span}, {preview.evaluations:,} evaluations" + "".join(f". {each}" for each in preview.problems)


def _legend(preview: Preview) -> str:
    held = sum(each.held_by is not None for each in preview.firings)
    return (
        f"Red: fires. Amber: pending. Grey: held back to its end ({held} met a silence, maintenance or another alert)."
    )


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%d %b %H:%M")


def _text(text: str) -> str:
    """Text of users within the document: no markup, and no character that XML cannot have."""
    return escape("".join(each if each.isprintable() or each == " " else "\ufffd" for each in text))
