"""`duoscope logs`, `tail`, `traces`, `trace`, `metrics` and `services`: telemetry in a terminal."""

import json
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote

import rich_click as click

from duoscope.cli import output
from duoscope.cli.options import json_option, settings_options
from duoscope.cli.reading import text
from duoscope.cli.reading.connection import Connection
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid
from duoscope.kernel.settings import Settings

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_POINTS: Final = 60
_LIMIT_MAX: Final = 1000
_PLAIN_WIDTH: Final = 120
_SOON_S: Final = 10
"""A stream that ends sooner will not be better the next time."""


class _Span(click.ParamType[float]):
    """A length of time such as 90s, 15m, 1h30m or 7d, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        if not re.fullmatch(r"(\d+[smhdw])+", value):
            self.fail(f"{value!r} is no length of time, such as 90s, 15m, 1h30m or 7d", param, ctx)
        return float(sum(int(n) * _UNITS_S[unit] for n, unit in re.findall(r"(\d+)([smhdw])", value)))


_SINCE: Final = _Span()


def reading(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every command that reads: where, as whom, and in what form."""
    for option in (
        click.option("--url", metavar="URL", help="The API's address. [default: that of the login]"),
        click.option(
            "--api-key",
            metavar="KEY",
            envvar="DUOSCOPE_READ_API_KEY",
            show_envvar=True,
            help="API key to read with. Other users of this machine can see options, but not environment variables. "
            "[default: the login, or that of credentials.json]",
        ),
        settings_options("data_dir"),
        json_option,
    ):
        command = option(command)
    return command


_since: Final = click.option(
    "--since", type=_SINCE, default="1h", show_default=True, metavar="TIME", help="How far back, such as 15m or 7d."
)


def _limit(default: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        "--limit", type=click.IntRange(1, _LIMIT_MAX), default=default, show_default=True, help="How many at most."
    )


@click.command()
@click.argument("query", nargs=-1)
@_limit(100)
@_since
@reading
def logs(settings: Settings, query: Sequence[str], limit: int, **given: Any) -> None:
    """Show log records that match QUERY, the newest last.

    For example: duoscope logs 'severity>=error service:checkout'. The language is that of the API: docs/search.md.
    """
    found = asked(settings, given).post("logs/search", _search(query, limit, given["since"]))
    if given["as_json"]:
        output.emit_json(found["items"])
        return
    _page([text.record(item) for item in reversed(found["items"])], _nothing(found, "log records", given["since"]))


@click.command()
@click.argument("query", nargs=-1)
@reading
def tail(settings: Settings, query: Sequence[str], **given: Any) -> None:
    """Follow log records that match QUERY as they arrive, until Ctrl-C. With --json, a record a line."""
    api = asked(settings, given)
    while True:  # a stream ends after a quarter of an hour, and with its token
        began = time.monotonic()
        for kind, data in _events(api.lines("logs/tail", {"query": " ".join(query)})):
            if kind == "log":
                click.echo(json.dumps(data) if given["as_json"] else text.record(data))
            elif kind == "gap":
                click.secho("… more arrived than can be shown", dim=True, err=True)
            elif kind == "error" and time.monotonic() - began < _SOON_S:
                raise DuoscopeError(ErrorKind.UNAVAILABLE, str(data["code"]), text.plain(data["detail"]))
        if time.monotonic() - began < _SOON_S:
            time.sleep(1)


@click.command()
@click.argument("query", nargs=-1)
@_limit(20)
@_since
@reading
def traces(settings: Settings, query: Sequence[str], limit: int, **given: Any) -> None:
    """List traces with a span that matches QUERY, the newest first.

    For example: duoscope traces 'status:error duration>500ms'.
    """
    found = asked(settings, given).post("traces/search", _search(query, limit, given["since"]))
    if given["as_json"]:
        output.emit_json(found["items"])
        return
    rows = [
        (
            item["trace_id"],
            text.clock(item["start"]),
            text.duration(item["duration_ns"]),
            item["span_count"],
            item["error_count"] or "",
            f"{text.plain(item['root_service'])} {text.plain(item['root_name'])}",
        )
        for item in found["items"]
    ]
    columns = ("trace", "start (UTC)", "duration", "spans", "errors", "begins with")
    output.table(columns, rows, empty=_nothing(found, "traces", given["since"]))


