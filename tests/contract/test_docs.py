"""Everything that the documents name exists: settings, commands, make targets, files, limits."""

import dataclasses
import re
from pathlib import Path

import pytest

from duoscope.cli import cli
from duoscope.kernel import limits
from duoscope.kernel.query_limits import QueryLimits
from duoscope.kernel.settings import Settings
from duoscope.telemetry.language import Signal, compile_query
from duoscope.telemetry.language.parse import TERMS_MAX

ROOT = Path(__file__).parents[2]
_COMMAND = re.compile(r"(?:^ {4}(?:\.venv/bin/)?|`)duoscope ([a-z][a-z-]*(?: [a-z][a-z-]*)?)", re.MULTILINE)
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^ {4}|`)make ([a-z-]+)", page.read_text(), re.MULTILINE)) <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page):
    for line in re.findall(
        r"(?:^ {4}(?:\.venv/bin/)?|`)duoscope ([a-z][a-z-]*(?: [a-z][a-z-]*)?)", page.read_text(), re.MULTILINE
    ):
        command = cli
        for word in line.split():
            commands = getattr(command, "commands", None)
            if commands is None:
                break
            assert word in commands, line
            command = commands[word]


def test_the_table_of_settings_is_complete_and_right():
    rows = re.findall(
        r"^\| `(DUOSCOPE_\w+)` \| (?:`--([\w-]+)`)? ?\| ([^|]+) \|",
        (ROOT / "docs" / "operations.md").read_text(),
        re.MULTILINE,
    )
    fields = {field.name for field in dataclasses.fields(Settings)}
    assert {name.removeprefix("DUOSCOPE_").lower() for name, _, _ in rows} == fields
    options = {parameter.name for part in ("up", "receiver", "worker") for parameter in cli.commands[part].params}
    for name, option, default in rows:
        setting = name.removeprefix("DUOSCOPE_").lower()
        assert option in ("", setting.replace("_", "-"))
        assert bool(option) == (setting in options)
        value = getattr(Settings(), setting)
        if value and default.startswith("`") and "<" not in default:
            assert default.strip("` ") == str(value)


def test_numbers_in_the_documents_are_those_of_the_code():
    pages = ("operations.md", "api.md", "search.md")
    operations, api, search = (" ".join((ROOT / "docs" / name).read_text().split()) for name in pages)
    *days, last = map(str, limits.RETENTION_CLASSES_DAYS)
    assert f"{', '.join(days)} or {last} days" in operations
    assert f"`limit` up to {limits.SEARCH_LIMIT_MAX:,} ({limits.SEARCH_LIMIT_DEFAULT} unless given)" in api
    assert f"{limits.QUERY_TEXT_CHARS_MAX:,} characters" in search
    assert f"regular expression, of up to {limits.READ_REGEX_CHARS_MAX} characters" in search


def test_limits_of_the_otlp_ports_are_those_of_the_code():
    text = (ROOT / "docs" / "operations.md").read_text()
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$", text.partition("### Limits")[2], re.MULTILINE))
    mebibytes = 2**20
    assert (
        rows["a request after decompression, and JSON as protobuf"]
        == f"{limits.INGEST_REQUEST_BYTES_MAX // mebibytes} MiB"
    )
    memory = rows["request bytes in memory, all tenants, from a body's first byte"]
    assert memory == f"{limits.INGEST_QUEUE_BYTES_MAX // mebibytes} MiB"
    assert rows["request line and headers, or metadata"] == f"{limits.HTTP_HEADERS_BYTES_MAX // 1024} KiB"
    assert rows["connections to each port"] == f"{limits.INGEST_CONNECTIONS_MAX:,}"
    assert rows["requests at once on a gRPC connection"] == str(limits.INGEST_GRPC_STREAMS_MAX)
    assert rows["a TLS handshake; the headers of a request"] == f"{limits.HTTP_HEADERS_MAX_S:.0f} s each"
    pauses = f"{limits.HTTP_BODY_PAUSE_MAX_S:.0f} s (HTTP); {limits.HTTP_BODY_MAX_S:.0f} s"
    assert rows["a pause in a request; all of a request"] == pauses
    assert rows["an idle HTTP connection"] == f"{limits.HTTP_IDLE_MAX_S:.0f} s"
    assert f"window of up to {2**limits.INGEST_ZSTD_WINDOW_LOG_MAX // mebibytes} MiB" in text


def test_limits_of_reads_are_those_of_the_code():
    text = (ROOT / "docs" / "operations.md").read_text().partition("## The API's port")[2]
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$", text.partition("## The OTLP")[0], re.MULTILINE))
    connections = f"{limits.API_CONNECTIONS_MAX:,}; {limits.API_CONNECTIONS_ADDRESS_MAX}"
    assert rows["connections in all; from one address"] == connections
    assert (
        rows["a pause in a body; all of it"] == f"{limits.HTTP_BODY_PAUSE_MAX_S:.0f} s; {limits.HTTP_BODY_MAX_S:.0f} s"
    )
    assert (
        rows["queries of telemetry at work: in all; of one tenant"] == f"{limits.READS_MAX}; {limits.READS_TENANT_MAX}"
    )
    waiting = f"{limits.READS_WAITING_TENANT_MAX}; {limits.READ_WAIT_MAX_S:.0f} s"
    assert rows["requests of one tenant that wait; how long"] == waiting
    assert rows["items of a page, as stored"] == f"{limits.ANSWER_PAGE_BYTES_MAX // 2**20} MiB"
    shown = rows["a body, or the attributes, of one item in a list"]
    assert shown == f"{limits.ANSWER_TEXT_BYTES_MAX // 1024} KiB"
    held = f"{limits.ANSWERS_TENANT_BYTES_MAX // 2**20} MiB; {limits.ANSWERS_BYTES_MAX // 2**20} MiB"
    assert rows["what answers hold in memory until they are read: of one tenant; in all"] == held
    assert rows["log streams: in all; of one tenant"] == f"{limits.LOG_STREAMS_MAX}; {limits.LOG_STREAMS_TENANT_MAX}"
    assert (
        rows["terms of a search; those with a `*` or a regular expression"]
        == f"{TERMS_MAX}; {limits.READ_PATTERNS_MAX}"
    )
    assert f"{limits.TELEMETRY_QUERY_ROWS_MAX:,} rows" in rows["one query"]
    for name, value in dataclasses.asdict(QueryLimits()).items():
        assert rows[f"`{name}`"] == f"{value:,}"


def test_queries_in_the_documents_can_be_read():
    text = (ROOT / "docs" / "search.md").read_text() + (ROOT / "docs" / "api.md").read_text()
    logs, traces = re.findall(r"^ {4}(service:.+)$", text, re.MULTILINE)
    assert compile_query(logs, Signal.LOGS)
    assert compile_query(traces, Signal.TRACES)
    found = re.findall(r"(logs|traces)/search -d '\{\"query\": \"((?:[^\"\\]|\\.)*)\"", text)
    assert found
    for signal, query in found:
        assert compile_query(query.replace('\\"', '"'), Signal[signal.upper()])
    for query in ("-parent_span_id:*", "duration>1.5s", "duration:2m", '"odd name":1', "user.id:*", "cache.hit:true"):
        assert compile_query(query, Signal.TRACES)
