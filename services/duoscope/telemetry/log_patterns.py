"""Patterns of log records: lines that differ in numbers, ids, addresses and quoted texts alone; what is new in them.

ClickHouse folds the lines, by one regular expression, and groups them. Of the few templates that are left, those are
put together here that differ in a word or two, if there are at least three of them: what varies so often is a value
(as in Drain, He et al. 2017, on templates in place of lines).
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import numpy as np
from msgspec import Meta, Struct

from duoscope.kernel.errors import invalid
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import items, values
from duoscope.telemetry.items import Hint, Time
from duoscope.telemetry.language import Condition, Signal, compile_query
from duoscope.telemetry.times import TimeRange

PATTERNS_DEFAULT: Final = 50
PATTERNS_MAX: Final = 500
LINES_MAX: Final = 100_000
"""Lines that are folded, the newest of a range."""
LINE_CHARS_MAX: Final = 500
SERVICES_MAX: Final = 10
STEPS: Final = 24
"""Of the form of a pattern over time."""
_TEMPLATES_MAX: Final = 5_000
_ALIKE: Final = 0.6
"""The part of its words that templates of one pattern share."""
_VALUES_MIN: Final = 3
"""Templates that make a pattern of what varies between them."""
WILDCARD: Final = "<*>"


class Pattern(Struct, frozen=True):
    """Lines of one form."""

    pattern: Annotated[
        str,
        Meta(
            description=f"What they have in common, with {WILDCARD} for what varies, of their first {LINE_CHARS_MAX} "
            "characters, with single spaces.",
            examples=["GET /api/orders/<*> took <*>ms"],
        ),
    ]
    count: Annotated[int, Meta(description="In the range.")]
    compared_count: Annotated[int | None, Meta(description="In the range it is compared with; null without one.")]
    change: Annotated[
        Literal["new", "gone"] | None,
        Meta(
            description="Whether only one of the two ranges has such lines; null also where the other one was not read "
            "to its end."
        ),
    ]
    sample: Annotated[str, Meta(description="The newest of the lines, or the beginning of it.")]
    first_seen: Annotated[Time, Meta(description="Of the lines that were read, also of the other range.")]
    last_seen: Time
    services: Annotated[list[str], Meta(description=f"Up to {SERVICES_MAX} of those that sent it.")]
    counts: Annotated[
        list[int], Meta(description=f"In each of {STEPS} equal steps of the range, of the lines that were read.")
    ]


class Read(Struct, frozen=True):
    """How much of a range was looked at."""

    matched: Annotated[int, Meta(description="Lines of the range that match.")]
    read: Annotated[int, Meta(description=f"Those that were read: the newest, up to {LINES_MAX}.")]


class Patterns(Struct, frozen=True):
    """The patterns of the lines that match, most frequent first; compared, what is new or gone comes first."""

    items: list[Pattern]
    pattern_count: Annotated[int, Meta(description="How many there are in all.")]
    lines: Read
    compared_lines: Annotated[Read | None, Meta(description="Of the range it is compared with.")]
    hint: Hint = None


# What varies, from the most special on: ids, times, addresses, then hexadecimal and other numbers.
_VALUES: Final = (
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
    r"\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d(?::\\d\\d(?:[.,]\\d+)?)?(?:Z|[+-]\\d\\d:?\\d\\d)?",
    r"\\d{1,3}(?:\\.\\d{1,3}){3}(?::\\d+)?",
    r"\\[?[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){3,7}\\]?(?::\\d+)?",
    r"0x[0-9a-fA-F]+",
    r"\\b[0-9a-fA-F]{8,}\\b",
    r"\\b[0-9]*(?:[a-zA-Z]+[0-9]+){2,}[a-zA-Z]*\\b",
    r"[+-]?\\d+(?:[.,:]\\d+)*(?:[eE][+-]?\\d+)?",
)
_QUOTED: Final = (r'"[^"]*"', r"\\B\\x27[^\\x27]*\\x27\\B")
_ONE: Final = WILDCARD.replace("*", r"\\*")
# In JSON everything is quoted, what does not vary, too.
_FOLDED: Final = (
    "replaceRegexpAll(if(startsWith(line, char(123)) OR startsWith(line, '['), "
    f"replaceRegexpAll(line, '{'|'.join(_VALUES)}', '{WILDCARD}'), "
    f"replaceRegexpAll(line, '{'|'.join((*_QUOTED, *_VALUES))}', '{WILDCARD}')), "
    f"'{_ONE}(?:[,;/ ]*{_ONE})+', '{WILDCARD}')"
)
_LINE: Final = (
    "trimBoth(replaceRegexpAll(replaceRegexpAll(substringUTF8(body, 1, {chars:UInt64}), "
    r"'\\x1B\\[[0-?]*[ -/]*[@-~]', ''), '\\s+', ' '))"
)


async def patterns(
    reader: TelemetryReader,
    times: TimeRange,
    query: str = "",
    *,
    limit: int = PATTERNS_DEFAULT,
    compared: TimeRange | None = None,
) -> Patterns:
    """Find the patterns of the newest lines of a range that match, and what is new or gone against another range.

    Raises:
        DuoscopeError: INVALID for the query or the limit; UNAVAILABLE.
    """
    items.checked_limit(limit, PATTERNS_MAX)
    if compared and compared.start_ns < times.end_ns and times.start_ns < compared.end_ns:
        raise invalid("`compare_start` to `compare_end` must not overlap the range from `start` to `end`.")
    condition = compile_query(query, Signal.LOGS)
    ranges = [times] if compared is None else [times, compared]
    lines = [await _matched(reader, part, condition) for part in ranges]
    hint = None
    if not lines[0].matched:
        wider = compile_query(query, Signal.LOGS, or_text=True)
        if wider != condition:
            condition = wider
            lines = [await _matched(reader, part, condition) for part in ranges]
        hint = items.hint(query, Signal.LOGS, times, found=bool(lines[0].matched))
    rows = await reader.query(*_statement(ranges, condition), name="logs.patterns")
    found = await items.decoded(rows, lambda templates: _patterns(templates, lines))
    return Patterns(found[:limit], len(found), lines[0], lines[1] if compared else None, hint)


async def _matched(reader: TelemetryReader, times: TimeRange, condition: Condition | None) -> Read:
    where = TimeRange.CONDITION + (f" AND {condition.sql}" if condition else "")
    parameters = times.parameters | (condition.parameters if condition else {})
    (row,) = await reader.query(f"SELECT count() AS n FROM @logs WHERE {where}", parameters, name="logs.patterns_count")
    return Read(row["n"], min(row["n"], LINES_MAX))


def _statement(ranges: Sequence[TimeRange], condition: Condition | None) -> tuple[str, dict[str, object]]:
    parameters: dict[str, object] = dict(condition.parameters) if condition else {}
    parameters |= {"chars": LINE_CHARS_MAX, "lines": LINES_MAX, "templates": _TEMPLATES_MAX}
    parameters["step_ns"] = max(1, -(-(ranges[0].end_ns - ranges[0].start_ns) // STEPS))
    parts: list[str] = []
    for number, times in enumerate(ranges):
        own = TimeRange.CONDITION.replace("start_ns", f"start_ns_{number}").replace("end_ns", f"end_ns_{number}")
        parameters |= {f"start_ns_{number}": times.start_ns, f"end_ns_{number}": times.end_ns}
        where = own + (f" AND {condition.sql}" if condition else "")
        newest = (
            f"SELECT {_LINE} AS line, timestamp, service_name, {number} AS place FROM @logs WHERE {where} "
            "ORDER BY toStartOfFiveMinutes(timestamp) DESC, timestamp DESC LIMIT {lines:UInt64}"
        )
        parts.append(f"SELECT * FROM ({newest})")
    sql = (
        f"SELECT {_FOLDED} AS template, countIf(place = 0) AS own, "
        "countIf(place = 1) AS compared, argMax(line, timestamp) AS sample, "
        "toUnixTimestamp64Nano(min(timestamp)) AS first_ns, "
        f"toUnixTimestamp64Nano(max(timestamp)) AS last_ns, groupUniqArray({SERVICES_MAX})(toString(service_name)) AS "
        "services, sumMapIf([intDiv(toUnixTimestamp64Nano(timestamp) - {start_ns_0:Int64}, {step_ns:Int64})], "
        "[toUInt64(1)], place = 0) AS steps "
        f"FROM ({' UNION ALL '.join(parts)}) GROUP BY template ORDER BY own + compared DESC, template "
        "LIMIT {templates:UInt64}"
    )
    return sql, parameters


def _patterns(rows: list[dict[str, Any]], lines: Sequence[Read]) -> list[Pattern]:
    # The first word says what a line is about.
    by_form: dict[tuple[int, str], list[tuple[list[str], dict[str, Any]]]] = {}
    for row in rows:
        words = row["template"].split(" ")
        by_form.setdefault((len(words), words[0]), []).append((words, row))
    found = [_pattern(*one, lines) for alike in by_form.values() for one in _merged(alike)]
    return sorted(found, key=lambda p: (p.change is None, -p.count - (p.compared_count or 0), p.pattern))


def _merged(templates: list[tuple[list[str], dict[str, Any]]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Put templates together that share most words, of one first word and one number of words, the most frequent first.

    Returns patterns with their templates.
    """
    length = len(templates[0][0])
    numbers: dict[str, int] = {}
    coded = np.array([[numbers.setdefault(word, len(numbers)) for word in words] for words, _ in templates])
    leaders = np.empty((len(templates), length), dtype=coded.dtype)
    members: list[list[int]] = []
    for at, words in enumerate(coded):
        shared = (leaders[: len(members)] == words).mean(axis=1) if members else np.empty(0)
        best = int(shared.argmax()) if members else -1
        if best >= 0 and shared[best] >= _ALIKE:
            members[best].append(at)
        else:
            leaders[len(members)] = words
            members.append([at])
    found: list[tuple[str, list[dict[str, Any]]]] = []
    for cluster in members:
        if len(cluster) < _VALUES_MIN:
            found += [(templates[at][1]["template"], [templates[at][1]]) for at in cluster]
            continue
        varies = (coded[cluster] != coded[cluster[0]]).any(axis=0)
        words = (WILDCARD if other else word for word, other in zip(templates[cluster[0]][0], varies, strict=True))
        found.append((" ".join(words), [templates[at][1] for at in cluster]))
    return found


def _pattern(pattern: str, rows: list[dict[str, Any]], lines: Sequence[Read]) -> Pattern:
    newest = max(rows, key=lambda row: row["last_ns"])
    own, other = (sum(row[name] for row in rows) for name in ("own", "compared"))
    change: Literal["new", "gone"] | None = None
    if len(lines) > 1 and not (own and other):
        # Of a range that was not read to its end nobody knows what else is in it.
        unread = lines[1 if own else 0]
        change = ("new" if own else "gone") if unread.read == unread.matched else None
    return Pattern(
        pattern,
        own,
        other if len(lines) > 1 else None,
        change,
        newest["sample"],
        values.rfc3339(min(row["first_ns"] for row in rows)),
        values.rfc3339(newest["last_ns"]),
        sorted({service for row in rows for service in row["services"]})[:SERVICES_MAX],
        _counts(rows),
    )


def _counts(rows: list[dict[str, Any]]) -> list[int]:
    counts = [0] * STEPS
    for row in rows:
        for step, count in zip(*row["steps"], strict=True):
            counts[step] += count
    return counts