@click.command()
@click.argument("trace_id")
@reading
def trace(settings: Settings, trace_id: str, **given: Any) -> None:
    """Show a trace as a waterfall: who called whom, when, for how long, and what failed.

    Yellow is the critical path: what the whole duration is made of.
    """
    found = asked(settings, given).get(f"traces/{quote(trace_id, safe='')}/summary")
    if given["as_json"]:
        output.emit_json(found)
        return
    head = f"{found['trace_id']}  {text.clock(found['start'])} UTC  {text.duration(found['duration_ns'])}"
    head += f"  {text.counted(found['span_count'], 'span')}"
    if found["error_count"]:
        head += click.style(f"  {text.counted(found['error_count'], 'error')}", fg="red")
    if found["truncated"]:
        head += f"  (the first {len(found['spans']['name'])} are shown)"
    _page([head, "", *text.waterfall(found, _width())], "")


@click.command()
@click.argument("query")
@_since
@reading
def metrics(settings: Settings, query: str, **given: Any) -> None:
    """Evaluate a PromQL expression over the last --since: a sparkline and figures for each series.

    For example: duoscope metrics 'sum by (job) (rate(shop_requests_total[1m]))'.
    """
    since = given["since"]
    end = time.time()
    start, step = end - since, max(1.0, since / _POINTS)
    parameters = {"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
    found = asked(settings, given).get("prom/api/v1/query_range", parameters)["data"]["result"]
    if given["as_json"]:
        output.emit_json(found)
        return
    rows: list[Sequence[object]] = []
    for series in found:
        known = {round((float(at) - start) / step): float(value) for at, value in series["values"]}
        line = text.sparkline([known.get(n) for n in range(_POINTS + 1)], _POINTS + 1)
        figures = (list(known.values())[-1], min(known.values()), max(known.values()))
        rows.append((text.labels(series["metric"]), line, *map(text.number, figures)))
    output.table(("series", "over time", "last", "least", "most"), rows, empty=f"No series in the last {_span(since)}.")


@click.command()
@_since
@reading
def services(settings: Settings, **given: Any) -> None:
    """List the services with their requests, errors and durations; those with the most errors first."""
    since = given["since"]
    answer = asked(settings, given).get("services", {"start": text.seconds_ago(since)})
    found: list[dict[str, Any]] = answer["items"]
    if given["as_json"]:
        output.emit_json(found)
        return
    found.sort(key=lambda item: (-item["error_count"], -item["request_count"], item["name"]))
    rows = [
        (
            text.plain(item["name"]) or "(no name)",
            f"{item['request_count']:,}",
            f"{item['error_count'] / item['request_count']:.1%}" if item["error_count"] else "",
            *(text.duration(item[f"duration_{p}_ns"]) for p in ("p50", "p95", "p99")),
            ", ".join(item["signals"]),
        )
        for item in found
    ]
    columns = ("service", "requests", "errors", "p50", "p95", "p99", "sends")
    output.table(columns, rows, empty=f"No service sent anything in the last {_span(since)}.")


COMMANDS: Final = (logs, tail, traces, trace, metrics, services)


def asked(settings: Settings, given: dict[str, Any]) -> Connection:
    """The connection that the options of `reading` name."""
    return Connection.open(settings, given["url"], given["api_key"])


def _search(query: Sequence[str], limit: int, since_s: float) -> dict[str, object]:
    return {"query": " ".join(query), "limit": limit, "start": text.seconds_ago(since_s)}


def _nothing(found: dict[str, Any], what: str, since_s: float) -> str:
    return text.plain(found.get("hint") or f"No {what} match in the last {_span(since_s)}.")


def _span(seconds: float) -> str:
    for unit in ("w", "d", "h", "m"):
        if seconds >= _UNITS_S[unit] and seconds % _UNITS_S[unit] == 0:
            return f"{seconds / _UNITS_S[unit]:g}{unit}"
    return f"{seconds:g}s"


def _width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _PLAIN_WIDTH


def _page(lines: list[str], empty: str) -> None:
    """Print lines; through the pager if a terminal does not have room for them."""
    if not lines:
        click.echo(empty)
    elif sys.stdout.isatty() and len(lines) > shutil.get_terminal_size().lines:
        click.echo_via_pager("\n".join(lines) + "\n")
    else:
        click.echo("\n".join(lines))


def _events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """The server-sent events of a stream: kinds and JSON."""
    kind, data = "message", list[str]()
    for line in lines:
        if not line and data:
            try:
                yield kind, json.loads("\n".join(data))
            except ValueError as error:
                raise invalid("The stream has something that is no JSON; is it a duoscope?") from error
            kind, data = "message", []
        elif line.startswith("event:"):
            kind = line[6:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].lstrip())
